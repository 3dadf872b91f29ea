// How well predicted classes agree with the true ones; equal to scikit-learn's functions, zero where those divide by it.
import { type Pairs, pairUp } from "./paired.ts";

/** The part of predictions that are right, from 0 to 1. */
export function accuracy(predictions: ArrayLike<number>, labels: ArrayLike<number>): number {
  const pairs = pairUp(predictions, labels);
  return pairs.filter(([prediction, label]) => prediction === label).length / pairs.length;
}

/** F1, the harmonic mean of precision and recall, of the class `positive`; 0 when it never occurs on either side. */
export function f1(predictions: ArrayLike<number>, labels: ArrayLike<number>, positive = 1): number {
  return f1Of(pairUp(predictions, labels), positive);
}

/** The plain mean of the F1 of every class that occurs among labels or predictions. */
export function macroF1(predictions: ArrayLike<number>, labels: ArrayLike<number>): number {
  const pairs = pairUp(predictions, labels);
  const classes = [...new Set(pairs.flat())];
  return classes.reduce((sum, positive) => sum + f1Of(pairs, positive), 0) / classes.length;
}

/**
 * Matthews' correlation coefficient of any number of classes, from -1 to 1 (Gorodkin 2004, "Comparing two K-category
 * assignments by a K-category correlation coefficient"); 0 when either side has one class only.
 */
export function matthews(predictions: ArrayLike<number>, labels: ArrayLike<number>): number {
  const pairs = pairUp(predictions, labels);
  const predicted = countClasses(pairs.map(([prediction]) => prediction));
  const actual = countClasses(pairs.map(([, label]) => label));
  const total = pairs.length;
  const right = pairs.filter(([prediction, label]) => prediction === label).length;
  const spread = Math.sqrt(total ** 2 - overlap(predicted, predicted)) *
    Math.sqrt(total ** 2 - overlap(actual, actual));
  return spread === 0 ? 0 : (right * total - overlap(predicted, actual)) / spread;
}

/** The accuracy on `labels` of always saying the class that is most frequent in `trainingLabels`. */
export function majorityAccuracy(labels: ArrayLike<number>, trainingLabels: ArrayLike<number> = labels): number {
  const counts = [...countClasses(Array.from(trainingLabels))].sort(([a, m], [b, n]) => n - m || a - b);
  const majority = counts[0]?.[0] ?? NaN;
  return accuracy(Array.from(labels, () => majority), labels);
}

function f1Of(pairs: Pairs, positive: number): number {
  const both = pairs.filter(([prediction, label]) => prediction === positive && label === positive).length;
  const occurrences = pairs.flat().filter((value) => value === positive).length;
  return occurrences === 0 ? 0 : 2 * both / occurrences;
}

function countClasses(values: readonly number[]): Map<number, number> {
  const counts = new Map<number, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return counts;
}

function overlap(a: ReadonlyMap<number, number>, b: ReadonlyMap<number, number>): number {
  return [...a].reduce((sum, [value, count]) => sum + count * (b.get(value) ?? 0), 0);
}
