// How well predicted numbers agree with the true ones; equal to SciPy's and scikit-learn's functions.
import { pairUp } from "./paired.ts";

/** The mean of the squared differences. */
export function meanSquaredError(predictions: ArrayLike<number>, targets: ArrayLike<number>): number {
  return mean(pairUp(predictions, targets).map(([prediction, target]) => (prediction - target) ** 2));
}

/** Pearson's correlation coefficient, from -1 to 1; not a number when either side is constant. */
export function pearson(predictions: ArrayLike<number>, targets: ArrayLike<number>): number {
  const pairs = pairUp(predictions, targets);
  const x = standardized(pairs.map(([prediction]) => prediction));
  const y = standardized(pairs.map(([, target]) => target));
  const correlation = dot(x, y) / (Math.sqrt(dot(x, x)) * Math.sqrt(dot(y, y)));
  return Math.max(-1, Math.min(1, correlation));
}

/** Spearman's rank correlation: Pearson's of the ranks, of which equal values share the mean. */
export function spearman(predictions: ArrayLike<number>, targets: ArrayLike<number>): number {
  pairUp(predictions, targets);
  return pearson(ranks(Array.from(predictions)), ranks(Array.from(targets)));
}

function ranks(values: readonly number[]): number[] {
  if (values.some(Number.isNaN)) return values.map(() => NaN);
  const order = Array.from(values.keys()).sort((a, b) => compare(values[a], values[b]));
  const ranked = new Array<number>(values.length);
  for (let start = 0; start < order.length;) {
    let end = start + 1;
    while (end < order.length && values[order[end] ?? 0] === values[order[start] ?? 0]) end++;
    for (const index of order.slice(start, end)) ranked[index] = (start + 1 + end) / 2;
    start = end;
  }
  return ranked;
}

/** Subtraction would make no number of two infinities. */
function compare(a = NaN, b = NaN): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Centered, and scaled to at most 1 so that no square over- or underflows; exact zeros where all are equal. */
function standardized(values: readonly number[]): number[] {
  if (values.every((value) => value === values[0])) return values.map(() => 0);
  const distances = centered(centered(values));
  const largest = distances.reduce((most, distance) => Math.max(most, Math.abs(distance)), 0);
  return distances.map((distance) => distance / largest);
}

/** Twice, it is exact also where the values differ in their last digits alone: a mean's rounding is as large as these. */
function centered(values: readonly number[]): number[] {
  const center = mean(values);
  return values.map((value) => value - center);
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function dot(a: readonly number[], b: readonly number[]): number {
  return a.reduce((sum, value, index) => sum + value * (b[index] ?? NaN), 0);
}
