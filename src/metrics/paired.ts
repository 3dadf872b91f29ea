// Metrics compare two lists of numbers of the same length; this walks them together.

/** Two lists in step. */
export type Pairs = readonly (readonly [prediction: number, target: number])[];

/**
 * Pairs each prediction with its target.
 *
 * @throws {RangeError} when there are none, or the lists differ in length
 */
export function pairUp(predictions: ArrayLike<number>, targets: ArrayLike<number>): Pairs {
  if (predictions.length !== targets.length || predictions.length === 0) {
    throw new RangeError(`${predictions.length} predictions cannot be compared with ${targets.length} targets`);
  }
  return Array.from(predictions, (prediction, index) => [prediction, targets[index] ?? NaN] as const);
}
