// Choosing positions: which ones, how often each, and what they depend on.

import assert from "node:assert/strict";
import { allPositions, Generator, selectPositions } from "../../mod.ts";
import { assertNothingLeft } from "../support/torch.ts";

Deno.test("k positions in ascending order, the first among them, within the sequence; all where there are few", async () => {
  await assertNothingLeft(() => {
    using random = new Generator(1);
    const lengths = [1, 2, 5, 6, 100, 7];
    for (const k of [1, 2, 5, 6, 99]) {
      for (let round = 0; round < 20; round++) {
        selectPositions(lengths, k, random).forEach((positions, index) => {
          const length = lengths[index] ?? 0;
          assert.equal(positions.length, Math.min(k, length));
          assert.equal(positions[0], 0);
          assert.ok(positions.every((position) => Number.isInteger(position) && position >= 0 && position < length));
          assert.deepEqual(positions, [...new Set(positions)].sort((a, b) => a - b));
        });
      }
    }
  });
});

Deno.test("for a head on the last position it is the last that is always selected, the others as often as each other", () => {
  using random = new Generator(1);
  const counts = new Array<number>(9).fill(0);
  for (const positions of selectPositions(new Array<number>(8000).fill(9), 4, random, "last")) {
    assert.equal(positions.length, 4);
    assert.deepEqual(positions, [...new Set(positions)].sort((a, b) => a - b));
    for (const position of positions) counts[position] = (counts[position] ?? 0) + 1;
  }
  assert.equal(counts[8], 8000);
  assert.ok(chiSquare(counts.slice(0, 8), 8000 * 3 / 8) < 24.3);
  assert.deepEqual(selectPositions([1, 5, 3], 1, random, "last"), [[0], [4], [2]]);
  assert.deepEqual(selectPositions([1, 2, 3], 2, random, "cls").map((positions) => positions[0]), [0, 0, 0]);
});

Deno.test("for a language model none is always selected, and each as often as each other", () => {
  using random = new Generator(2);
  const counts = new Array<number>(9).fill(0);
  for (const positions of selectPositions(new Array<number>(8000).fill(9), 4, random, "each")) {
    assert.equal(positions.length, 4);
    assert.deepEqual(positions, [...new Set(positions)].sort((a, b) => a - b));
    for (const position of positions) counts[position] = (counts[position] ?? 0) + 1;
  }
  assert.ok(chiSquare(counts, 8000 * 4 / 9) < 26.1);
  assert.deepEqual(selectPositions([1, 3], 3, random, "each"), [[0], [0, 1, 2]]);
});

Deno.test("all positions: for k = all, and for sequences that are not longer than k", () => {
  using random = new Generator(1);
  const state = random.state();
  const everything = [[0, 1, 2], [0], [0, 1]];
  assert.deepEqual(allPositions([3, 1, 2]), everything);
  assert.deepEqual(selectPositions([3, 1, 2], "all", random), everything);
  assert.deepEqual(selectPositions([3, 1, 2], 3, random), everything);
  assert.deepEqual(random.state(), state);
});

Deno.test("the choice depends on the generator's state alone, which goes on", () => {
  using random = new Generator(5);
  const [lengths, state] = [[50, 20, 50], random.state()];
  const first = selectPositions(lengths, 8, random);
  assert.notDeepEqual(selectPositions(lengths, 8, random), first);
  random.setState(state);
  assert.deepEqual(selectPositions(lengths, 8, random), first);
  assert.notDeepEqual(first[0], first[2]);
});

Deno.test("every position after the first, and every pair of them, is equally likely", () => {
  using random = new Generator(7);
  const [length, k, rounds] = [9, 4, 8000];
  const [singles, pairs] = [new Array<number>(length).fill(0), new Map<string, number>()];
  for (const positions of selectPositions(new Array<number>(rounds).fill(length), k, random)) {
    for (const [index, a] of positions.entries()) {
      singles[a] = (singles[a] ?? 0) + 1;
      for (const b of positions.slice(index + 1)) pairs.set(`${a},${b}`, (pairs.get(`${a},${b}`) ?? 0) + 1);
    }
  }
  assert.equal(singles[0], rounds);
  const drawn = [...pairs].filter(([pair]) => !pair.startsWith("0,")).map(([, count]) => count);
  assert.equal(drawn.length, 28);
  // Upper 0.001 quantiles of chi-square with 7 and 27 degrees of freedom; counts without replacement vary less.
  assert.ok(chiSquare(singles.slice(1), rounds * 3 / 8) < 24.3);
  assert.ok(chiSquare(drawn, rounds * 3 / 28) < 55.5);
});

function chiSquare(counts: readonly number[], expected: number): number {
  return counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
}

Deno.test("a share of each sequence: rounded up, at least one position, exact where it is a whole number", () => {
  using random = new Generator(1);
  const counts = (k: number, lengths: number[]): number[] =>
    selectPositions(lengths, k, random).map(({ length }) => length);
  assert.deepEqual(counts(0.25, [1, 3, 4, 5, 8, 100]), [1, 1, 1, 2, 2, 25]);
  assert.deepEqual(counts(0.1, [10, 11, 30, 70, 100]), [1, 2, 3, 7, 10]);
  assert.deepEqual(counts(0.999, [1, 2, 50]), [1, 2, 50]);
  assert.deepEqual(counts(1e-9, [1, 512]), [1, 1]);
  const [positions = []] = selectPositions([40], 0.5, random);
  assert.equal(positions[0], 0);
  assert.deepEqual(positions, [...new Set(positions)].sort((a, b) => a - b));
});

Deno.test("a k that cannot be is refused with its value", () => {
  using random = new Generator(1);
  for (const k of [0, -1, -0.5, 1.5, NaN, Infinity]) {
    assert.throws(() => selectPositions([5], k, random), { name: "OptionError", message: new RegExp(`^k is ${k}, `) });
  }
});
