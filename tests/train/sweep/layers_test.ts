// Preset, file and flags of a sweep on top of each other, and files that have a grid.

import assert from "node:assert/strict";
import { join } from "node:path";
import { configSchemaText } from "../../../src/train/config/json_schema.ts";
import { readPartialConfig } from "../../../src/train/config/read.ts";
import { presetOf } from "../../../src/train/presets.ts";
import { mergeLayers, readSweepFile, type SweepLayer } from "../../../src/train/sweep/layers.ts";
import { temporaryFolder } from "../../native/fakes.ts";

Deno.test("what a later layer says counts, be it one value or several", () => {
  const file: SweepLayer = {
    options: { batchSize: 8, seed: 3, warmupRatio: 0.2 },
    grid: { learningRate: [1e-3, 1e-4] },
  };
  const flags: SweepLayer = { options: { learningRate: 2e-4, warmupSteps: 5 }, grid: { seed: [1, 2], k: [4, 8] } };
  assert.deepEqual(mergeLayers(presetOf("paper", "RTE"), file), {
    options: { method: "selective", k: 16, maxLength: 128, epochs: 20, batchSize: 8, seed: 3, warmupRatio: 0.2 },
    grid: { learningRate: [1e-3, 1e-4] },
  });
  assert.deepEqual(mergeLayers(presetOf("paper"), file, flags), {
    options: { method: "selective", maxLength: 128, batchSize: 8, learningRate: 2e-4, warmupSteps: 5 },
    grid: { seed: [1, 2], k: [4, 8] },
  });
});

Deno.test("a file's grid is held to the options, its paths lead from the file's folder", () => {
  using place = temporaryFolder();
  const read = (text: string): SweepLayer => {
    Deno.writeTextFileSync(join(place.path, "sweep.yaml"), text);
    return readSweepFile(join(place.path, "sweep.yaml"));
  };
  assert.deepEqual(read("epochs: 2\ngrid:\n  train: [a.tsv, b.tsv]\n  memoryBudget: [1KiB, 2048]\n  k: [all, 0.5]\n"), {
    options: { epochs: 2 },
    grid: {
      train: [join(place.path, "a.tsv"), join(place.path, "b.tsv")],
      memoryBudget: [1024, 2048],
      k: ["all", 0.5],
    },
  });
  assert.deepEqual(read("epochs: 2"), { options: { epochs: 2 }, grid: {} });
  const refused: readonly (readonly [string, RegExp])[] = [
    ["epochs: 2\ngrid: [1, 2]", /sweep\.yaml, line 2: grid is .*, it has to be options with lists of values$/],
    ["grid:\n  seed: 1", /sweep\.yaml, line 2: grid\.seed is 1, it has to be a list of values$/],
    ["grid:\n  seed: [1, -1]", /sweep\.yaml, line 2: grid\.seed is -1, it has to be a whole number of at least 0$/],
    ["grid:\n  sede: [1]", /sweep\.yaml, line 2: there is no option "grid\.sede": did you mean grid\.seed\?$/],
    ["grid: {}\nsede: 1", /sweep\.yaml, line 2: there is no option "sede": did you mean seed\?$/],
  ];
  for (const [text, message] of refused) assert.throws(() => read(text), { name: "OptionError", message });
  Deno.writeTextFileSync(join(place.path, "train.yaml"), "model: minilm\ngrid:\n  seed: [1, 2]\n");
  assert.throws(() => readPartialConfig(join(place.path, "train.yaml")), {
    message: /train\.yaml, line 2: a grid is for a sweep: one run has one value$/,
  });
});

Deno.test("editors know the grid: lists of what its options allow", () => {
  const { properties } = JSON.parse(configSchemaText());
  assert.deepEqual(properties.grid.properties.seed, {
    type: "array",
    minItems: 1,
    items: { $ref: "#/properties/seed" },
  });
  assert.ok("seed" in properties && !("dev" in properties.grid.properties));
});
