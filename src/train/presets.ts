// Recipes by name: options that belong together, and the values that a sweep tries.

import { glueTaskNamed } from "../data/glue/tasks.ts";
import { OptionError } from "../errors.ts";
import type { TrainConfig } from "./config/options.ts";
import type { Grid } from "./sweep/grid.ts";

/** A recipe. */
export interface Preset {
  /** For a person, in one line. */
  readonly description: string;
  readonly options: TrainConfig;
  /** What a sweep varies; a single run takes the first value of each. */
  readonly grid: Grid;
}

const paper = {
  options: { batchSize: 16, maxLength: 128 },
  grid: { learningRate: [5e-5, 3e-5, 2e-5, 1e-5] },
} as const;

/** The recipes of selective fine-tuning's paper (Simoulin et al. 2023) for GLUE, without the passes over the data. */
const recipes: Readonly<Record<string, Preset>> = {
  paper: {
    description: "the paper's for GLUE: 16 positions, batch 16, 128 tokens; a sweep tries four learning rates",
    options: { method: "selective", k: 16, ...paper.options },
    grid: paper.grid,
  },
  "paper-full": {
    description: "the same for full fine-tuning, which the paper compares with",
    options: { method: "full", ...paper.options },
    grid: paper.grid,
  },
};

/** The names of the presets. */
export const presetNames: readonly string[] = Object.keys(recipes);

// By GLUE's names. The paper gives no passes for RTE: its 2,490 examples are of MRPC's size and not of QNLI's.
const epochsOf: Readonly<Record<string, number>> = {
  "SST-2": 3,
  QQP: 3,
  QNLI: 3,
  MNLI: 3,
  MRPC: 20,
  "STS-B": 20,
  CoLA: 20,
  RTE: 20,
};

/**
 * A preset by its name. Its epochs are those of the GLUE task: 3 for the large ones, 20 for the small; without a task
 * it has none, and a run has the default or what is given besides.
 *
 * @param glue the name of a task, in any of its spellings
 * @throws {OptionError} when there is no such preset or task
 */
export function presetOf(name: string, glue?: string): Preset {
  const preset = Object.hasOwn(recipes, name) ? recipes[name] : undefined;
  if (preset === undefined) {
    throw new OptionError(`the preset is ${JSON.stringify(name)}, it can be ${presetNames.join(" or ")}`);
  }
  const epochs = glue === undefined ? undefined : epochsOf[glueTaskNamed(glue).name];
  return { ...preset, options: { ...preset.options, ...(epochs !== undefined && { epochs }) } };
}

/** A preset as the options of a single run, with the first value of each that a sweep varies; throws as {@linkcode presetOf}. */
export function presetOptions(name: string, glue?: string): TrainConfig {
  const { options, grid } = presetOf(name, glue);
  return { ...options, ...Object.fromEntries(Object.entries(grid).map(([option, [first]]) => [option, first])) };
}
