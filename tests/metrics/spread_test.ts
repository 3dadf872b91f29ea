// Mean and standard deviation against Python's statistics, which computes them from exact fractions.

import assert from "node:assert/strict";
import { SeededRandom } from "../../src/data/prng.ts";
import { spread } from "../../src/metrics/spread.ts";
import { runPython } from "../support/python.ts";

const random = new SeededRandom(7);
const number = (): number => random.below(1e6) / 1e6;
const lists = [
  ...Array.from({ length: 200 }, (_, index) => Array.from({ length: 1 + index % 7 }, number)),
  ...Array.from({ length: 50 }, () => Array.from({ length: 3 }, () => 1e6 + number())),
  ...[[0.5], [0.1, 0.1, 0.1], [0, 0], [-1, 1], [1e-300, 2e-300], [1e150, -1e150]],
];

Deno.test("mean and sample standard deviation are Python's, of one number there is none", async () => {
  const expected = JSON.parse(await runPython("spread.py", [], JSON.stringify(lists)));
  for (const [index, list] of lists.entries()) {
    const { mean, standardDeviation } = spread(list);
    const [expectedMean, expectedDeviation] = expected[index];
    const scale = Math.max(...list.map(Math.abs));
    assert.ok(Math.abs(mean - expectedMean) <= 1e-15 * scale, `${list}: ${mean} and not ${expectedMean}`);
    if (expectedDeviation === null) assert.equal(standardDeviation, null);
    else assert.ok(Math.abs((standardDeviation ?? NaN) - expectedDeviation) <= 1e-14 * scale, `${list}`);
  }
  assert.deepEqual(spread([]), { mean: NaN, standardDeviation: null });
});
