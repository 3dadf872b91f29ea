// `fewtune pull glue`: GLUE's tasks from the hub as files.

import { Argument, Command, type CommandUnknownOpts } from "npm:@commander-js/extra-typings@15.1.0";
import { glueTasks } from "../data/glue/tasks.ts";
import { type PulledTask, pullGlue } from "../experiments/pull_glue.ts";
import { listenToInterrupts } from "./interrupt.ts";
import { folderName, nameList } from "./option_values.ts";
import { print } from "./output.ts";
import { showTrainingProgress } from "./training_progress.ts";

/** The command `pull`. */
export function pullCommand(): CommandUnknownOpts {
  return new Command("pull")
    .description("fetch the data of the paper's experiments from the hub")
    .addArgument(new Argument("<what>", "glue: eight tasks of GLUE in the layout of its own files").choices(["glue"]))
    .option("--output-dir <dir>", "folder for the tasks' folders; those that are there stay", folderName, "data/glue")
    .option("--tasks <names>", `some of ${glueTasks.map(({ config }) => config).join(", ")} (default: all)`, nameList)
    .option("--quiet", "show no progress")
    .action(async (_, { outputDir, tasks, quiet = false }) => {
      using progress = showTrainingProgress(quiet);
      using interrupts = listenToInterrupts(() => progress.note("stopping; what was fetched stays in the cache"));
      const { signal } = interrupts;
      const onTask = (done: PulledTask): void => print(told(done));
      await pullGlue(outputDir, { tasks, signal, onProgress: progress.onEvent, onTask });
    });
}

function told({ task, folder, rows, respaced }: PulledTask): string {
  if (rows === null) return `${task.name.padEnd(6)} ${folder} is there already: left as it is`;
  const counts = Object.entries(rows).map(([file, count]) => `${file} ${count.toLocaleString("en")}`);
  const changed = respaced === 0 ? "" : `; tabs or line breaks in ${respaced} texts became spaces`;
  return `${task.name.padEnd(6)} ${folder}: ${counts.join(", ")} rows${changed}`;
}
