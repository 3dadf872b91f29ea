// Batches: every example once, in an order that the seed decides, and evaluation results back in their places.
import assert from "node:assert/strict";
import { evaluationBatches, inOriginalOrder, trainingBatches } from "../../src/data/batches.ts";
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
