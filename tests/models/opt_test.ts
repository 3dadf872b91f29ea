// OPT against transformers: loss, logits and the gradient of every parameter, full and selective; its checkpoints.
//
// As in bert_test.ts: in float64 only the reference's own rounding is left (4.5e-8 is reached); the tolerances of
// float32 are about three times what is reached: gradients 2.4e-6, loss 2.2e-7, logits 3.8e-7, and 5.7e-8 where the
// gradient is zero, a key's bias in full fine-tuning.

import assert from "node:assert/strict";
import { type Classifier, loadClassifier, namedParameters, saveClassifier, toNumbers, train } from "../../mod.ts";
import { assertAgree, type Tolerance } from "../support/agreement.ts";
import { temporaryFolder } from "../native/fakes.ts";
import { type Changes, contentsOf, copyCheckpoint } from "../support/checkpoints.ts";
import { norm } from "../support/numbers.ts";
import { randomSequences } from "../support/random_bert.ts";
import { postNorm, randomOpt } from "../support/random_opt.ts";
import { compute, smallBertFolder } from "../support/small_bert.ts";
import { cases, loadCase, referenceGradients, sequences, smallOptFolder } from "../support/small_opt.ts";
import { assertNothingLeft } from "../support/torch.ts";

const tolerances: readonly Tolerance[] = [
  { dtype: "float64", gradient: 6e-8, zeroGradient: 1e-14, loss: 1e-14, logits: 1e-14 },
  { dtype: "float32", gradient: 7.5e-6, zeroGradient: 2e-7, loss: 7e-7, logits: 1.2e-6 },
];

for (const test of cases) {
  for (const tolerance of tolerances) {
    Deno.test(`${test.name} in ${tolerance.dtype}: loss, logits and every gradient`, async () => {
      await assertNothingLeft(async () => {
        using classifier = await loadCase(test, tolerance.dtype);
        const expected = referenceGradients(test);
        for (const mode of ["split", "masked"] as const) {
          for (const rowsPerBlock of [1024, 20]) {
            const run = { mode, rowsPerBlock };
            const { loss, logits, gradients } = compute(classifier, sequences, test.labels, test.selected, run);
            assertAgree("loss", [loss], [test.loss64], tolerance.loss);
            assertAgree("logits", logits, test.logits64.flat(), tolerance.logits);
            assert.deepEqual([...gradients.keys()].sort(), [...expected.keys()].sort());
            for (const [key, gradient] of gradients) {
              const isZero = test.selected === null && key.endsWith("k_proj.bias");
              if (isZero) assert.ok(norm(gradient) <= tolerance.zeroGradient, `${key}: ${norm(gradient)}`);
              else assertAgree(key, gradient, expected.get(key) ?? [], tolerance.gradient);
            }
          }
        }
      });
    });
  }
}

async function weightsOf(folder: string): Promise<Map<string, number[]>> {
  using classifier = await loadClassifier(folder, { target: otherLabels });
  return weights(classifier);
}

function weights({ model }: Classifier): Map<string, number[]> {
  return new Map([...namedParameters(model)].map(([key, parameter]) => [key, toNumbers(parameter)]));
}

const otherLabels = { labels: ["a", "b", "c"] };

/** Loads a changed copy of the tiny OPT. */
async function withCopy(changes: Changes, test: (folder: string) => Promise<void>): Promise<void> {
  using temporary = temporaryFolder();
  const folder = `${temporary.path}/copy`;
  copyCheckpoint(smallOptFolder, folder, changes);
  await assertNothingLeft(() => test(folder));
}

Deno.test("without word of its pooling a checkpoint has the standard head, and saves under the standard keys", async () => {
  using temporary = temporaryFolder();
  const folder = `${temporary.path}/saved`;
  await assertNothingLeft(async () => {
    using classifier = await loadClassifier(smallOptFolder);
    assert.deepEqual([classifier.model.pooling, classifier.newKeys], ["last", []]);
    saveClassifier(classifier, folder);
  });
  const standard = contentsOf(smallOptFolder).filter(([name]) => !name.startsWith("mean_head."));
  assert.deepEqual(contentsOf(folder), standard);
  const config = JSON.parse(Deno.readTextFileSync(`${folder}/config.json`));
  assert.deepEqual([config.architectures, config.fewtune.pooling], [["OPTForSequenceClassification"], "last"]);
});

Deno.test("the head on the mean saves and loads again", async () => {
  using temporary = temporaryFolder();
  await assertNothingLeft(async () => {
    using classifier = await loadClassifier(smallOptFolder, { pooling: "mean" });
    saveClassifier(classifier, `${temporary.path}/saved`);
    using again = await loadClassifier(`${temporary.path}/saved`);
    assert.deepEqual([again.model.pooling, again.newKeys], ["mean", []]);
    assert.deepEqual(weights(again), weights(classifier));
  });
});

const others = (name: string): boolean => /^(score|mean_head)\./.test(name);

const headless: readonly { readonly name: string; readonly changes: Changes }[] = [
  { name: "of the bare model", changes: { rename: (name) => others(name) ? null : name.slice("model.".length) } },
  {
    name: "of a language model",
    changes: {
      rename: (name) => others(name) ? null : name,
      add: [{ name: "lm_head.weight", dtype: "F32", shape: [60, 16], bytes: () => new Uint8Array(60 * 16 * 4) }],
    },
  },
];

for (const { name, changes } of headless) {
  Deno.test(`a checkpoint ${name} gives all but the head`, async () => {
    const original = await weightsOf(smallOptFolder);
    await withCopy(changes, async (folder) => {
      using classifier = await loadClassifier(folder, { target: otherLabels });
      assert.deepEqual(classifier.newKeys, ["score.weight"]);
      assert.deepEqual(weights(classifier), original);
      await assert.rejects(loadClassifier(folder), { message: /has no trained head \(score\.weight\)/ });
    });
  });
}

Deno.test("other labels start a new output; the same ones keep it", async () => {
  using same = await loadClassifier(smallOptFolder, { target: { labels: ["LABEL_0", "LABEL_1", "LABEL_2"] } });
  using other = await loadClassifier(smallOptFolder, { target: otherLabels, pooling: "mean" });
  assert.deepEqual([same.newKeys, other.newKeys], [[], ["mean_head.out_proj.weight", "mean_head.out_proj.bias"]]);
});

const refusals: readonly { readonly config: Record<string, unknown>; readonly message: RegExp }[] = [
  { config: { enable_bias: false }, message: /enable_bias false is not supported, only true is$/ },
  { config: { layer_norm_elementwise_affine: false }, message: /layer_norm_elementwise_affine false is not supported/ },
  { config: { layerdrop: 0.1 }, message: /layerdrop 0\.1 is not supported, only 0 is$/ },
  { config: { _remove_final_layer_norm: true }, message: /_remove_final_layer_norm true is not supported/ },
  { config: { do_layer_norm_before: "no" }, message: /do_layer_norm_before is "no", it has to be true or false$/ },
  { config: { word_embed_proj_dim: 0 }, message: /word_embed_proj_dim is 0, it has to be a whole number above 0$/ },
  { config: { num_attention_heads: 3 }, message: /hidden_size 16 is no multiple of num_attention_heads 3$/ },
  { config: { activation_function: "swish9" }, message: /"swish9" is unknown/ },
];

for (const { config, message } of refusals) {
  Deno.test(`refused in one line, and nothing is left: ${JSON.stringify(config)}`, async () => {
    await withCopy({ config }, async (folder) => {
      await assert.rejects(loadClassifier(folder), { name: "CheckpointError", message });
    });
  });
}

Deno.test("a pooling that the architecture has no head for is refused with those that it has", async () => {
  await assertNothingLeft(async () => {
    await assert.rejects(loadClassifier(smallOptFolder, { pooling: "cls" }), {
      name: "OptionError",
      message: 'opt has no head for the pooling "cls": it can be last (the standard head) or mean',
    });
    await assert.rejects(loadClassifier(smallBertFolder, { pooling: "last" }), {
      name: "OptionError",
      message: 'bert has no head for the pooling "last": it can be cls (the standard head) or mean',
    });
  });
});

function deviation(numbers: readonly number[]): number {
  return norm(numbers) / Math.sqrt(numbers.length);
}

Deno.test("random weights are normal with the deviation init_std, biases zero, norms one, the padding's row zero", () => {
  for (const [fields, std] of [[{ init_std: 0.1 }, 0.1], [{ init_std: null }, 0.02]] as const) {
    using classifier = randomOpt({ pooling: "mean", fields: { ...fields, word_embed_proj_dim: 16 } });
    for (const [key, numbers] of weights(classifier)) {
      if (key.endsWith("bias")) assert.ok(numbers.every((value) => value === 0), key);
      else if (key.endsWith("norm.weight")) assert.ok(numbers.every((value) => value === 1), key);
      else if (key !== "mean_head.out_proj.weight") assert.ok(Math.abs(deviation(numbers) / std - 1) < 0.15, key);
    }
    const tokens = weights(classifier).get("model.decoder.embed_tokens.weight") ?? [];
    const isZero = Array.from({ length: 4 }, (_, row) => norm(tokens.slice(16 * row, 16 * row + 16)) === 0);
    assert.deepEqual(isZero, [false, true, false, false]);
  }
});

const shapes = {
  "pre-norm": {},
  "post-norm": postNorm,
  "post-norm without projections": { do_layer_norm_before: false },
};

for (const [name, fields] of Object.entries(shapes)) {
  Deno.test(`it trains, and nothing is left: ${name}`, async () => {
    await assertNothingLeft(async () => {
      for (const pooling of ["mean", "last"] as const) {
        using classifier = randomOpt({ pooling, dropout: 0.1, fields: { init_std: 0.05, ...fields } });
        const examples = randomSequences([9, 3, 12, 1, 7, 5, 11, 8]).map((each, index) => ({
          ...each,
          label: index % 2,
        }));
        const losses: number[] = [];
        await train(classifier, { train: examples }, {
          ...{ k: pooling === "mean" ? 4 : "all", batchSize: 8, epochs: 30, learningRate: 5e-3 },
          ...{ activations: "recompute", optimizerInBackward: true },
          onEvent: (event) => event.type === "step" && losses.push(event.loss),
        });
        const [first = NaN, last = NaN] = [losses[0], losses.at(-1)];
        assert.ok(last < 0.5 * first, `${pooling}: ${first} to ${last}`);
      }
    });
  });
}
