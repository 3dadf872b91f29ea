// The training loss: cross-entropy for labels and for tokens, mean squared error for numbers.

import { OptionError } from "../errors.ts";
import { requireOneAnswer, type Target } from "../models/classifier.ts";
import { crossEntropyLoss, mseLoss, scope, type Tensor, tensorFrom, view } from "../torch/mod.ts";
import { type ClassWeights, classWeightsById } from "./class_weights.ts";

/** How the cross-entropy counts, in training alone. */
export interface LossOptions {
  /**
   * The part of the answer that is spread evenly over all classes (Szegedy et al. 2016, section 7), as in
   * `torch.nn.functional.cross_entropy`. Default 0.
   */
  readonly labelSmoothing?: number | undefined;
  /** How much a row counts whose answer is the class with this id. Default: all the same. */
  readonly classWeights?: readonly number[] | undefined;
}

/**
 * The mean loss over a batch, or over the selected positions of a language model's. With class weights it is the
 * weighted mean: divided by the sum of the rows' weights ({@linkcode lossWeight}).
 *
 * @param logits `[P, numLabels]`
 * @param labels for each row a label id, for regression a number, for a language model the id of the next token
 * @throws {OptionError} when each label is a question of its own
 */
export function lossOf(
  logits: Tensor,
  labels: readonly number[],
  target: Target,
  { labelSmoothing = 0, classWeights }: LossOptions = {},
): Tensor {
  requireOneAnswer(target);
  return scope(() => {
    const { device, dtype } = logits;
    if (target === "regression") return mseLoss(view(logits, [-1]), tensorFrom(labels, { dtype, device }));
    const weight = classWeights ? tensorFrom(classWeights, { dtype, device }) : null;
    return crossEntropyLoss(logits, tensorFrom(labels, { dtype: "int64", device }), weight, 1, -100, labelSmoothing);
  });
}

/** What the mean over rows with these answers is divided by: their number, or the sum of their classes' weights. */
export function lossWeight(labels: readonly number[], { classWeights }: LossOptions): number {
  if (classWeights === undefined) return labels.length;
  return labels.reduce((sum, label) => sum + (classWeights[label] ?? 0), 0);
}

/** What training may be told of the loss. */
export interface LossSettings {
  /** The part of each answer that is spread evenly over all labels or tokens. Default 0. */
  readonly labelSmoothing?: number | undefined;
  /**
   * How much the examples of each label count: `"balanced"` for labels that count the same in all, however often they
   * occur, or a weight by the label's name. Default: each example counts the same.
   */
  readonly classWeights?: ClassWeights | undefined;
}

/** Refuses what the loss of a target has not. Throws {@linkcode OptionError}. */
export function checkLossSettings({ labelSmoothing = 0, classWeights }: LossSettings, target: Target): void {
  if (target === "regression" && labelSmoothing > 0) {
    throw new OptionError(`the label smoothing is ${labelSmoothing}, but a regression has no labels: leave it out`);
  }
  if (classWeights !== undefined && typeof target === "string") {
    const task = target === "regression" ? "a regression" : "a language model";
    throw new OptionError(`class weights are given, but ${task} has no classes: leave them out`);
  }
}

/**
 * The options of the training loss.
 *
 * @param examples those to train on; their labels are counted where weights are balanced
 * @throws {OptionError} as {@linkcode checkLossSettings}, or when a weight is given for what is no label
 */
export function lossOptions(
  settings: LossSettings,
  target: Target,
  examples: readonly { readonly label?: number }[],
): LossOptions {
  checkLossSettings(settings, target);
  const { labelSmoothing, classWeights } = settings;
  if (classWeights === undefined || typeof target === "string") return { labelSmoothing };
  const labels = examples.flatMap(({ label }) => label ?? []);
  return { labelSmoothing, classWeights: classWeightsById(classWeights, target.labels, labels) };
}
