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

// Batches that are sorted together: many enough that lengths are alike, few enough that their members stay random.
const batchesToSort = 50;

/**
 * The batches of one epoch, each of examples of like length: the order of {@linkcode trainingBatches}, sorted by length
 * within pieces of 50 batches (of a quarter of them where there are fewer than 200), and the batches shuffled. That with
 * the longest example comes first, so that too large a batch fails at once.
 *
 * @param lengths number of tokens of each example
 * @throws {OptionError} when the batch size is not a positive integer
 */
export function batchesByLength(lengths: readonly number[], batchSize: number, random: SeededRandom): Batch[] {
  const shuffled = trainingBatches(lengths.length, batchSize, random);
  const together = Math.max(1, Math.min(batchesToSort, Math.floor(shuffled.length / 4)));
  const pieces = cut(shuffled.flat(), together * batchSize);
  const batches = pieces.flatMap((piece) => cut(longestFirst(piece, lengths), batchSize));
  const ordered = random.shuffle(Array.from(batches.keys())).flatMap((batch) => batches.slice(batch, batch + 1));
  const longest = ordered.map(([first = 0]) => lengths[first] ?? 0);
  const start = longest.indexOf(Math.max(...longest));
  return [...ordered.slice(start, start + 1), ...ordered.slice(0, start), ...ordered.slice(start + 1)];
}

function longestFirst(indices: readonly number[], lengths: readonly number[]): number[] {
  return indices.toSorted((a, b) => (lengths[b] ?? 0) - (lengths[a] ?? 0));
}

/**
 * Batches of examples of about equal length, the longest first, so that little is padded and too large a batch fails
 * at once. {@linkcode inOriginalOrder} undoes the sorting.
 *
 * @param lengths number of tokens of each example
 * @throws {OptionError} when the batch size is not a positive integer
 */
export function evaluationBatches(lengths: readonly number[], batchSize: number): Batch[] {
  return cut(longestFirst(Array.from(lengths.keys()), lengths), batchSize);
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
