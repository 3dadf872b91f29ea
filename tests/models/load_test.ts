// Loading checkpoints: old and headless ones, which head is kept, how much memory it takes, and what is refused.

import assert from "node:assert/strict";
import {
  type Classifier,
  loadClassifier,
  type LoadOptions,
  memory,
  namedParameters,
  ops,
  parameterBytes,
  resetPeakMemory,
  scope,
  toNumbers,
} from "../../mod.ts";
import type { SafetensorsSource } from "../../src/files/safetensors_write.ts";
import { minilmFolder } from "../../src/experiments/minilm.ts";
import { cacheFolder } from "../../src/native/cache.ts";
import { temporaryFolder } from "../native/fakes.ts";
import { type Changes, contentsOf, copyCheckpoint, toHalfWidth } from "../support/checkpoints.ts";
import { smallBertFolder } from "../support/small_bert.ts";
import { assertClose, assertNothingLeft } from "../support/torch.ts";

const labels = { labels: ["LABEL_0", "LABEL_1", "LABEL_2"] };
const otherLabels = { labels: ["a", "b", "c"] };

function weightsOf({ model }: Classifier): Map<string, number[]> {
  return new Map([...namedParameters(model)].map(([key, parameter]) => [key, toNumbers(parameter)]));
}

async function loadedWeights(folder: string, options: LoadOptions = {}): Promise<Map<string, number[]>> {
  using classifier = await loadClassifier(folder, options);
  return weightsOf(classifier);
}

/** Loads a changed copy of the tiny BERT. */
async function withCopy(changes: Changes, test: (folder: string) => Promise<void>): Promise<void> {
  using temporary = temporaryFolder();
  const folder = `${temporary.path}/copy`;
  copyCheckpoint(smallBertFolder, folder, changes);
  await assertNothingLeft(() => test(folder));
}

Deno.test("the keys are the checkpoint's, all of them, with its shapes", async () => {
  await assertNothingLeft(async () => {
    using classifier = await loadClassifier(smallBertFolder);
    const own = [...namedParameters(classifier.model)].map(([key, { shape }]) => [key, "F32", shape]);
    assert.deepEqual(own.toSorted(([a = ""], [b = ""]) => a < b ? -1 : 1), contentsOf(smallBertFolder));
    assert.deepEqual([classifier.newKeys, classifier.target, classifier.model.pooling], [[], labels, "cls"]);
    assert.equal(classifier.folder, smallBertFolder);
  });
});

Deno.test("a checkpoint without prefix and head is a base model: its head is new", async () => {
  const rename = (name: string): string | null => name.startsWith("bert.") ? name.slice(5) : null;
  await withCopy({ rename }, async (folder) => {
    using classifier = await loadClassifier(folder, { target: otherLabels });
    assert.deepEqual(classifier.newKeys, ["classifier.weight", "classifier.bias"]);
    const [weights, original] = [weightsOf(classifier), await loadedWeights(smallBertFolder)];
    for (const [key, numbers] of weights) {
      if (!key.startsWith("classifier.")) assert.deepEqual(numbers, original.get(key), key);
    }
    await assert.rejects(loadClassifier(folder), {
      name: "CheckpointError",
      message: /has no trained head \(classifier\.weight, classifier\.bias\)/,
    });
  });
});

Deno.test("a base model without pooler starts from a new one", async () => {
  const rename = (name: string): string | null => /pooler|classifier/.test(name) ? null : name;
  await withCopy({ rename }, async (folder) => {
    using classifier = await loadClassifier(folder, { target: otherLabels });
    const keys = ["bert.pooler.dense.weight", "bert.pooler.dense.bias", "classifier.weight", "classifier.bias"];
    assert.deepEqual(classifier.newKeys, keys);
  });
});

Deno.test("LayerNorm's parameters may be named gamma and beta", async () => {
  const rename = (name: string): string =>
    name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta");
  const original = await loadedWeights(smallBertFolder);
  await withCopy({ rename }, async (folder) => {
    assert.ok(contentsOf(folder).some(([name]) => name.endsWith("LayerNorm.gamma")));
    assert.deepEqual(await loadedWeights(folder), original);
  });
});

Deno.test("heads of other tasks and position_ids are left unread", async () => {
  const original = await loadedWeights(smallBertFolder);
  const entry = (name: string, dtype: "F32" | "I64", count: number): SafetensorsSource => ({
    ...{ name, dtype, shape: [1, count] },
    bytes: () => new Uint8Array(count * (dtype === "F32" ? 4 : 8)),
  });
  const add = [
    entry("bert.embeddings.position_ids", "I64", 64),
    entry("cls.predictions.bias", "F32", 120),
    entry("cls.seq_relationship.weight", "F32", 2),
  ];
  await withCopy({ add }, async (folder) => assert.deepEqual(await loadedWeights(folder), original));
});

Deno.test("the same labels keep the head, others start a new one, and so does another task", async () => {
  const original = await loadedWeights(smallBertFolder);
  const same = await loadedWeights(smallBertFolder, { target: labels });
  assert.deepEqual(same, original);
  await assertNothingLeft(async () => {
    using other = await loadClassifier(smallBertFolder, { target: otherLabels });
    assert.deepEqual(other.newKeys, ["classifier.weight", "classifier.bias"]);
    assert.deepEqual(weightsOf(other).get("bert.pooler.dense.weight"), original.get("bert.pooler.dense.weight"));
    assert.notDeepEqual(weightsOf(other).get("classifier.weight"), original.get("classifier.weight"));
    assert.deepEqual(weightsOf(other).get("classifier.bias"), [0, 0, 0]);
    using regression = await loadClassifier(smallBertFolder, { target: "regression" });
    assert.deepEqual([regression.model.numLabels, regression.labels], [1, []]);
  });
});

Deno.test("a new head depends on the seed alone", async () => {
  const head = async (seed: number): Promise<number[]> =>
    (await loadedWeights(smallBertFolder, { target: otherLabels, seed })).get("classifier.weight") ?? [];
  assert.deepEqual(await head(1), await head(1));
  assert.notDeepEqual(await head(1), await head(2));
  const size = Math.sqrt((await head(1)).reduce((sum, value) => sum + value * value, 0) / 96);
  assert.ok(size > 0.015 && size < 0.025, `deviation ${size}`);
});

Deno.test("the head on the mean starts from the checkpoint's pooler, and with its labels from its classifier", async () => {
  const original = await loadedWeights(smallBertFolder);
  using mean = await loadClassifier(smallBertFolder, { pooling: "mean" });
  const weights = weightsOf(mean);
  const heads = [
    "mean_head.dense.weight",
    "mean_head.dense.bias",
    "mean_head.out_proj.weight",
    "mean_head.out_proj.bias",
  ];
  assert.deepEqual([...weights.keys()].filter((key) => !/^bert\.(embeddings|encoder)\./.test(key)), heads);
  const standard = ["bert.pooler.dense.weight", "bert.pooler.dense.bias", "classifier.weight", "classifier.bias"];
  assert.deepEqual(heads.map((key) => weights.get(key)), standard.map((key) => original.get(key)));
  assert.deepEqual(mean.newKeys, []);
  using other = await loadClassifier(smallBertFolder, { pooling: "mean", target: otherLabels });
  assert.deepEqual(other.newKeys, ["mean_head.out_proj.weight", "mean_head.out_proj.bias"]);
});

Deno.test("the head on the mean that the checkpoint has is read, whatever else it has", async () => {
  const entry = (name: string, shape: readonly number[]): SafetensorsSource => {
    const ones = new Float32Array(shape.reduce((product, length) => product * length)).fill(1);
    return { name: `mean_head.${name}`, dtype: "F32", shape, bytes: () => new Uint8Array(ones.buffer) };
  };
  const add = [
    ...[entry("dense.weight", [32, 32]), entry("dense.bias", [32])],
    ...[entry("out_proj.weight", [3, 32]), entry("out_proj.bias", [3])],
  ];
  await withCopy({ add }, async (folder) => {
    const weights = await loadedWeights(folder, { pooling: "mean" });
    for (const { name, shape } of add) {
      assert.deepEqual(weights.get(name), new Array(shape.reduce((product, length) => product * length)).fill(1), name);
    }
    assert.deepEqual(await loadedWeights(folder), await loadedWeights(smallBertFolder));
  });
});

Deno.test("a regression checkpoint is recognised", async () => {
  await assertNothingLeft(async () => {
    using classifier = await loadClassifier(`${smallBertFolder}/regression`);
    assert.deepEqual([classifier.target, classifier.model.numLabels], ["regression", 1]);
  });
});

for (const dtype of ["F16", "BF16"] as const) {
  Deno.test(`weights in ${dtype} are widened exactly, or kept`, async () => {
    const original = await loadedWeights(smallBertFolder);
    await withCopy({ change: toHalfWidth(dtype) }, async (folder) => {
      const [wide, narrow] = [
        await loadedWeights(folder),
        await loadedWeights(folder, { dtype: dtype === "F16" ? "float16" : "bfloat16" }),
      ];
      assert.deepEqual(narrow, wide);
      for (const [key, numbers] of wide) assertClose(numbers, original.get(key) ?? [], dtype === "F16" ? 1e-3 : 8e-3);
      assert.notDeepEqual(wide, original);
    });
  });
}

Deno.test("loading takes at most 1.2 times the weights, whatever the file's type", async () => {
  const minilm = await minilmFolder(cacheFolder("models"));
  using temporary = temporaryFolder();
  for (const dtype of ["F32", "F16", "BF16"] as const) {
    const folder = dtype === "F32" ? minilm : `${temporary.path}/${dtype}`;
    if (dtype !== "F32") copyCheckpoint(minilm, folder, { change: toHalfWidth(dtype) });
    await assertNothingLeft(async () => {
      const before = memory().liveBytes;
      resetPeakMemory();
      using classifier = await loadClassifier(folder, { target: otherLabels });
      const peak = memory().peakBytes - before;
      const weights = parameterBytes(classifier.model);
      assert.ok(weights > 90e6 && peak <= 1.2 * weights, `${peak} bytes for ${weights}`);
    });
  }
});

const refusals: readonly { readonly name: string; readonly changes: Changes; readonly message: RegExp }[] = [
  {
    name: "a missing key",
    changes: { rename: (name) => name === "bert.encoder.layer.1.output.dense.bias" ? null : name },
    message: /lacks bert\.encoder\.layer\.1\.output\.dense\.bias: it does not fit .*config\.json$/,
  },
  {
    name: "an unexpected key, and what is missing instead",
    changes: { rename: (name) => name.replace("layer.2.output.dense.bias", "layer.2.output.sparse.bias") },
    message:
      /unexpected bert\.encoder\.layer\.2\.output\.sparse\.bias; missing bert\.encoder\.layer\.2\.output\.dense\.bias$/,
  },
  {
    name: "more layers than the configuration has",
    changes: { config: { num_hidden_layers: 2 } },
    message: /unexpected bert\.encoder\.layer\.2\..* and 8 more$/,
  },
  {
    name: "another size than the configuration's",
    changes: { config: { intermediate_size: 48 } },
    message: /does not fit its config\.json: .*intermediate\.dense\.bias is \[64\] and not \[48\]/,
  },
  {
    name: "weights that are integers",
    changes: { change: (source) => source.name === "classifier.bias" ? { ...source, dtype: "I32" } : source },
    message: /classifier\.bias is of type I32, a parameter has to be a float$/,
  },
  {
    name: "another architecture",
    changes: { config: { model_type: "t5" } },
    message: /"t5" is not known.*: bert, roberta, xlm-roberta, distilbert, opt$/,
  },
  { name: "heads that do not divide", changes: { config: { num_attention_heads: 5 } }, message: /32 is no multiple/ },
  { name: "an activation of no name", changes: { config: { hidden_act: "swish9" } }, message: /"swish9" is unknown/ },
  {
    name: "relative positions",
    changes: { config: { position_embedding_type: "relative_key" } },
    message: /"relative_key" is not supported/,
  },
];

for (const { name, changes, message } of refusals) {
  Deno.test(`refused in one line, and nothing is left: ${name}`, async () => {
    await withCopy(changes, async (folder) => {
      await assert.rejects(loadClassifier(folder), (error) => {
        assert.ok(error instanceof Error);
        assert.equal(error.name, "CheckpointError");
        assert.match(error.message, message);
        assert.ok(!error.message.includes("\n"));
        return true;
      });
    });
  });
}

Deno.test("a truncated file and a missing folder are refused, and nothing is left", async () => {
  await withCopy({}, async (folder) => {
    Deno.truncateSync(`${folder}/model.safetensors`, 100_000);
    await assert.rejects(loadClassifier(folder), { name: "CheckpointError" });
    await assert.rejects(loadClassifier(`${folder}/nothing`), {
      name: "HubError",
      message: /^there is no folder .*nothing/,
    });
    await assert.rejects(loadClassifier(smallBertFolder, { target: { labels: ["one"] } }), { name: "OptionError" });
  });
});

Deno.test("loading shares nothing with the file: the weights are the model's own", async () => {
  await withCopy({}, async (folder) => {
    using classifier = await loadClassifier(folder);
    const before = weightsOf(classifier);
    Deno.removeSync(`${folder}/model.safetensors`);
    assert.deepEqual(weightsOf(classifier), before);
    scope(() => assert.ok([...namedParameters(classifier.model).values()].every((p) => p.isLeaf && p.requiresGrad)));
    assert.equal(scope(() => ops.zeros([1]).requiresGrad), false);
  });
});
