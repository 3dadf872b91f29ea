// `fewtune demo`: from nothing to a spam filter, and what it took.

import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { Command, type CommandUnknownOpts } from "npm:@commander-js/extra-typings@15.1.0";
import { prepareSpamDemo, runSpamDemo, type SpamDemoParts, type SpamDemoResult } from "../experiments/spam_demo.ts";
import { checkOutputFolder } from "../files/output_folder.ts";
import { loadPredictor } from "../train/predictor.ts";
import { configFlags, givenConfig } from "./config_flags.ts";
import { listenToInterrupts } from "./interrupt.ts";
import { folderName, wholeNumber } from "./option_values.ts";
import { mebibytes, print, printFacts } from "./output.ts";
import { humanText } from "./predict.ts";
import { showSetupProgress } from "./setup_progress.ts";
import { endIfInterrupted } from "./train.ts";
import { showTrainingProgress } from "./training_progress.ts";

/** The command `demo`. */
export function demoCommand(): CommandUnknownOpts {
  const command = new Command("demo")
    .description("fine-tune MiniLM on real e-mails, from nothing")
    .option("--output-dir <dir>", "new folder for the model (default: out/demo, out/demo-2, ...)", folderName)
    .option("--max-steps <count>", "stop after so many steps (default: 80)", wholeNumber(1))
    .action(async ({ outputDir = freeFolder("out/demo"), maxSteps }) => {
      const { precision, threads } = givenConfig(command);
      checkOutputFolder(outputDir);
      const parts = await prepare();
      using progress = showTrainingProgress(false);
      using interrupts = listenToInterrupts(() => progress.note("finishing the step; once more to stop at once"));
      const { training, result } = await runSpamDemo(parts, {
        outputDir,
        maxSteps,
        precision,
        threads,
        signal: interrupts.signal,
        onEvent: progress.onEvent,
      });
      progress[Symbol.dispose]();
      endIfInterrupted(interrupts, training, outputDir);
      if (result) printResult(result, outputDir);
      await showExample(outputDir);
    });
  for (const flag of configFlags("precision", "threads")) command.addOption(flag);
  return command;
}

async function prepare(): Promise<SpamDemoParts> {
  using setup = showSetupProgress();
  return await prepareSpamDemo(setup.onProgress);
}

// The first of out/demo, out/demo-2, ... that does not exist: a second run keeps what the first one made.
function freeFolder(base: string): string {
  for (let number = 1;; number++) {
    const folder = number === 1 ? base : `${base}-${number}`;
    try {
      Deno.lstatSync(folder);
    } catch {
      return folder;
    }
  }
}

function printResult(result: SpamDemoResult, folder: string): void {
  const { testAccuracy, testF1, majorityAccuracy, steps, seconds } = result;
  const saving = 100 * (1 - result.peakBytes / result.fullStepPeakBytes);
  printFacts([
    ["test accuracy", `${testAccuracy.toFixed(4)}   always saying ham: ${majorityAccuracy.toFixed(4)}`],
    ["test F1", `${testF1.toFixed(4)}   always saying ham: 0`],
    [
      "peak memory",
      `${mebibytes(result.peakBytes)}   full fine-tuning: ${mebibytes(result.fullStepPeakBytes)} (${
        saving.toFixed(0)
      } % saved)`,
    ],
    ["a step", `${result.stepSeconds.toFixed(2)} s   full fine-tuning: ${result.fullStepSeconds.toFixed(2)} s`],
    ["training", `${steps} steps in ${seconds.toFixed(0)} s`],
    ["saved to", folder],
  ]);
}

const example = "Congratulations! You have been chosen to receive a free cash prize, click here to claim it now";

async function showExample(folder: string): Promise<void> {
  using predictor = await loadPredictor(folder);
  const [prediction] = await predictor.predict([example]);
  print(`\nTry it:\n  ${ownCommand()} predict --model ${folder} "${example}"`);
  if (prediction) print(humanText(predictor)(prediction, example));
}

/** How a person starts this program again from the same folder. */
function ownCommand(): string {
  const isHere = Deno.mainModule.startsWith("file:") && fileURLToPath(Deno.mainModule) === resolve("cli.ts");
  const deno = Deno.execPath().includes("node_modules") ? `npx deno@${Deno.version.deno}` : "deno";
  return isHere ? `${deno} task fewtune` : `${deno} run -A ${Deno.mainModule}`;
}
