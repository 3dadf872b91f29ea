// The benchmarks' lengths: CoLA's distribution, the same for the same seed.

import assert from "node:assert/strict";
import { lengthsOf } from "../../bench/lengths.ts";
import { colaLengths } from "../../src/experiments/cola_lengths.ts";

Deno.test("lengths like CoLA's have its mean and its range, and depend on the seed alone", () => {
  const lengths = colaLengths(512, 3);
  const mean = lengths.reduce((sum, length) => sum + length, 0) / lengths.length;
  assert.ok(Math.abs(mean - 11.327) < 0.05, `${mean}`);
  assert.ok(lengths.every((length) => length >= 4 && length <= 47));
  assert.deepEqual(colaLengths(512, 3), lengths);
  assert.notDeepEqual(colaLengths(512, 4), lengths);
});

Deno.test("as many sequences as there are in CoLA's training set have exactly its lengths", () => {
  const sum = colaLengths(8551, 0).reduce((sum, length) => sum + length, 0);
  assert.equal((sum / 8551).toFixed(6), "11.327213"); // by the Python package `tokenizers`
});

Deno.test("one length is everyone's", () => {
  assert.deepEqual(lengthsOf(7, 3), [7, 7, 7]);
  assert.equal(lengthsOf("cola", 5).length, 5);
});
