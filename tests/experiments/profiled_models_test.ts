// What is profiled: models of the published sizes, and lengths like CoLA's.

import assert from "node:assert/strict";
import { namedParameters } from "../../mod.ts";
import { colaLengths } from "../../src/experiments/cola_lengths.ts";
import { bertSizes, modelConfigs } from "../../src/experiments/model_configs.ts";
import { ConfigReader } from "../../src/models/config.ts";
import { architectureOf } from "../../src/models/registry.ts";
import { disposeModule } from "../../src/nn/module.ts";
import "../support/torch.ts";

// Of transformers' BertForSequenceClassification with two labels.
const published = { "bert-base": 109_483_778, "bert-large": 335_143_938 } as const;

Deno.test("the named configurations have as many parameters as the published models", () => {
  for (const [name, count] of Object.entries(published)) {
    const config = new ConfigReader(name, modelConfigs[name] ?? {});
    const model = architectureOf(config).createClassifier(config, { numLabels: 2, pooling: "cls" }, {});
    assert.equal(namedParameters(model).values().reduce((sum, { size }) => sum + size, 0), count);
    disposeModule(model);
  }
  assert.deepEqual(Object.keys(modelConfigs), [...Object.keys(bertSizes), "opt-1.3b"]);
});

Deno.test("lengths like CoLA's: their mean, their range, and the same for the same seed", () => {
  const lengths = colaLengths(100_000, 0);
  const mean = lengths.reduce((sum, length) => sum + length) / lengths.length;
  // 4.1 is the deviation of a length: the mean of so many is within three of its own.
  assert.ok(Math.abs(mean - 11.327) < 3 * 4.1 / Math.sqrt(lengths.length), `${mean}`);
  assert.deepEqual([Math.min(...lengths), Math.max(...lengths)], [4, 47]);
  const short = lengths.filter((length) => length <= 8).length / lengths.length;
  assert.ok(Math.abs(short - 2074 / 8551) < 0.005, `${short}`);
  assert.deepEqual(colaLengths(20, 7), colaLengths(20, 7));
  assert.notDeepEqual(colaLengths(20, 7), colaLengths(20, 8));
});
