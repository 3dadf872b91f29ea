// Grids of options: their combinations, the names of these, and what is refused; presets.

import assert from "node:assert/strict";
import { presetNames, presetOf, presetOptions } from "../../../src/train/presets.ts";
import { checkGrid, combinationName, combinations, type Grid } from "../../../src/train/sweep/grid.ts";

Deno.test("every combination once, the first option's values varying slowest", () => {
  assert.deepEqual(combinations({ learningRate: [5e-5, 3e-5], seed: [1, 2, 3] }), [
    ...[1, 2, 3].map((seed) => ({ learningRate: 5e-5, seed })),
    ...[1, 2, 3].map((seed) => ({ learningRate: 3e-5, seed })),
  ]);
});

Deno.test("a name says the values; what no folder's name can hold is told apart by a hash", () => {
  const names: readonly (readonly [Record<string, unknown>, string])[] = [
    [{ learningRate: 5e-5, seed: 1 }, "learningRate=5e-5,seed=1"],
    [{ learningRate: 0.003, k: 0.25 }, "learningRate=0.003,k=0.25"],
    [
      { method: "selective+lora", k: "all", optimizerInBackward: true },
      "method=selective+lora,k=all,optimizerInBackward=true",
    ],
  ];
  for (const [combination, name] of names) assert.equal(combinationName(combination), name);
  const hard = [
    "org/name",
    "org_name",
    "org\\name",
    "../../name",
    "a,seed=1",
    "m".repeat(300),
    "m".repeat(301),
    "ü",
    "\0",
  ];
  const safe = hard.map((model) => combinationName({ model }));
  assert.equal(new Set(safe).size, hard.length);
  for (const name of safe) assert.match(name, /^model=[\w.,=+-]{1,130}$/);
});

const refused: readonly (readonly [Record<string, unknown>, RegExp])[] = [
  [{}, /^the grid is empty: give an option/],
  [{ seed: [] }, /^the grid has no value of seed/],
  [{ seed: [1, 2, 1] }, /^the grid has the value 1 of seed twice/],
  [{ k: [8, 16] }, /^k is 4 and in the grid as well: leave out one of the two/],
  [{ dev: ["a.tsv", "b.tsv"] }, /^dev cannot be in the grid: the runs of a sweep are compared on the same data/],
  [{ outputDir: ["a", "b"] }, /^outputDir cannot be in the grid/],
];

for (const [grid, message] of refused) {
  Deno.test(`a grid is refused: ${JSON.stringify(grid)}`, () => {
    assert.throws(() => checkGrid(grid as Grid, { k: 4 }), { name: "OptionError", message });
  });
}

Deno.test("the paper's recipes: epochs by GLUE's task, learning rates in the grid, the first for one run", () => {
  const recipe = { method: "selective", k: 16, batchSize: 16, maxLength: 128 };
  const epochs = { "SST-2": 3, QQP: 3, QNLI: 3, MNLI: 3, MRPC: 20, "STS-B": 20, CoLA: 20, RTE: 20 };
  for (const [task, passes] of Object.entries(epochs)) {
    assert.deepEqual(presetOf("paper", task).options, { ...recipe, epochs: passes });
    assert.deepEqual(presetOf("paper", task).grid, { learningRate: [5e-5, 3e-5, 2e-5, 1e-5] });
  }
  assert.deepEqual(presetOf("paper", "sst2"), presetOf("paper", "SST-2"));
  assert.deepEqual(presetOptions("paper"), { ...recipe, learningRate: 5e-5 });
  assert.deepEqual(presetNames, ["paper", "paper-full"]);
  for (const name of ["papre", "toString", ""]) {
    assert.throws(() => presetOf(name), { name: "OptionError", message: /it can be paper or paper-full$/ });
  }
});
