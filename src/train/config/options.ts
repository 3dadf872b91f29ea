// Every option of a training run, declared once: what it allows, what it is for, and its default.

import * as z from "npm:zod@4.6.7";
import { glueTasks } from "../../data/glue/tasks.ts";
import { methodWords } from "../../methods/parse.ts";
import { methodDeclarations } from "../../methods/registry.ts";
import { type Pooling, poolings } from "../../models/contract.ts";
import {
  byteCount,
  defaultOf,
  deviceName,
  either,
  fileName,
  folderName,
  labelWeights,
  modelName,
  number,
  oneOf,
  pairOf,
  text,
  trueOrFalse,
  valueFacts,
  wholeNumber,
} from "../../options/values.ts";
import { activationModes, precisions } from "../../selective/gradients.ts";
import { positionPolicies } from "../../selective/policies.ts";
import { kOption } from "../../selective/positions.ts";
import type { Device } from "../../torch/mod.ts";
import { clippings } from "../clip.ts";
import { schedules } from "../schedule.ts";
import { tasks } from "../table_data.ts";

const column = (): z.ZodType<string> => text("the name of a column", "column");
const split = (): z.ZodType<string> => text("the name of a split", "split");
const revision = (): z.ZodType<string> => text("a branch, a tag or a commit", "revision");

const model = {
  model: modelName().describe("folder of a model, or its name on the hub: org/name"),
  revision: revision().describe("of a model on the hub: branch, tag or commit (default: main)"),
  pooling: oneOf([...poolings, "each"] satisfies Pooling[], "pooling").describe(
    "what the head reads: the mean over the positions, the first, or the last (default: mean); " +
      "a language model's each of them",
  ),
};

const data = {
  train: fileName().describe("table to train on: .tsv, .csv, .jsonl or .parquet, with named columns"),
  dev: fileName().describe("table to evaluate on while training"),
  test: fileName().describe("table to evaluate on at the end"),
  dataset: text("a dataset on the hub: org/name or org/name:config", "name").describe(
    "dataset on the hub instead of table files: org/name[:config]",
  ),
  datasetRevision: revision().describe("of the dataset: branch, tag or commit (default: main)"),
  trainSplit: split().describe("of the dataset, the split to train on (default: train)"),
  devSplit: split().describe("of the dataset, the split to evaluate on (default: validation or the like)"),
  testSplit: split().describe("of the dataset, the split to evaluate on at the end (default: none)"),
  glue: text("the name of a task of GLUE", "task").describe(
    `a task of GLUE instead of tables: ${either(glueTasks.map(({ name }) => name))}`,
  ),
  glueDir: folderName().describe("folder of GLUE's own files (default: from the hub)"),
  columns: z.strictObject({
    text: column().describe("column of the text"),
    textPair: column().describe("column of the second text, where texts come in pairs"),
    label: column().describe("column of the label; a language model needs none"),
  }).partial().register(valueFacts, { allowed: "the columns' names: text, textPair, label" })
    .describe("the tables' columns").default({ text: "text", label: "label" }),
  task: oneOf(tasks, "task").describe("what to learn (default: classification, unless labels are decimal numbers)"),
  maxLength: wholeNumber({ least: 1 }, "tokens").describe(
    "cut texts to so many tokens (default: 256, or what the model takes)",
  ),
  tokenCache: trueOrFalse().describe("keep encoded tables in the user's cache").default(true),
};

const method = {
  method: text(`one or more of ${methodWords.join(", ")}, joined as in selective+lora`, "method").describe(
    `what is trained: words of ${methodWords.join(", ")}, joined by +`,
  ).default("selective"),
  k: kOption,
  positions: oneOf(positionPolicies, "policy").describe(
    "which positions: random, first, fixed for each text, by attention, by gradient, by importance (default: random)",
  ),
  ...methodDeclarations,
};

const step = {
  batchSize: wholeNumber({ least: 1 }).describe("texts in a step").default(32),
  gradientAccumulation: wholeNumber({ least: 1 }).describe("micro-batches that a step is cut into").default(1),
  groupByLength: trueOrFalse().describe("put texts of like length together into batches").default(false),
  activations: oneOf(["auto", ...activationModes], "mode").describe(
    "store them for backward, recompute them there (less memory, more time), or auto: the fastest that fits",
  ).default("auto"),
  memoryBudget: byteCount().describe("what auto has to fit into, as 1400MiB or 2GiB (default: no limit)"),
  precision: oneOf(precisions, "type").describe(
    "of hidden states and activations: bf16 halves them, weights stay float32",
  ).default("float32"),
  optimizerInBackward: trueOrFalse().describe(
    "update each layer as soon as its gradients are there: less memory",
  ).default(false),
};

const optimization = {
  learningRate: number({ above: 0 }, "rate").describe("highest learning rate").default(5e-5),
  schedule: oneOf(schedules, "name").describe("how the learning rate falls after the warm-up").default("linear"),
  warmupRatio: number({ least: 0, most: 1 }, "share").describe(
    "part of the steps over which the learning rate rises (default: 0.1)",
  ),
  warmupSteps: wholeNumber({ least: 0 }).describe("or so many steps"),
  epochs: wholeNumber({ least: 1 }).describe("passes over the table").default(3),
  maxSteps: wholeNumber({ least: 1 }).describe("stop after so many steps (default: what the epochs give)"),
  maxGradNorm: number({ above: 0 }, "norm").describe("clip gradients to this norm (default: none)"),
  clipping: oneOf(clippings, "scope").describe("the norm of all gradients, or of each layer's (default: global)"),
  betas: pairOf({ least: 0, below: 1 }).describe("of AdamW's averages").default([0.9, 0.999]),
  epsilon: number({ above: 0 }).describe("of AdamW's denominator").default(1e-8),
  weightDecay: number({ least: 0 }).describe("of matrices; biases and norms never decay").default(0.01),
  labelSmoothing: number({ least: 0, below: 1 }).describe("part of each label that is spread over all").default(0),
  classWeights: labelWeights().describe("what an example of each label counts: balanced, or label=weight,..."),
  divergenceFactor: number({ above: 1 }).describe(
    "stop when the loss's running mean is so many times its lowest",
  ).default(3),
};

const evaluation = {
  evalSteps: wholeNumber({ least: 1 }).describe("evaluate every so many steps (default: after each epoch)"),
  bestMetric: text("the name of a metric", "metric").describe(
    "metric by which an evaluation is the best (default: loss)",
  ),
  keepBest: trueOrFalse().describe("the result is the weights of the best evaluation").default(false),
  patience: wholeNumber({ least: 1 }).describe("stop after so many evaluations that are no better (default: never)"),
};

const saving = {
  outputDir: folderName().describe("new folder for the run and the fine-tuned model"),
  saveSteps: wholeNumber({ least: 1 }).describe("write a checkpoint every so many steps (default: by the time)"),
  saveMinutes: number({ above: 0 }, "minutes").describe(
    "and every so many minutes (default: 15, with --save-steps never)",
  ),
  keepCheckpoints: wholeNumber({ least: 1 }).describe("how many of the latest checkpoints stay (default: 2)"),
};

const watching = {
  logSteps: wholeNumber({ least: 1 }).describe("log every so many steps").default(1),
  tensorboard: trueOrFalse().describe("write TensorBoard's event files").default(true),
};

const machine = {
  seed: wholeNumber({ least: 0 }, "number").describe("of the order, the positions, dropout and new weights").default(0),
  device: (deviceName() as z.ZodType<Device>).describe("cpu, cuda or cuda:N").default("cpu"),
  threads: wholeNumber({ least: 1, most: 1024 }).describe("threads on the CPU (default: LibTorch's choice)"),
};

/** The options by what they are about, in the order in which a configuration is written. */
export const optionGroups = {
  ...{ Model: model, Data: data, Method: method, Step: step, Optimization: optimization },
  ...{ Evaluation: evaluation, Saving: saving, Watching: watching, Machine: machine },
};

/** All options by their names. */
export const runOptions = {
  ...{ ...model, ...data, ...method, ...step, ...optimization },
  ...{ ...evaluation, ...saving, ...watching, ...machine },
};

type RunOptions = typeof runOptions;

/** Options of a training run: what a file, a preset or the command line says of it. */
export type TrainConfig = {
  readonly [Name in keyof RunOptions]?: Exclude<z.output<RunOptions[Name]>, undefined>;
};

/** The same where an option that is undefined stands for one that is not given. */
export type LooseTrainConfig = { readonly [Name in keyof TrainConfig]?: TrainConfig[Name] | undefined };

type WithDefault = {
  [Name in keyof RunOptions]: RunOptions[Name] extends z.ZodDefault ? Name : never;
}[keyof RunOptions];

/** The values of those that are not given, where a value always stands for them. */
export const defaults = Object.fromEntries(
  Object.entries(runOptions).filter(([, schema]) => schema instanceof z.ZodDefault)
    .map(([name, schema]) => [name, defaultOf(schema)]),
) as { readonly [Name in WithDefault]: Exclude<TrainConfig[Name], undefined> };
