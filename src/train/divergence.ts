// The guard against divergence: a mean loss that is many times what it was before ends the run.

import { TrainingError } from "../errors.ts";

/** The mean loss of a run, and the lowest that it was; a plain object that JSON holds. */
export interface MeanLoss {
  readonly mean: number;
  /** Null while the mean is that of fewer than {@linkcode meanSteps} steps. */
  readonly lowest: { readonly step: number; readonly mean: number } | null;
}

/** About so many steps the mean is of: of more, each counts for 1 - 1 / meanSteps of that after it. */
export const meanSteps = 100;

/** A mean loss below this is never taken for divergence: where it was near 0, an odd example makes it many times that. */
export const harmlessLoss = 1;

/** The mean before the first step. */
export const noLoss: MeanLoss = { mean: 0, lowest: null };

/** The mean after step `step`, from 1, which had this loss. */
export function withLoss({ mean: before, lowest }: MeanLoss, step: number, loss: number): MeanLoss {
  const mean = before + (loss - before) / Math.min(step, meanSteps);
  const isLowest = step >= meanSteps && mean < (lowest?.mean ?? Infinity);
  return { mean, lowest: isLowest ? { step, mean } : lowest };
}

/** Throws {@linkcode TrainingError} when the mean is above `factor` times its lowest, and not harmless. */
export function refuseDivergence({ mean, lowest }: MeanLoss, step: number, factor: number): void {
  if (lowest === null || mean <= harmlessLoss || mean <= factor * lowest.mean) return;
  throw new TrainingError(
    `training diverges: the mean loss is ${mean.toPrecision(3)} at step ${step}, it was ` +
      `${lowest.mean.toPrecision(3)} at step ${lowest.step}; try a lower learning rate, or allow more than ` +
      `${factor} times the lowest (divergenceFactor)`,
  );
}
