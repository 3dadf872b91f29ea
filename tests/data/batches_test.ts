// Batches: every example once, in an order that the seed decides, and evaluation results back in their places.
import assert from "node:assert/strict";
import { batchesByLength, evaluationBatches, inOriginalOrder, trainingBatches } from "../../src/data/batches.ts";
import { SeededRandom } from "../../src/data/prng.ts";
import { OptionError } from "../../src/errors.ts";

Deno.test("an epoch has every example once, and its last batch is the rest", () => {
  const batches = trainingBatches(10, 4, new SeededRandom(1));
  assert.deepEqual(batches.map((batch) => batch.length), [4, 4, 2]);
  assert.deepEqual(batches.flat().sort((a, b) => a - b), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  assert.deepEqual(trainingBatches(0, 4, new SeededRandom(1)), []);
});

Deno.test("the same seed gives the same epochs, and each epoch another order", () => {
  const random = new SeededRandom(1);
  const epochs = [trainingBatches(50, 8, random), trainingBatches(50, 8, random)];
  assert.notDeepEqual(epochs[0], epochs[1]);
  const again = new SeededRandom(1);
  assert.deepEqual([trainingBatches(50, 8, again), trainingBatches(50, 8, again)], epochs);
  assert.notDeepEqual(trainingBatches(50, 8, new SeededRandom(2)), epochs[0]);
});

Deno.test("batches by length have every example once, by the seed, and the longest comes first", () => {
  const lengths = Array.from({ length: 1003 }, (_, index) => 5 + (index * 7919) % 97);
  const random = new SeededRandom(3);
  const epochs = [batchesByLength(lengths, 8, random), batchesByLength(lengths, 8, random)];
  assert.notDeepEqual(epochs[0], epochs[1]);
  const again = new SeededRandom(3);
  assert.deepEqual([batchesByLength(lengths, 8, again), batchesByLength(lengths, 8, again)], epochs);
  for (const batches of epochs) {
    assert.deepEqual(batches.flat().sort((a, b) => a - b), Array.from(lengths.keys()));
    assert.deepEqual(batches.map((batch) => batch.length).sort(), [3, ...new Array<number>(125).fill(8)]);
    assert.equal(lengths[batches[0]?.[0] ?? NaN], Math.max(...lengths));
    // The others come in no order of their lengths.
    const longest = batches.map(([first = NaN]) => lengths[first] ?? NaN);
    const rises = longest.filter((length, index) => length > (longest[index - 1] ?? Infinity)).length;
    assert.ok(rises > 45 && rises < 80, `${rises}`);
  }
});

/** Of the tokens of padded batches, the part that is padding. */
function paddingOf(batches: readonly (readonly number[])[], lengths: readonly number[]): number {
  const of = (batch: readonly number[]): number[] => batch.map((index) => lengths[index] ?? NaN);
  const padded = batches.reduce((sum, batch) => sum + batch.length * Math.max(...of(batch)), 0);
  return 1 - lengths.reduce((sum, length) => sum + length, 0) / padded;
}

Deno.test("batches by length have little to pad", () => {
  const lengths = Array.from({ length: 4000 }, (_, index) => 5 + (index * 7919) % 97);
  const byLength = paddingOf(batchesByLength(lengths, 16, new SeededRandom(1)), lengths);
  const shuffled = paddingOf(trainingBatches(lengths.length, 16, new SeededRandom(1)), lengths);
  assert.ok(byLength < 0.03 && shuffled > 0.4, `${byLength} and ${shuffled}`);
});

Deno.test("few examples are batches too", () => {
  assert.deepEqual(batchesByLength([], 4, new SeededRandom(1)), []);
  assert.deepEqual(batchesByLength([7], 4, new SeededRandom(1)), [[0]]);
  assert.deepEqual(batchesByLength([7, 9, 8], 4, new SeededRandom(1)), [[1, 2, 0]]);
});

Deno.test("evaluation goes from long to short, and its results return to the examples' order", () => {
  const lengths = [3, 9, 1, 9, 4];
  const batches = evaluationBatches(lengths, 2);
  assert.deepEqual(batches, [[1, 3], [4, 0], [2]]);
  const results = batches.map((batch) => batch.map((index) => `example ${index}`));
  assert.deepEqual(inOriginalOrder(batches, results), lengths.map((_, index) => `example ${index}`));
  assert.throws(() => inOriginalOrder(batches, results.slice(1)), RangeError);
});

Deno.test("a batch size that cannot be is refused with its value", () => {
  for (const size of [0, -1, 1.5, NaN]) {
    const expected = new OptionError(`a batch size must be a positive integer, not ${size}`);
    assert.throws(() => evaluationBatches([1], size), expected);
    assert.throws(() => trainingBatches(1, size, new SeededRandom(0)), expected);
  }
});
