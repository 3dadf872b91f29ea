// The benchmark of loading: its checkpoint is one that loads, in shards, and its table says what was measured.

import assert from "node:assert/strict";
import { loadTable, measure } from "../../bench/load.ts";
import { configOf, writeCheckpoint } from "../../bench/load_checkpoint.ts";
import { loadClassifier, namedParameters, toNumbers } from "../../mod.ts";
import { temporaryFolder } from "../native/fakes.ts";
import { assertNothingLeft } from "../support/torch.ts";

Deno.test("the checkpoint has every parameter of its configuration, and no value but small ones", async () => {
  using temporary = temporaryFolder();
  await assertNothingLeft(async () => {
    const { parameters, bytes } = writeCheckpoint(temporary.path, configOf("tiny"));
    assert.equal(bytes, 2 * parameters);
    using classifier = await loadClassifier(temporary.path);
    assert.deepEqual([classifier.newKeys, classifier.labels, classifier.model.pooling], [[], ["a", "b"], "last"]);
    const tensors = [...namedParameters(classifier.model).values()];
    assert.equal(tensors.reduce((sum, { size }) => sum + size, 0), parameters);
    for (const tensor of tensors.slice(1, 4)) {
      assert.ok(toNumbers(tensor).every((value) => Math.abs(value) >= 1 / 128 && Math.abs(value) < 1 / 64));
    }
  });
});

Deno.test("loads are measured in processes of their own, and the table has a row for each way", async () => {
  const result = await measure("tiny", 1, undefined);
  assert.deepEqual(result.contestants.map(({ name, dtype }) => `${name} ${dtype}`), [
    "fewtune float16",
    "fewtune float32",
  ]);
  for (const { seconds, cpuSeconds, peakBytes, weightBytes } of result.contestants) {
    assert.ok(seconds > 0 && cpuSeconds > 0 && peakBytes >= weightBytes);
  }
  assert.equal(loadTable(result).split("\n").length, 4);
});
