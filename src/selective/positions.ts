// Chooses the positions of each sequence that carry gradients.

import type * as z from "npm:zod@4.6.7";
import type { Pooling } from "../models/contract.ts";
import { checkValue } from "../options/check.ts";
import { selectionSize } from "../options/values.ts";
import { empty, type Generator, scope, toTypedArray, uniform_ } from "../torch/mod.ts";

/** How many positions of a sequence are selected: a number of them, a share between 0 and 1, or all. */
export type SelectionSize = number | "all";

/** Every position of each sequence: full fine-tuning, and inference. */
export function allPositions(lengths: readonly number[]): number[][] {
  return lengths.map((length) => Array.from({ length }, (_, position) => position));
}

/** The option k. */
export const kOption: z.ZodType<SelectionSize> = selectionSize().describe(
  "positions of each text that carry gradients: a number, a share such as 0.25, or all (default: 16)",
);

/** Refuses a k that cannot be. Throws {@linkcode OptionError}. */
export function checkSelectionSize(k: SelectionSize): void {
  checkValue("k", kOption, k);
}

/** The number of positions that are selected of a sequence; a share is rounded up, and is one position at least. */
export function selectionCount(length: number, k: SelectionSize): number {
  if (k === "all") return length;
  return Math.min(length, k < 1 ? Math.ceil(withoutRounding(k * length)) : k);
}

// 0.1 times 30 is a little more than 3 in floating point, and shall be 3.
function withoutRounding(count: number): number {
  const nearest = Math.round(count);
  return nearest > 0 && Math.abs(count - nearest) < 1e-9 * nearest ? nearest : count;
}

/**
 * The position that is always selected: the one that the head reads, the first one for the mean. None where the head
 * reads each of them.
 */
export function anchorOf(pooling: Pooling, length: number): number | null {
  if (pooling === "each") return null;
  return pooling === "last" ? length - 1 : 0;
}

/**
 * For each sequence its selected positions in ascending order: always its {@linkcode anchorOf | anchor}, by default the
 * first one, then uniformly without replacement up to k in all (Simoulin et al. 2023, section 2). For a language model
 * all k are drawn. A sequence of at most k positions is selected whole.
 *
 * @param pooling what the head reads, of which the anchor depends
 * @throws {OptionError} for a k that {@linkcode SelectionSize} does not allow
 */
export function selectPositions(
  lengths: readonly number[],
  k: SelectionSize,
  random: Generator,
  pooling: Pooling = "mean",
): number[][] {
  checkSelectionSize(k);
  const draws = (length: number): number => {
    const count = selectionCount(length, k);
    if (count === length) return 0;
    return pooling === "each" ? count : count - 1;
  };
  const numbers = uniformNumbers(lengths.reduce((sum, length) => sum + draws(length), 0), random);
  let next = 0;
  return lengths.map((length) => {
    if (selectionCount(length, k) === length) return Array.from({ length }, (_, position) => position);
    const drawn = numbers.subarray(next, next += draws(length));
    const anchor = anchorOf(pooling, length);
    const always = anchor === null ? [] : [anchor];
    return [...always, ...drawWithoutReplacement(length, anchor, drawn)].sort((a, b) => a - b);
  });
}

// A Fisher-Yates shuffle of all positions (but one), stopped after as many draws as there are numbers.
function drawWithoutReplacement(length: number, without: number | null, numbers: Float64Array): number[] {
  const positions = Array.from({ length }, (_, index) => index).filter((position) => position !== without);
  numbers.forEach((number, index) => {
    const other = index + Math.floor(number * (positions.length - index));
    [positions[index], positions[other]] = [positions[other] ?? 0, positions[index] ?? 0];
  });
  return positions.slice(0, numbers.length);
}

function uniformNumbers(count: number, random: Generator): Float64Array {
  return scope(() =>
    toTypedArray(uniform_(empty([count], { dtype: "float64" }), 0, 1, { generator: random }))
  ) as Float64Array;
}
