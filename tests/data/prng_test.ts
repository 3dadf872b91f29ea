// The random generator: the published algorithm's numbers, a state that continues, and no favoured number or order.
import assert from "node:assert/strict";
import { SeededRandom } from "../../src/data/prng.ts";

Deno.test("the numbers are those of the same algorithm in C", () => {
  const expected = new Map([
    [0, [1363572419, 145230303, 808754475, 4216505632]],
    [42, [1264412219, 1947509147, 3919439299, 1251167922]],
    [Number.MAX_SAFE_INTEGER, [3268402823, 2602357022, 3266425223, 182731693]],
  ]);
  for (const [seed, numbers] of expected) {
    const random = new SeededRandom(seed);
    assert.deepEqual(numbers.map(() => random.nextUint32()), numbers, `seed ${seed}`);
  }
});

Deno.test("a saved state continues where it was saved", () => {
  const random = new SeededRandom(3);
  random.nextUint32();
  const state = random.state;
  const expected = Array.from({ length: 50 }, () => random.nextUint32());
  const resumed = new SeededRandom(99);
  resumed.state = JSON.parse(JSON.stringify(state));
  assert.deepEqual(expected.map(() => resumed.nextUint32()), expected);
});

Deno.test("every number below a bound is equally likely", () => {
  const random = new SeededRandom(1);
  const counts = new Array<number>(10).fill(0);
  for (let draw = 0; draw < 100_000; draw++) {
    const value = random.below(10);
    counts[value] = (counts[value] ?? 0) + 1;
  }
  const chiSquare = counts.reduce((sum, count) => sum + (count - 10_000) ** 2 / 10_000, 0);
  assert.ok(chiSquare < 27.9, `chi-square ${chiSquare} of 9 degrees of freedom, p < 0.001`);
});

Deno.test("a bound that does not divide 2^32 favours no part", () => {
  const random = new SeededRandom(4);
  const draws = Array.from({ length: 9000 }, () => random.below(3 * 2 ** 30));
  const low = draws.filter((value) => value < 2 ** 30).length;
  assert.ok(Math.abs(low - 3000) < 150, `${low} of 9000 are in the lowest third`);
});

Deno.test("every order of four is equally likely", () => {
  const random = new SeededRandom(2);
  const counts = new Map<string, number>();
  for (let draw = 0; draw < 24_000; draw++) {
    const order = random.shuffle([0, 1, 2, 3]).join("");
    counts.set(order, (counts.get(order) ?? 0) + 1);
  }
  assert.equal(counts.size, 24);
  const chiSquare = [...counts.values()].reduce((sum, count) => sum + (count - 1000) ** 2 / 1000, 0);
  assert.ok(chiSquare < 49.7, `chi-square ${chiSquare} of 23 degrees of freedom, p < 0.001`);
});

Deno.test("seeds and bounds that cannot be are refused", () => {
  for (const seed of [-1, 0.5, NaN, 2 ** 53]) assert.throws(() => new SeededRandom(seed), RangeError);
  for (const bound of [0, -1, 0.5, NaN, 2 ** 32 + 1]) assert.throws(() => new SeededRandom(0).below(bound), RangeError);
});
