// Which examples go together: shuffled for training, of like length for evaluation. A batch is a list of indices.
import { OptionError } from "../errors.ts";
import type { SeededRandom } from "./prng.ts";

/** Positions in a list of examples. */
export type Batch = readonly number[];

/**
 * The batches of one epoch: all of `count` examples once, in an order drawn from `random`. The last batch is smaller
 * where `batchSize` does not divide `count`.
 *
 * @throws {OptionError} when the batch size is not a positive integer
 */
export function trainingBatches(count: number, batchSize: number, random: SeededRandom): Batch[] {
  return cut(random.shuffle(Array.from({ length: count }, (_, index) => index)), batchSize);
}

/**
 * Batches of examples of about equal length, the longest first, so that little is padded and too large a batch fails
 * at once. {@linkcode inOriginalOrder} undoes the sorting.
 *
 * @param lengths number of tokens of each example
 * @throws {OptionError} when the batch size is not a positive integer
 */
export function evaluationBatches(lengths: readonly number[], batchSize: number): Batch[] {
  const indices = Array.from(lengths.keys());
  return cut(indices.sort((a, b) => (lengths[b] ?? 0) - (lengths[a] ?? 0)), batchSize);
}

/**
 * Puts what was computed of each batch, a value for each of its examples, into the order of the examples.
 *
 * @throws {RangeError} when there are more or fewer values than examples
 */
export function inOriginalOrder<Value>(batches: readonly Batch[], values: readonly (readonly Value[])[]): Value[] {
  const indices = batches.flat();
  const flat = values.flat(1) as Value[];
  if (indices.length !== flat.length) throw new RangeError(`${flat.length} values of ${indices.length} examples`);
  const ordered = new Array<Value>(flat.length);
  flat.forEach((value, position) => ordered[indices[position] ?? NaN] = value);
  return ordered;
}

function cut(indices: readonly number[], batchSize: number): Batch[] {
  if (!Number.isSafeInteger(batchSize) || batchSize < 1) {
    throw new OptionError(`a batch size must be a positive integer, not ${batchSize}`);
  }
  const count = Math.ceil(indices.length / batchSize);
  return Array.from({ length: count }, (_, batch) => indices.slice(batch * batchSize, (batch + 1) * batchSize));
}
