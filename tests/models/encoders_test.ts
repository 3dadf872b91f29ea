// Checkpoints of RoBERTa, XLM-R and DistilBERT as they are published: bare models, language models, and what is refused.

import assert from "node:assert/strict";
import {
  type Classifier,
  loadClassifier,
  namedParameters,
  randomClassifier,
  saveClassifier,
  toNumbers,
} from "../../mod.ts";
import type { SafetensorsSource } from "../../src/files/safetensors_write.ts";
import { temporaryFolder } from "../native/fakes.ts";
import { type Changes, copyCheckpoint } from "../support/checkpoints.ts";
import { assertNothingLeft } from "../support/torch.ts";

const sizes = {
  vocab_size: 20,
  hidden_size: 8,
  num_hidden_layers: 1,
  num_attention_heads: 2,
  intermediate_size: 16,
  max_position_embeddings: 12,
  type_vocab_size: 1,
  pad_token_id: 1,
};

const distilbertSizes = {
  vocab_size: 20,
  dim: 8,
  n_layers: 1,
  n_heads: 2,
  hidden_dim: 16,
  max_position_embeddings: 12,
  pad_token_id: 0,
};

interface Published {
  readonly fields: Readonly<Record<string, unknown>>;
  readonly prefix: string;
  readonly head: RegExp;
  /** Keys of the head that checkpoints for other tasks lack. */
  readonly newKeys: readonly string[];
  readonly newMeanKeys: readonly string[];
  /** What a published language model has besides. */
  readonly others: readonly string[];
}

const meanHead = ["dense.weight", "dense.bias", "out_proj.weight", "out_proj.bias"].map((key) => `mean_head.${key}`);
const meanOutput = meanHead.slice(2);
const robertaHead = {
  prefix: "roberta.",
  head: /^classifier\./,
  newKeys: ["dense.weight", "dense.bias", "out_proj.weight", "out_proj.bias"].map((key) => `classifier.${key}`),
  newMeanKeys: meanOutput,
  others: [
    "lm_head.dense.weight",
    "lm_head.decoder.bias",
    "roberta.pooler.dense.weight",
    "roberta.embeddings.position_ids",
  ],
};

const published: readonly Published[] = [
  { ...robertaHead, fields: { model_type: "roberta", ...sizes } },
  { ...robertaHead, fields: { model_type: "xlm-roberta", ...sizes } },
  {
    fields: { model_type: "distilbert", ...distilbertSizes },
    prefix: "distilbert.",
    head: /^(pre_)?classifier\./,
    newKeys: ["pre_classifier.weight", "pre_classifier.bias", "classifier.weight", "classifier.bias"],
    newMeanKeys: meanHead,
    others: ["vocab_transform.weight", "vocab_layer_norm.bias", "vocab_projector.weight", "qa_outputs.bias"],
  },
];

const target = { labels: ["a", "b", "c"] };

function weightsOf({ model }: Classifier): Map<string, number[]> {
  return new Map([...namedParameters(model)].map(([key, parameter]) => [key, toNumbers(parameter)]));
}

/** Saves a random model with the standard head, and a changed copy of it. */
async function withCopy(
  fields: Published["fields"],
  changes: Changes,
  test: (copy: string, weights: Map<string, number[]>) => Promise<void>,
): Promise<void> {
  using temporary = temporaryFolder();
  await assertNothingLeft(async () => {
    using classifier = randomClassifier(fields, { target, pooling: "cls" });
    saveClassifier(classifier, `${temporary.path}/model`);
    copyCheckpoint(`${temporary.path}/model`, `${temporary.path}/copy`, changes);
    await test(`${temporary.path}/copy`, weightsOf(classifier));
  });
}

function entry(name: string): SafetensorsSource {
  return { name, dtype: "F32", shape: [4], bytes: () => new Uint8Array(16) };
}

for (const { fields, prefix, head, newKeys, newMeanKeys, others } of published) {
  const name = fields["model_type"];

  Deno.test(`${name}: a bare model and a language model give all but the head`, async () => {
    const bare = (key: string): string | null => head.test(key) ? null : key.slice(prefix.length);
    const language = (key: string): string | null => head.test(key) ? null : key;
    for (const changes of [{ rename: bare }, { rename: language, add: others.map(entry) }]) {
      await withCopy(fields, changes, async (copy, weights) => {
        using classifier = await loadClassifier(copy, { target });
        assert.deepEqual(classifier.newKeys, newKeys);
        const own = weightsOf(classifier);
        for (const [key, numbers] of weights) if (!head.test(key)) assert.deepEqual(own.get(key), numbers, key);
        await assert.rejects(loadClassifier(copy), { name: "CheckpointError", message: /has no trained head/ });
        using mean = await loadClassifier(copy, { target, pooling: "mean" });
        assert.deepEqual(mean.newKeys, meanHead);
      });
    }
  });

  Deno.test(`${name}: the head on the mean starts from what of the standard head is like it`, async () => {
    await withCopy(fields, {}, async (copy) => {
      using other = await loadClassifier(copy, { target: { labels: ["x", "y"] }, pooling: "mean" });
      assert.deepEqual(other.newKeys, newMeanKeys);
      using same = await loadClassifier(copy, { target, pooling: "mean" });
      assert.deepEqual(same.newKeys, newMeanKeys.filter((key) => !meanOutput.includes(key)));
    });
  });
}

const refusals: readonly { readonly fields: Record<string, unknown>; readonly message: RegExp }[] = [
  {
    fields: { model_type: "distilbert", ...distilbertSizes, sinusoidal_pos_embds: true },
    message: /^configuration: sinusoidal_pos_embds true is not supported, only false is$/,
  },
  {
    fields: { model_type: "distilbert", ...distilbertSizes, n_heads: 3 },
    message: /dim 8 is no multiple of n_heads 3$/,
  },
  {
    fields: { model_type: "roberta", ...sizes, max_position_embeddings: 2 },
    message: /max_position_embeddings is 2, it has to be above pad_token_id \+ 1, which is 2$/,
  },
  {
    fields: { model_type: "roberta", ...sizes, pad_token_id: 20 },
    message: /pad_token_id is 20, it has to be a token's id below vocab_size, which is 20$/,
  },
  { fields: { model_type: "xlm-roberta", ...sizes, is_decoder: true }, message: /is_decoder true is not supported/ },
  {
    fields: { model_type: "roberta", ...sizes, position_embedding_type: "relative_key" },
    message: /position_embedding_type "relative_key" is not supported, only "absolute" is$/,
  },
];

for (const { fields, message } of refusals) {
  Deno.test(`refused in one line: ${message.source}`, async () => {
    await assertNothingLeft(() => {
      assert.throws(() => randomClassifier(fields, { target, pooling: "cls" }), { name: "CheckpointError", message });
    });
  });
}

Deno.test("RoBERTa has as many positions as its table has rows after the padding's", () => {
  using classifier = randomClassifier({ model_type: "roberta", ...sizes }, { target });
  assert.equal(classifier.model.backbone.maxPositions, 10);
});
