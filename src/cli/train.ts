// `fewtune train`: fine-tunes a model on table files or on a dataset of the hub.

import { Command, type CommandUnknownOpts } from "npm:@commander-js/extra-typings@15.1.0";
import { OptionError } from "../errors.ts";
import { mergeConfigs, requireComplete } from "../train/config/layers.ts";
import { readPartialConfig } from "../train/config/read.ts";
import { resumedOptions } from "../train/config/resume.ts";
import { configText } from "../train/config/write.ts";
import { fineTune, type FineTuneOptions, type FineTuneResult } from "../train/fine_tune.ts";
import { presetOptions } from "../train/presets.ts";
import { allConfigFlags, givenConfig, presetFlag } from "./config_flags.ts";
import { InterruptedError, type Interrupts, listenToInterrupts } from "./interrupt.ts";
import { printEvents, printResult } from "./json_events.ts";
import { folderName } from "./option_values.ts";
import { mebibytes, metricFacts, printFacts, write } from "./output.ts";
import { showSetupProgress } from "./setup_progress.ts";
import { showTrainingProgress } from "./training_progress.ts";

/** The command `train`. */
export function trainCommand(): CommandUnknownOpts {
  const command = new Command("train")
    .description("fine-tune a model on a table of texts and labels, or of texts alone")
    .option(
      "--config <file>",
      "options from a .json or .yaml file, by their names in camel case; flags count before it",
    )
    .addOption(presetFlag)
    .option("--resume <dir>", "go on with the run in this folder, which was stopped", folderName)
    .option("--print-config", "print all options as a file for --config, and do nothing else")
    .option("--quiet", "show no progress")
    .option("--json", "print events as lines of JSON, and the result as the last one")
    .action(async ({ config: file, preset, resume, printConfig, ...display }) => {
      if (resume !== undefined) refuseFile(file);
      const given = mergeConfigs(file === undefined ? {} : readPartialConfig(file), givenConfig(command));
      const said = preset === undefined ? given : mergeConfigs(presetOptions(preset, given.glue), given);
      const config = resume === undefined ? said : await resumedOptions(resume, said);
      if (printConfig) write(configText(config));
      else await run(requireComplete(config, flagNames), resume !== undefined, display);
    });
  for (const flag of allConfigFlags()) command.addOption(flag);
  return command;
}

/** What messages call the options that have to be there. */
export const flagNames = { model: "--model", outputDir: "--output-dir" };

interface Display {
  readonly quiet?: boolean | undefined;
  readonly json?: boolean | undefined;
}

async function run(options: FineTuneOptions, resume: boolean, { quiet = false, json = false }: Display): Promise<void> {
  using setup = showSetupProgress();
  using progress = json ? printEvents(quiet) : showTrainingProgress(quiet);
  using interrupts = listenToInterrupts(() => progress.note("finishing the step; once more to stop at once"));
  const result = await fineTune({
    ...options,
    resume,
    signal: interrupts.signal,
    onEvent: progress.onEvent,
    ...(!quiet && { onSetup: setup.onProgress }),
  });
  progress[Symbol.dispose]();
  if (json) printResult(result, options.outputDir);
  endIfInterrupted(interrupts, result, options.outputDir);
  if (!json) printFacts(facts(result, options.outputDir));
}

function refuseFile(file: string | undefined): void {
  if (file === undefined) return;
  throw new OptionError(`a run that goes on has the options that it began with: leave out --config ${file}`);
}

/** Throws when a signal came, and says what is there and how to go on. */
export function endIfInterrupted({ exitCode }: Interrupts, result: FineTuneResult, folder: string): void {
  if (exitCode === 0) return;
  throw new InterruptedError(`interrupted ${whatIsLeft(result, folder)}`, exitCode);
}

function whatIsLeft({ isSaved, steps }: FineTuneResult, folder: string): string {
  if (isSaved) return `after step ${steps}, the last one: saved to ${folder}`;
  if (steps === 0) return "before the first step: nothing saved";
  return `after step ${steps}: go on with fewtune train --resume ${folder}`;
}

function facts(result: FineTuneResult, folder: string): [string, string][] {
  const { dev, devMismatched, steps, seconds, peakBytes, trainableParameters, plan } = result;
  return [
    ...metricFacts(dev ?? {}, "dev "),
    ...metricFacts(devMismatched ?? {}, "mismatched dev "),
    ["steps", String(steps)],
    ["seconds", seconds.toFixed(1)],
    ["trained parameters", trainableParameters.toLocaleString("en")],
    ["activations", plan.activations],
    ["peak memory", mebibytes(peakBytes)],
    ["saved to", folder],
  ];
}
