// `fewtune train`: fine-tunes a model on table files or on a dataset of the hub.

import { Command, type CommandUnknownOpts, Option } from "npm:@commander-js/extra-typings@15.1.0";
import { poolings } from "../models/contract.ts";
import { fineTune, type FineTuneResult } from "../train/fine_tune.ts";
import { tasks } from "../train/table_data.ts";
import { clippings } from "../train/clip.ts";
import { InterruptedError, type Interrupts, listenToInterrupts } from "./interrupt.ts";
import * as datasetOptions from "./dataset_options.ts";
import { deviceName, folderName, positiveNumber, seedNumber, threadCount, wholeNumber } from "./option_values.ts";
import { mebibytes, metricFacts, printFacts } from "./output.ts";
import { showSetupProgress } from "./setup_progress.ts";
import * as modelOptions from "./model_options.ts";
import * as stepOptions from "./step_options.ts";
import { showTrainingProgress } from "./training_progress.ts";

/** The command `train`. */
export function trainCommand(): CommandUnknownOpts {
  return new Command("train")
    .description("fine-tune a model on a table of texts and labels, or of texts alone")
    .addOption(modelOptions.model)
    .addOption(modelOptions.revision)
    .option("--train <file>", "table to train on: .tsv, .csv, .jsonl or .parquet, with named columns")
    .requiredOption("--output-dir <dir>", "new folder for the fine-tuned model", folderName)
    .option("--dev <file>", "table to evaluate on after each epoch")
    .addOption(datasetOptions.dataset)
    .addOption(datasetOptions.revision)
    .option("--train-split <split>", "of the dataset, the split to train on (default: train)")
    .option("--dev-split <split>", "of the dataset, the split to evaluate on (default: validation or the like)")
    .option("--text <column>", "column of the text", "text")
    .option("--text-pair <column>", "column of the second text, where texts come in pairs")
    .option("--label <column>", "column of the label; a language model needs none", "label")
    .addOption(
      new Option("--task <task>", "what to learn (default: classification, unless labels are decimal numbers)")
        .choices(tasks),
    )
    .addOption(stepOptions.method)
    .addOption(stepOptions.k)
    .addOption(stepOptions.loraRank)
    .addOption(stepOptions.loraAlpha)
    .addOption(stepOptions.loraTargets)
    .addOption(stepOptions.freezeLayers)
    .addOption(
      new Option(
        "--pooling <pooling>",
        "what a classifier reads: the mean over the positions, the first, or the last (default: mean)",
      )
        .choices(poolings),
    )
    .addOption(stepOptions.activations)
    .addOption(stepOptions.memoryBudget)
    .addOption(stepOptions.precision)
    .addOption(stepOptions.optimizerInBackward)
    .option("--batch-size <count>", "texts in a step", wholeNumber(1), 32)
    .option("--gradient-accumulation <count>", "micro-batches that a step is cut into", wholeNumber(1), 1)
    .option("--max-grad-norm <norm>", "clip gradients to this norm (default: none)", positiveNumber)
    .addOption(
      new Option("--clipping <scope>", "the norm of all gradients, or of each layer's (default: global)")
        .choices(clippings),
    )
    .addOption(
      new Option("--learning-rate <rate>", "highest learning rate").argParser(positiveNumber).default(5e-5, "5e-5"),
    )
    .option("--epochs <count>", "passes over the table", wholeNumber(1), 3)
    .option("--max-steps <count>", "stop after so many steps (default: what the epochs give)", wholeNumber(1))
    .option(
      "--max-length <tokens>",
      "cut texts to so many tokens (default: 256, or what the model takes)",
      wholeNumber(1),
    )
    .option("--seed <number>", "of the order, the positions, dropout and new weights", seedNumber, 0)
    .option("--threads <count>", "threads on the CPU (default: LibTorch's choice)", threadCount)
    .option("--device <device>", "cpu, cuda or cuda:N", deviceName, "cpu" as const)
    .option("--quiet", "show no progress")
    .action(async ({ text, textPair, label, quiet = false, maxSteps, ...options }) => {
      using setup = showSetupProgress();
      using progress = showTrainingProgress(quiet);
      using interrupts = listenToInterrupts(() => progress.note("finishing the step; once more to stop at once"));
      const result = await fineTune({
        ...options,
        ...(maxSteps !== undefined && { maxSteps }),
        columns: { text, textPair, label },
        signal: interrupts.signal,
        onEvent: progress.onEvent,
        ...(!quiet && { onSetup: setup.onProgress }),
      });
      progress[Symbol.dispose]();
      endIfInterrupted(interrupts, result, options.outputDir);
      printFacts(facts(result, options.outputDir));
    });
}

/** Throws when a signal came, and says what was saved. */
export function endIfInterrupted({ exitCode }: Interrupts, result: FineTuneResult, folder: string): void {
  if (exitCode === 0) return;
  const saved = result.isSaved
    ? `after step ${result.steps}: saved to ${folder}`
    : "before the first step: nothing saved";
  throw new InterruptedError(`interrupted ${saved}`, exitCode);
}

function facts(result: FineTuneResult, folder: string): [string, string][] {
  const { dev, steps, seconds, peakBytes, trainableParameters, plan } = result;
  return [
    ...metricFacts(dev ?? {}, "dev "),
    ["steps", String(steps)],
    ["seconds", seconds.toFixed(1)],
    ["trained parameters", trainableParameters.toLocaleString("en")],
    ["activations", plan.activations],
    ["peak memory", mebibytes(peakBytes)],
    ["saved to", folder],
  ];
}
