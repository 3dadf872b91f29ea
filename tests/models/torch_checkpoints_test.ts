// Checkpoints in PyTorch's own files: every form in which OPT and BERT are published gives the weights in safetensors.

import assert from "node:assert/strict";
import { loadClassifier, memory, namedParameters, parameterBytes, resetPeakMemory, toNumbers } from "../../mod.ts";
import { minilmFolder } from "../../src/experiments/minilm.ts";
import { cacheFolder } from "../../src/native/cache.ts";
import { temporaryFolder } from "../native/fakes.ts";
import { runPython } from "../support/python.ts";
import { assertNothingLeft } from "../support/torch.ts";

const files = temporaryFolder();
globalThis.addEventListener("unload", () => files[Symbol.dispose]());
const minilm = await minilmFolder(cacheFolder("models"));
await runPython("torch_checkpoints.py", [files.path, minilm]);

const target = { labels: ["a", "b", "c"] };

async function weightsOf(folder: string): Promise<Map<string, readonly number[]>> {
  using classifier = await loadClassifier(folder, { target });
  return new Map([...namedParameters(classifier.model)].map(([key, parameter]) => [key, toNumbers(parameter)]));
}

const names = [
  ...["opt_classifier", "opt_causal", "opt_base", "opt_without_prefix", "opt_half", "opt_350m", "opt_shards"],
  ...["bert_old", "bert_base"],
];

for (const name of names) {
  Deno.test(`${name}: the weights are those that transformers saves in safetensors`, async () => {
    await assertNothingLeft(async () => {
      const [own, safe] = [await weightsOf(`${files.path}/${name}`), await weightsOf(`${files.path}/${name}_safe`)];
      assert.ok(own.size > 40);
      assert.deepEqual(own, safe);
    });
  });
}

Deno.test("safetensors are preferred: a .bin beside them is not opened", async () => {
  Deno.writeTextFileSync(`${files.path}/opt_base_safe/pytorch_model.bin`, "no checkpoint");
  assert.deepEqual(await weightsOf(`${files.path}/opt_base_safe`), await weightsOf(`${files.path}/opt_base`));
});

Deno.test("a language model keeps its head", async () => {
  await assertNothingLeft(async () => {
    for (const name of ["opt_causal", "opt_without_prefix", "opt_shards"]) {
      using classifier = await loadClassifier(`${files.path}/${name}`);
      assert.deepEqual([classifier.target, classifier.newKeys], ["nextToken", []], name);
    }
  });
});

for (const name of ["zip", "old", "half"]) {
  Deno.test(`minilm_${name}: loading takes at most 1.2 times the weights, in JavaScript's memory too`, async () => {
    const expected = name === "half" ? null : await weightsOf(minilm);
    await assertNothingLeft(async () => {
      const before = [memory().liveBytes, Deno.memoryUsage().external] as const;
      resetPeakMemory();
      using classifier = await loadClassifier(`${files.path}/minilm_${name}`, { target });
      // What JavaScript counts has views of the parameters' own memory in it.
      const [peak, external] = [memory().peakBytes - before[0], Deno.memoryUsage().external - before[1]];
      const weights = parameterBytes(classifier.model);
      assert.ok(
        weights > 90e6 && Math.max(peak, external) <= 1.2 * weights,
        `${peak} and ${external} bytes for ${weights}`,
      );
    });
    if (expected) assert.deepEqual(await weightsOf(`${files.path}/minilm_${name}`), expected);
  });
}

Deno.test("a configuration of any size is refused before memory is taken for it", async () => {
  const folder = `${files.path}/opt_classifier`;
  const original = Deno.readTextFileSync(`${folder}/config.json`);
  const sizes: [string, number, RegExp][] = [
    ["vocab_size", 2 ** 28, /embed_tokens\.weight is \[60,16\] and not \[268435456,16\]/],
    ["hidden_size", 2 ** 28, /does not fit its config\.json/],
    ["ffn_dim", 2 ** 28, /fc1\.weight is \[32,16\] and not \[268435456,16\]/],
    ["max_position_embeddings", 2 ** 28 - 2, /embed_positions\.weight is \[34,16\] and not \[268435456,16\]/],
    ["num_hidden_layers", 1000, /lacks model\.decoder\.layers\.3\..* and 15944 more/],
    ["num_hidden_layers", 1001, /num_hidden_layers is 1001, it has to be at most 1000$/],
    ["vocab_size", 2 ** 28 + 1, /vocab_size is 268435457, it has to be at most 268435456$/],
    ["word_embed_proj_dim", 1e308, /word_embed_proj_dim is 1e\+308, it has to be at most/],
  ];
  await assertNothingLeft(async () => {
    const { liveBytes } = memory();
    for (const [name, value, message] of sizes) {
      Deno.writeTextFileSync(`${folder}/config.json`, JSON.stringify({ ...JSON.parse(original), [name]: value }));
      resetPeakMemory();
      await assert.rejects(loadClassifier(folder), { name: "CheckpointError", message });
      assert.equal(memory().peakBytes, liveBytes);
    }
  });
  Deno.writeTextFileSync(`${folder}/config.json`, original);
});
