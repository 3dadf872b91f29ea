// The training loss: cross-entropy for labels, mean squared error for numbers.

import { requireOneAnswer, type Target } from "../models/classifier.ts";
import { crossEntropyLoss, mseLoss, scope, type Tensor, tensorFrom, view } from "../torch/mod.ts";

/**
 * The mean loss over a batch.
 *
 * @param logits `[B, numLabels]`
 * @param labels a label id, or for regression a number, for each of the B sequences
 * @throws {OptionError} when each label is a question of its own
 */
export function lossOf(logits: Tensor, labels: readonly number[], target: Target): Tensor {
  requireOneAnswer(target);
  return scope(() => {
    const { device, dtype } = logits;
    if (target === "regression") return mseLoss(view(logits, [-1]), tensorFrom(labels, { dtype, device }));
    return crossEntropyLoss(logits, tensorFrom(labels, { dtype: "int64", device }));
  });
}
