// What the list of methods says of BERT-large: the numbers of parameters, each from the paper's formula.

import assert from "node:assert/strict";
import { describeMethods, type MethodDescription, type MethodOptions, randomClassifier } from "../../mod.ts";
import { bertConfig, bertSizes, modelConfigs } from "../../src/experiments/model_configs.ts";
import { weightMethods } from "../../src/methods/registry.ts";
import { assertNothingLeft } from "../support/torch.ts";

const target = { labels: ["a", "b"] };

function describe(config = bertConfig(bertSizes["bert-large"]), options: MethodOptions = {}): MethodDescription[] {
  const make = (device: "meta" | string): ReturnType<typeof randomClassifier> =>
    randomClassifier(config, { target, device: device as "meta" });
  return [...describeMethods(make, options).methods];
}

const [layers, width, inner] = [24, 1024, 4096];
const embeddings = (30_522 + 512 + 2) * width + 2 * width;
const layer = 4 * (width + 1) * width + 2 * width * inner + inner + width + 4 * width;

const counts: Readonly<Record<string, number>> = {
  full: embeddings + layers * layer,
  lora: layers * 2 * 8 * (width + width),
  // With the embeddings' norm, whose bias is one too.
  bitfit: layers * (4 * width + inner + width + 2 * width) + width,
  ia3: layers * (width + width + inner),
  // Two of size 64 in each layer, and its norms.
  adapters: layers * (2 * (2 * 64 * width + 64 + width) + 4 * width),
  prefix: layers * 2 * 20 * width,
  prompt: 20 * width,
};

Deno.test("BERT-large: what each method trains is what its paper's formula gives, and its part of the model", () => {
  assertNothingLeft(() => {
    const described = new Map(describe().map((each) => [each.name, each]));
    assert.deepEqual([...described.keys()], ["selective", "freeze", ...weightMethods.map(({ name }) => name)]);
    assert.equal(counts["full"], 334_092_288);
    for (const [name, expected] of Object.entries(counts)) {
      const { trainableParameters, share, savedBytes } = described.get(name) ?? {};
      assert.equal(trainableParameters, expected, name);
      assert.equal(share, expected / (counts["full"] ?? 0), name);
      assert.equal(savedBytes, 4 * expected, name);
    }
    assert.equal(described.get("freeze")?.trainableParameters, null);
    const masked = layers * (4 * width ** 2 + 2 * width * inner);
    assert.equal(described.get("mask")?.trainableParameters, masked);
    assert.equal(described.get("mask")?.savedBytes, masked / 8);
    const changed = Math.round((counts["full"] ?? 0) * 0.005);
    assert.equal(described.get("diff")?.savedParameters, changed);
    assert.equal(described.get("diff")?.savedBytes, changed * 8);
  });
});

Deno.test("options count where they belong, and every option of a method is told of", () => {
  const options = { freezeLayers: 20, loraR: 16, loraTargets: ["query"], bitfitBiases: "query-intermediate" } as const;
  const described = new Map(describe(undefined, options).map((each) => [each.name, each]));
  assert.equal(described.get("lora")?.trainableParameters, layers * 16 * 2 * width);
  assert.equal(described.get("bitfit")?.trainableParameters, layers * (width + inner));
  assert.equal(described.get("ia3")?.trainableParameters, counts["ia3"]);
  assert.equal(described.get("freeze")?.trainableParameters, 4 * layer);
  assert.equal(described.get("freeze")?.savedParameters, counts["full"]);
  for (const { options, name } of described.values()) {
    for (const text of Object.values(options)) assert.ok(text.length > 10, name);
  }
  assert.ok(Object.keys(described.get("lora")?.options ?? {}).includes("useDora"));
  assert.throws(() => describe(undefined, { loraR: 2000 }), { name: "OptionError", message: /loraR is 2000/ });
});

Deno.test("a model of fewer positions than prefix and prompt take has no number for these, and one for every other method", () => {
  const config = { ...bertConfig(bertSizes["bert-large"]), max_position_embeddings: 16 };
  for (const { name, trainableParameters } of describe(config)) {
    const isUnknown = ["selective", "freeze", "prefix", "prompt"].includes(name);
    assert.equal(trainableParameters === null, isUnknown, name);
  }
  assert.throws(() => describe(config, { promptLength: 20 }), { name: "OptionError" });
});

Deno.test("OPT has the same methods", () => {
  const described = new Map(describe(modelConfigs["opt-1.3b"]).map((each) => [each.name, each]));
  assert.equal(described.get("lora")?.trainableParameters, 24 * 2 * 8 * 2 * 2048);
  assert.equal(described.get("ia3")?.trainableParameters, 24 * (2048 + 2048 + 8192));
});
