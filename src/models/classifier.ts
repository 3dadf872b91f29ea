// A classifier with all that belongs to its checkpoint: configuration, label names, and what was new in it.

import { OptionError } from "../errors.ts";
import { disposeModule, initializeParameters, type ParameterOptions } from "../nn/module.ts";
import { Generator } from "../torch/mod.ts";
import { ConfigReader } from "./config.ts";
import type { Architecture, HeadOptions, Pooling, SequenceClassifier } from "./contract.ts";
import { architectureOf } from "./registry.ts";

/** What the model predicts: one of the labels, or a number. */
export type Target = LabelTarget | "regression";

/** Labels by id. */
export interface LabelTarget {
  readonly labels: readonly string[];
  /** Whether each label is a question of its own (`multi_label_classification`): such models predict here, no more. */
  readonly isMultiLabel?: true;
}

/** A model for sequence classification or regression and what describes it. Dispose it to free its parameters. */
export class Classifier implements Disposable {
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

  /** The label names by id; empty for regression. */
  get labels(): readonly string[] {
    return this.target === "regression" ? [] : this.target.labels;
  }

  [Symbol.dispose](): void {
    disposeModule(this.model);
  }
}

/** How a classifier is made from a configuration alone. */
export interface RandomClassifierOptions extends ParameterOptions {
  readonly target: Target;
  readonly pooling?: Pooling;
  readonly seed?: number;
}

/**
 * Refuses what is neither trained nor measured here.
 *
 * @throws {OptionError} when each label is a question of its own
 */
export function requireOneAnswer(target: Target): void {
  if (target === "regression" || !target.isMultiLabel) return;
  throw new OptionError(
    "the model is for multi_label_classification, which is for predicting alone here: " +
      "load it with a target of its own (labels of which a text has one, or regression) to train or evaluate it",
  );
}

/** The number of outputs that a target needs. Throws {@linkcode OptionError} for fewer than two labels. */
export function outputsOf(target: Target): number {
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

/** A model with uninitialised parameters. Throws {@linkcode OptionError} when no head reads what is asked for. */
export function createModel(
  architecture: Architecture,
  config: ConfigReader,
  head: HeadOptions,
  where: ParameterOptions,
): SequenceClassifier {
  const known = poolingsOf(architecture);
  if (!known.includes(head.pooling)) {
    const [standard, ...others] = known;
    throw new OptionError(
      `${architecture.modelType} has no head for the pooling ${JSON.stringify(head.pooling)}: ` +
        `it can be ${standard} (the standard head) or ${others.join(", ")}`,
    );
  }
  return architecture.createClassifier(config, head, where);
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
  const { target, pooling = "mean", seed = 0, ...where } = options;
  const config = new ConfigReader("configuration", fields);
  const architecture = architectureOf(config);
  const model = createModel(architecture, config, { numLabels: outputsOf(target), pooling }, where);
  using random = new Generator(seed, where.device);
  initializeParameters(model, random, config.initializerRange());
  return new Classifier(model, architecture, config, target);
}
