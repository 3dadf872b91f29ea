// A classifier with all that belongs to its checkpoint: configuration, label names, and what was new in it.

import { OptionError } from "../errors.ts";
import { disposeModule, initializeParameters, namedParameters, type ParameterOptions } from "../nn/module.ts";
import { Generator, type Tensor } from "../torch/mod.ts";
import { ConfigReader } from "./config.ts";
import type { Adaptation } from "./adaptation.ts";
import type { Architecture, Pooling, SequenceClassifier } from "./contract.ts";
import { architectureOf } from "./registry.ts";

/** What the model predicts: one of the labels, a number, or at each position the next token (a language model). */
export type Target = LabelTarget | "regression" | "nextToken";

/** Labels by id. */
export interface LabelTarget {
  readonly labels: readonly string[];
  /** Whether each label is a question of its own (`multi_label_classification`): such models predict here, no more. */
  readonly isMultiLabel?: true;
}

/**
 * A model for sequence classification, regression or language modelling and what describes it. Dispose it to free its
 * parameters.
 */
export class Classifier implements Disposable {
  /** What methods made of the model; null while all of it trains that is not frozen. */
  adaptation: Adaptation | null = null;

  constructor(
    readonly model: SequenceClassifier,
    readonly architecture: Architecture,
    readonly config: ConfigReader,
    readonly target: Target,
    /** Keys of parameters that the checkpoint did not have, and which therefore start from random values. */
    readonly newKeys: readonly string[] = [],
    /** The folder of the checkpoint that it was loaded from, of an adapter its base's; null when there is none. */
    readonly folder: string | null = null,
  ) {}

  /** The label names by id; empty for regression and for a language model. */
  get labels(): readonly string[] {
    return typeof this.target === "string" ? [] : this.target.labels;
  }

  /** What training changes: what methods say, else the parameters that require a gradient. */
  get trained(): ReadonlyMap<string, Tensor> {
    if (this.adaptation) return this.adaptation.trained;
    return new Map(namedParameters(this.model).entries().filter(([, { requiresGrad }]) => requiresGrad));
  }

  [Symbol.dispose](): void {
    for (const { module } of this.adaptation?.insertions ?? []) disposeModule(module);
    disposeModule(this.model);
  }
}

/** How a classifier is made from a configuration alone. */
export interface RandomClassifierOptions extends ParameterOptions {
  readonly target: Target;
  /** What a classifier's head reads. Default `mean`. */
  readonly pooling?: Pooling;
  readonly seed?: number;
}

/**
 * Refuses what is neither trained nor measured here.
 *
 * @throws {OptionError} when each label is a question of its own
 */
export function requireOneAnswer(target: Target): void {
  if (typeof target === "string" || !target.isMultiLabel) return;
  throw new OptionError(
    "the model is for multi_label_classification, which is for predicting alone here: " +
      "load it with a target of its own (labels of which a text has one, or regression) to train or evaluate it",
  );
}

function outputsOf(target: LabelTarget | "regression"): number {
  if (target === "regression") return 1;
  if (target.labels.length < 2) {
    throw new OptionError(`a classifier needs at least two labels, not ${JSON.stringify(target.labels)}`);
  }
  return target.labels.length;
}

/** What an architecture's heads read; the first is the standard head's. */
export function poolingsOf({ poolings = ["cls", "mean"] }: Architecture): readonly [Pooling, ...Pooling[]] {
  return poolings;
}

/**
 * A model with uninitialised parameters.
 *
 * @throws {OptionError} for fewer than two labels, or when no head predicts or reads what is asked for
 */
export function createModel(
  architecture: Architecture,
  config: ConfigReader,
  { target, pooling }: { readonly target: Target; readonly pooling: Pooling },
  where: ParameterOptions,
): SequenceClassifier {
  if (target === "nextToken") return createLanguageModel(architecture, config, pooling, where);
  const known = poolingsOf(architecture);
  if (!known.includes(pooling)) {
    const [standard, ...others] = known;
    throw new OptionError(
      `${architecture.modelType} has no head for the pooling ${JSON.stringify(pooling)}: ` +
        `it can be ${standard} (the standard head) or ${others.join(", ")}`,
    );
  }
  return architecture.createClassifier(config, { numLabels: outputsOf(target), pooling }, where);
}

function createLanguageModel(
  { modelType, languageModel }: Architecture,
  config: ConfigReader,
  pooling: Pooling,
  where: ParameterOptions,
): SequenceClassifier {
  if (languageModel === undefined) {
    throw new OptionError(`${modelType} does not predict the next token: a language model has to be of another kind`);
  }
  if (pooling !== "each") {
    throw new OptionError(`the pooling is ${pooling}, but a language model's head reads each position: leave it out`);
  }
  return languageModel.create(config, where);
}

/**
 * A classifier with random weights, as the reference implementation starts one: normal with deviation
 * `initializer_range` (`init_std` in OPT), zero biases.
 *
 * @param fields the content of a config.json
 */
export function randomClassifier(
  fields: Readonly<Record<string, unknown>>,
  options: RandomClassifierOptions,
): Classifier {
  const { target, pooling = target === "nextToken" ? "each" : "mean", seed = 0, ...where } = options;
  const config = new ConfigReader("configuration", fields);
  const architecture = architectureOf(config);
  const model = createModel(architecture, config, { target, pooling }, where);
  using random = new Generator(seed, where.device);
  initializeParameters(model, random, config.initializerRange());
  return new Classifier(model, architecture, config, target);
}
