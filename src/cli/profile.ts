// `fewtune profile`: one training step taken apart, as a table, as JSON, and as a picture.

import { dirname } from "node:path";
import { Command, type CommandUnknownOpts, Option } from "npm:@commander-js/extra-typings@15.1.0";
import { OptionError } from "../errors.ts";
import { colaLengths } from "../experiments/cola_lengths.ts";
import { drawProfile } from "../experiments/profile_picture.ts";
import { type Classifier, randomClassifier } from "../models/classifier.ts";
import { loadClassifier } from "../methods/load.ts";
import { methodDeclarations } from "../methods/registry.ts";
import type { ParameterOptions } from "../nn/module.ts";
import { defaults } from "../train/config/options.ts";
import { profileStep } from "../train/profile.ts";
import { configFlags, givenConfig } from "./config_flags.ts";
import { configChoices, namedConfig } from "./named_config.ts";
import { wholeNumber } from "./option_values.ts";
import { print } from "./output.ts";
import { profileTable } from "./profile_table.ts";
import { showSetupProgress } from "./setup_progress.ts";
import { showTrainingProgress } from "./training_progress.ts";

/** The command `profile`. */
export function profileCommand(): CommandUnknownOpts {
  const command = new Command("profile")
    .description("take one training step apart: the time and memory of its phases")
    .option("--config <config>", `random weights: ${configChoices}`)
    .option("--model <dir>", "or a checkpoint: config.json and model.safetensors")
    .option(
      "--max-length <tokens>",
      "tokens of a sequence; with other lengths than fixed, at most so many",
      wholeNumber(1),
      128,
    )
    .addOption(
      new Option("--lengths <kind>", "all sequences of the maximum length, or lengths like those of CoLA's sentences")
        .choices(["fixed", "cola"] as const).default("fixed" as const),
    )
    .addOption(new Option("--optimizer <name>", "what updates the weights").choices(["adamw"]).default("adamw"))
    .option("--steps <count>", "steps whose time is measured, after two others", wholeNumber(1), 5)
    .option("--json", "print one JSON object")
    .option("--svg <file>", "draw the memory over the step")
    .option("--quiet", "show no progress")
    .action(async ({ config, model, maxLength, lengths, steps, json, svg, quiet = false }) => {
      const { batchSize = defaults.batchSize, seed = defaults.seed, ...options } = givenConfig(command);
      const source = modelSource(config, model);
      if (svg !== undefined) checkPicturePath(svg);
      using setup = showSetupProgress();
      using progress = showTrainingProgress(quiet);
      const profile = await profileStep((where) => source.make({ ...where, seed }), {
        ...{ ...options, seed, steps },
        modelName: source.name,
        lengths: sequenceLengths(lengths, batchSize, maxLength, seed),
        onStep: (done, total) => progress.onEvent({ type: "progress", task: "steps", done, total }),
        ...(!quiet && { onSetup: setup.onProgress }),
      });
      progress[Symbol.dispose]();
      if (svg !== undefined) Deno.writeTextFileSync(svg, drawProfile(profile));
      print(json ? JSON.stringify(profile) : profileTable(profile));
    });
  for (const flag of configFlags(...settings)) command.addOption(flag);
  return command;
}

const methodOptionNames = Object.keys(methodDeclarations) as (keyof typeof methodDeclarations)[];

const settings = [
  ...["batchSize", "method", "k"] as const,
  ...methodOptionNames,
  ...["activations", "memoryBudget", "precision", "optimizerInBackward", "seed", "threads", "device"] as const,
];

const target = { labels: ["0", "1"] };

interface ModelSource {
  readonly name: string;
  readonly make: (options: ParameterOptions & { readonly seed: number }) => Classifier | Promise<Classifier>;
}

function modelSource(config: string | undefined, model: string | undefined): ModelSource {
  if ((config === undefined) === (model === undefined)) {
    throw new OptionError("a profile needs either --config NAME or --model DIR: which model it is of");
  }
  if (config !== undefined) {
    const fields = namedConfig(config);
    return { name: config, make: (options) => randomClassifier(fields, { target, ...options }) };
  }
  const folder = model ?? "";
  return { name: folder, make: (options) => loadClassifier(folder, { target, pooling: "mean", ...options }) };
}

function kindOf(path: string): Deno.FileInfo | null {
  try {
    return Deno.statSync(path);
  } catch {
    return null;
  }
}

function sequenceLengths(kind: "fixed" | "cola", batchSize: number, maxLength: number, seed: number): number[] {
  const lengths = kind === "cola" ? colaLengths(batchSize, seed) : new Array<number>(batchSize).fill(maxLength);
  return lengths.map((length) => Math.min(length, maxLength));
}

// Before the work: whether its picture can be written in the end.
function checkPicturePath(path: string): void {
  const refuse = (reason: string): never => {
    throw new OptionError(`the picture cannot be written to ${path}: ${reason}`);
  };
  try {
    Deno.removeSync(Deno.makeTempFileSync({ dir: dirname(path) }));
  } catch (error) {
    refuse((error as Error).message);
  }
  if (path.endsWith("/") || kindOf(path)?.isDirectory) refuse("it is a folder");
}
