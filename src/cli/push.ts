// `fewtune push`: uploads a saved model to the hub.

import { Command, type CommandUnknownOpts } from "npm:@commander-js/extra-typings@15.1.0";
import { pushModel } from "../hub/push.ts";
import { listenToInterrupts } from "./interrupt.ts";
import { print } from "./output.ts";
import { showTrainingProgress } from "./training_progress.ts";

/** The command `push`. */
export function pushCommand(): CommandUnknownOpts {
  return new Command("push")
    .description("upload a saved model to the hub, in one commit")
    .requiredOption("--model <dir>", "folder of a saved model or adapter")
    .requiredOption("--repo <name>", "where to: org/name; it is made when there is none")
    .option("--private", "make it private")
    .option("--revision <branch>", "branch to commit to, made when there is none (default: main)")
    .option("--message <text>", "the commit's message")
    .option("--quiet", "show no progress")
    .action(async ({ model, repo, private: isPrivate, revision, message, quiet = false }) => {
      using progress = showTrainingProgress(quiet);
      using interrupts = listenToInterrupts(() => progress.note("stopping"));
      const { signal } = interrupts;
      const { url } = await pushModel(model, repo, {
        isPrivate,
        revision,
        message,
        signal,
        onProgress: progress.onEvent,
      });
      progress[Symbol.dispose]();
      print(url);
    });
}
