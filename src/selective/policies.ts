// Which positions are selected: the policies beside the random choice.

import { OptionError } from "../errors.ts";
import type { Pooling, SequenceClassifier } from "../models/contract.ts";
import { empty, Generator, scope, toNumbers, uniform_ } from "../torch/mod.ts";
import type { Sequence } from "./batch.ts";
import { anchorOf, selectionCount, type SelectionSize, selectPositions } from "./positions.ts";
import { drawWithProbabilities, inclusionProbabilities } from "./inclusion.ts";
import { attentionScores, gradientScores, type LossOfSequences } from "./position_scores.ts";

/** The policies' names. */
export const positionPolicies = ["random", "first", "fixed", "attention", "gradient", "importance"] as const;

/**
 * Which k positions of a sequence carry gradients. The position that the head reads is always among them.
 *
 * - `random`: others are drawn at each step (Simoulin et al. 2023, section 2).
 * - `first`: the first ones.
 * - `fixed`: drawn once for each text, and the same in each epoch.
 * - `attention`: those that get most attention in the last layers; `gradient`: those at which the gradient of the loss
 *   is the longest (as TokenSeek). Both take a pass over all positions before each step, whose time the step has.
 * - `importance`: drawn with probabilities by the gradient's length; in the mean that the head reads each counts the
 *   inverse of its probability (as the column-row samples of WTA-CRS, Liu et al. 2023). One text of each step, drawn
 *   too, is corrected to its whole gradient, which makes the step's gradient unbiased: see `Stepper`.
 */
export type PositionPolicy = typeof positionPolicies[number];

/** What a choice depends on. */
export interface Choice {
  readonly model: SequenceClassifier;
  readonly sequences: readonly Sequence[];
  readonly k: SelectionSize;
  /** Of `random`. */
  readonly random: Generator;
  /** Of `fixed`. */
  readonly seed: number;
  /** Of `gradient`. */
  readonly lossOf: LossOfSequences;
}

/** Which positions of each sequence are selected. */
export interface Selection {
  /** Ascending. */
  readonly positions: readonly (readonly number[])[];
  /** What each counts in the mean that the head reads; null: all the same. */
  readonly weights: readonly (readonly number[])[] | null;
}

/** Selects positions of each sequence. */
export function choosePositions(policy: PositionPolicy, choice: Choice): Selection {
  if (policy !== "importance") return { positions: positionsBy(policy, choice), weights: null };
  const { model, sequences, k, random, lossOf } = choice;
  const scores = gradientScores(model, sequences, lossOf);
  const drawn = sequences.map(({ inputIds: { length } }, index) => {
    const count = selectionCount(length, k);
    const certain = anchorOf(model.pooling, length);
    return drawWithProbabilities(inclusionProbabilities(scores[index] ?? [], count, certain), random);
  });
  return { positions: drawn.map(({ positions }) => positions), weights: drawn.map(({ weights }) => weights) };
}

function positionsBy(policy: PositionPolicy, choice: Choice): number[][] {
  const { model, sequences, k, random } = choice;
  const lengths = sequences.map(({ inputIds }) => inputIds.length);
  const { pooling } = model;
  if (policy === "random") return selectPositions(lengths, k, random, pooling);
  const isWhole = lengths.every((length) => selectionCount(length, k) === length);
  if (isWhole) return lengths.map((length) => Array.from({ length }, (_, position) => position));
  const scores = scoresOf(policy, choice);
  return sequences.map((sequence, index) => best(sequence.inputIds.length, k, pooling, scores[index] ?? []));
}

// The higher, the sooner a position is selected.
function scoresOf(policy: PositionPolicy, choice: Choice): readonly ArrayLike<number>[] {
  const { model, sequences, seed, lossOf } = choice;
  switch (policy) {
    case "first":
      return sequences.map(({ inputIds }) => Array.from(inputIds, (_, position) => -position));
    case "fixed":
      return sequences.map((sequence) => fixedScores(sequence, seed));
    case "attention":
      return attentionScores(model, sequences);
    case "gradient":
      return gradientScores(model, sequences, lossOf);
    default:
      throw new OptionError(`the policy ${policy} has no scores`);
  }
}

// Random numbers that depend on the text and the seed alone.
function fixedScores({ inputIds }: Sequence, seed: number): number[] {
  let hash = 2166136261 ^ seed;
  for (const id of Array.from(inputIds)) hash = Math.imul(hash ^ id, 16777619) >>> 0;
  using random = new Generator(hash);
  return scope(() => toNumbers(uniform_(empty([inputIds.length]), 0, 1, { generator: random })));
}

function best(length: number, k: SelectionSize, pooling: Pooling, scores: ArrayLike<number>): number[] {
  const anchor = anchorOf(pooling, length);
  const score = (position: number): number => position === anchor ? Infinity : scores[position] ?? 0;
  const ranked = Array.from({ length }, (_, position) => position).sort((a, b) => score(b) - score(a));
  return ranked.slice(0, selectionCount(length, k)).sort((a, b) => a - b);
}
