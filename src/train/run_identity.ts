// Which run a checkpoint is of: its options, its examples and its model, in a form that can be compared.

import { createHash } from "node:crypto";
import { CheckpointError } from "../errors.ts";
import { show } from "../files/shown.ts";
import { savedPart } from "../methods/saved_part.ts";
import type { Classifier } from "../models/classifier.ts";
import { derivedOf, keptForDerivations } from "../models/derivations.ts";
import { tensorBytes } from "../models/save.ts";
import { namedParameters } from "../nn/module.ts";
import type { TrainingExample } from "./lesson.ts";
import type { TrainOptions } from "./train_options.ts";

/** What decides where a run that begins from the same state ends. */
export interface RunIdentity {
  /** The options that count, as they were given. */
  readonly options: Readonly<Record<string, unknown>>;
  readonly device: string;
  /** Hashes of the examples; null where there are none. */
  readonly train: string;
  readonly dev: string | null;
  /** A hash of the model's configuration, of what of it is trained, and of the weights that no checkpoint holds. */
  readonly model: string;
}

// Those that change neither weights nor metrics.
type Free = "activations" | "memoryBudget" | "checkpoints" | "resumeFrom" | "onEvent" | "signal";

const counting: Readonly<Record<Exclude<keyof TrainOptions, Free>, true>> = {
  k: true,
  positions: true,
  precision: true,
  optimizerInBackward: true,
  batchSize: true,
  gradientAccumulation: true,
  maxGradNorm: true,
  clipping: true,
  learningRate: true,
  epochs: true,
  maxSteps: true,
  warmupRatio: true,
  betas: true,
  epsilon: true,
  weightDecay: true,
  seed: true,
  schedule: true,
  warmupSteps: true,
  groupByLength: true,
  labelSmoothing: true,
  classWeights: true,
  evalSteps: true,
  bestMetric: true,
  keepBest: true,
  patience: true,
  divergenceFactor: true,
};

/** The identity of a run; it reads all examples, and of a model with an adapter all weights. */
export function identityOf(
  classifier: Classifier,
  { train, dev }: { readonly train: readonly TrainingExample[]; readonly dev?: readonly TrainingExample[] },
  options: TrainOptions,
): RunIdentity {
  const counted = Object.keys(counting).map((name) => [name, options[name as keyof typeof counting]]);
  return {
    options: JSON.parse(JSON.stringify(Object.fromEntries(counted))),
    device: classifier.model.backbone.device,
    train: hashOfExamples(train),
    dev: dev ? hashOfExamples(dev) : null,
    model: hashOfModel(classifier),
  };
}

/**
 * Refuses a checkpoint of another run.
 *
 * @param folder names it in the error
 * @throws {CheckpointError} which says what differs
 */
export function refuseOtherRun(folder: string, saved: RunIdentity, own: RunIdentity): void {
  refuseOtherOptions(folder, { ...saved.options, device: saved.device }, { ...own.options, device: own.device });
  const others: Readonly<Record<"train" | "dev" | "model", string>> = {
    train: "was trained on other examples",
    dev: "was evaluated on other examples",
    model: "is of another model or another method",
  };
  for (const name of ["train", "dev", "model"] as const) {
    if (saved[name] !== own[name]) throw new CheckpointError(`${folder} ${others[name]}: a run goes on with its own`);
  }
}

/** Refuses options that differ. Throws {@linkcode CheckpointError}, which names the first and both its values. */
export function refuseOtherOptions(
  folder: string,
  saved: Readonly<Record<string, unknown>>,
  own: Readonly<Record<string, unknown>>,
): void {
  for (const name of new Set([...Object.keys(saved), ...Object.keys(own)])) {
    if (JSON.stringify(saved[name]) === JSON.stringify(own[name])) continue;
    const [before, now] = [saved[name], own[name]].map((value) => value === undefined ? "not given" : show(value));
    throw new CheckpointError(
      `${folder}: ${name} was ${before} and is ${now} now, but a run goes on with what it began with`,
    );
  }
}

function hashOfExamples(examples: readonly TrainingExample[]): string {
  const hash = createHash("sha256");
  for (const { inputIds, tokenTypeIds, label } of examples) {
    hash.update(`${inputIds.length} ${label ?? ""};`);
    for (const ids of [inputIds, tokenTypeIds]) hash.update(new Uint8Array(Int32Array.from(ids).buffer));
  }
  return hash.digest("hex");
}

function hashOfModel(classifier: Classifier): string {
  const { adaptation, config: { fields }, model, target } = classifier;
  const method = adaptation && { methods: adaptation.methods, options: adaptation.options };
  const hash = createHash("sha256").update(JSON.stringify([fields, target, model.pooling, method]));
  const derived = new Set(derivedOf(adaptation?.insertions).flatMap(({ derivation }) => derivation.derived));
  const changing = new Set([...[...savedPart(classifier).values()].flat(), ...derived]);
  for (const [key, tensor] of [...namedParameters(model), ...keptForDerivations(adaptation)]) {
    hash.update(`${key} ${tensor.dtype} ${tensor.shape} ${tensor.requiresGrad};`);
    if (!changing.has(tensor)) hash.update(tensorBytes(tensor));
  }
  return hash.digest("hex");
}
