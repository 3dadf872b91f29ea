// Training a language model: the same weights whatever is stored, cut or updated early; what learns; what is measured.

import assert from "node:assert/strict";
import {
  accumulateGradients,
  applyMethod,
  type Classifier,
  evaluate,
  forward,
  lossOf,
  memory,
  namedParameters,
  noGrad,
  ops,
  packBatch,
  packingFor,
  releaseMemory,
  resetPeakMemory,
  scope,
  type Sequence,
  toNumbers,
  train,
  type TrainOptions,
} from "../../mod.ts";
import { lessonsOf } from "../../src/train/lesson.ts";
import { scoreTexts, totalScore } from "../../src/train/text_score.ts";
import { distance, norm } from "../support/numbers.ts";
import { countingTexts, languageShapes, randomLanguageModel } from "../support/random_language_model.ts";
import type { RandomOptOptions } from "../support/random_opt.ts";
import { pack, takeGradients } from "../support/small_bert.ts";
import { assertNothingLeft } from "../support/torch.ts";

const texts = countingTexts([9, 3, 17, 2, 12, 7, 5, 10]);

function weights({ model }: Classifier): Map<string, number[]> {
  return new Map([...namedParameters(model)].map(([key, parameter]) => [key, toNumbers(parameter)]));
}

async function trained(model: RandomOptOptions, options: TrainOptions): Promise<number[]> {
  using classifier = randomLanguageModel(model);
  await train(classifier, { train: texts }, { k: 3, batchSize: 8, maxSteps: 3, learningRate: 0.01, ...options });
  // A key's bias has no effect, and no gradient but rounding, where every position is selected.
  const kept = weights(classifier).entries().filter(([key]) => options.k !== "all" || !key.endsWith("k_proj.bias"));
  return [...kept.map(([, numbers]) => numbers)].flat();
}

for (const [name, fields] of Object.entries(languageShapes)) {
  Deno.test(`${name}: the same weights to the bit, stored or recomputed, updated at the end or in backward`, async () => {
    await assertNothingLeft(async () => {
      for (const [k, precision] of [[3, "float32"], ["all", "float32"], [3, "bf16"]] as const) {
        const model = { fields, dropout: 0.1 };
        const options = { k, precision };
        const expected = await trained(model, { ...options, activations: "store" });
        assert.deepEqual(await trained(model, { ...options, activations: "recompute" }), expected);
        const early = { ...options, activations: "recompute", optimizerInBackward: true } as const;
        assert.deepEqual(await trained(model, early), expected);
        const layerwise = { k, clipping: "layer", maxGradNorm: 0.1 } as const;
        const clipped = await trained(model, layerwise);
        assert.deepEqual(await trained(model, { ...layerwise, optimizerInBackward: true }), clipped);
        assert.notDeepEqual(clipped, expected);
      }
    });
  });

  Deno.test(`${name}: micro-batches have the mean over all selected positions, however they are spread`, async () => {
    await assertNothingLeft(async () => {
      for (const k of [4, "all"] as const) {
        const model = { fields, dtype: "float64" } as const;
        const whole = await trained(model, { k });
        for (const gradientAccumulation of [2, 3, 8]) {
          const parts = await trained(model, { k, gradientAccumulation });
          assert.ok(distance(parts, whole) <= 1e-12 * norm(whole), `${distance(parts, whole) / norm(whole)}`);
        }
      }
    });
  });
}

Deno.test("it learns to count: loss and perplexity fall, and with the optimizer in backward nothing is left", async () => {
  await assertNothingLeft(async () => {
    // The embeddings of a random model, which LoRA leaves as they are, hold little.
    for (
      const [method, k, share] of [["selective", 4, 0.25], ["full", "all", 0.25], ["selective+lora", 4, 0.75]] as const
    ) {
      using classifier = randomLanguageModel({ dropout: 0.05 });
      applyMethod(classifier, method);
      const lengths = Array.from({ length: 64 }, (_, index) => 8 + index % 9);
      const dev = countingTexts([10, 12, 14, 16], 99);
      const before = (await evaluate(classifier, dev))["perplexity"] ?? NaN;
      const { metrics } = await train(classifier, { train: countingTexts(lengths), dev }, {
        ...{ k, batchSize: 16, epochs: 24, learningRate: 5e-3, optimizerInBackward: true, activations: "recompute" },
      });
      const after = metrics?.["perplexity"] ?? NaN;
      assert.ok(after < share * before, `${method}: ${before} to ${after}`);
    }
  });
});

for (const [method, options] of [["lora", {}], ["freeze", { freezeLayers: 1 }]] as const) {
  Deno.test(`${method} leaves a tied head frozen with the embeddings, and trains one of its own`, async () => {
    await assertNothingLeft(async () => {
      for (const fields of [languageShapes.tied, languageShapes.untied]) {
        using classifier = randomLanguageModel({ fields });
        applyMethod(classifier, method, options);
        const before = weights(classifier);
        const { trainableParameters } = await train(classifier, { train: texts }, { k: 3, batchSize: 4, maxSteps: 3 });
        const changed = [...weights(classifier)].filter(([key, numbers]) =>
          distance(numbers, before.get(key) ?? []) > 0
        );
        const isOpen = (key: string): boolean =>
          key === "lm_head.weight" ||
          (method === "lora" ? key.includes("lora_") : /layers\.[12]|decoder\.final/.test(key));
        const expected = [...before].filter(([key]) => isOpen(key));
        assert.deepEqual(changed.map(([key]) => key), expected.map(([key]) => key));
        assert.equal(trainableParameters, expected.reduce((sum, [, { length }]) => sum + length, 0));
        assert.equal(before.has("lm_head.weight"), fields === languageShapes.untied);
      }
    });
  });
}

Deno.test("a text's score does not depend on its neighbours, and is what its logits say", async () => {
  await assertNothingLeft(async () => {
    using classifier = randomLanguageModel({ dtype: "float64", dropout: 0.1 });
    const scores = await scoreTexts(classifier, texts, { batchSize: 3 });
    for (const [index, { sequence, answers }] of lessonsOf(texts, "nextToken").entries()) {
      const logits = logitsOf(classifier, sequence);
      const losses = logits.map((row, position) => {
        const sum = row.reduce((total, logit) => total + Math.exp(logit), 0);
        return Math.log(sum) - (row[answers[position] ?? NaN] ?? NaN);
      });
      const correct = logits.filter((row, position) => row.indexOf(Math.max(...row)) === answers[position]).length;
      const { loss, ...counts } = scores[index] ?? { loss: NaN };
      assert.deepEqual(counts, { tokens: answers.length, correct });
      assert.ok(Math.abs(loss - losses.reduce((a, b) => a + b)) <= 1e-12 * loss);
    }
    assert.deepEqual(totalScore(scores).tokens, texts.reduce((sum, { inputIds }) => sum + inputIds.length - 1, 0));
  });
});

function logitsOf({ model }: Classifier, sequence: Sequence): number[][] {
  const selected = [Array.from({ length: sequence.inputIds.length }, (_, position) => position)];
  return noGrad(() =>
    scope(() => {
      const logits = toNumbers(forward(model, packBatch([sequence], { selected, ...packingFor(model) }), null));
      return selected.flat().map((row) => logits.slice(row * model.numLabels, (row + 1) * model.numLabels));
    })
  );
}

// 64 MiB hold so many rows of logits over a large vocabulary.
const [vocabulary, rowsAtOnce] = [2 ** 16, 256];

/** The most bytes above those at the start, in units of 64 MiB. */
async function partsOfLogits(body: () => Promise<unknown>): Promise<number> {
  releaseMemory();
  const { liveBytes } = memory();
  resetPeakMemory();
  await body();
  return (memory().peakBytes - liveBytes) / 2 ** 26;
}

Deno.test("logits over a vocabulary exist in parts of 64 MiB, in evaluation and in training", async () => {
  await assertNothingLeft(async () => {
    using classifier = randomLanguageModel({ fields: { vocab_size: vocabulary, hidden_size: 8, ffn_dim: 8 } });
    // 512 positions: two parts.
    const long = countingTexts(new Array<number>(4).fill(rowsAtOnce / 2 + 1));
    const inEvaluation = await partsOfLogits(() => evaluate(classifier, long));
    assert.ok(inEvaluation > 2 && inEvaluation < 2.2, `${inEvaluation}`);
    const options = { k: "all", batchSize: 8, maxSteps: 1 } as const;
    // The logarithms of the probabilities and two gradients; those of the weights and the optimizer's state are 0.1.
    const inTraining = await partsOfLogits(() => train(classifier, { train: long }, options));
    assert.ok(inTraining > 3 && inTraining < 3.5, `${inTraining}`);
  });
});

Deno.test("parts of the outputs give the loss and the gradients of the whole", async () => {
  await assertNothingLeft(() => {
    for (const fields of Object.values(languageShapes)) {
      using classifier = randomLanguageModel({ fields, dtype: "float64" });
      const lessons = lessonsOf(texts, "nextToken");
      const answers = lessons.flatMap((lesson) => Array.from(lesson.answers));
      const run = (rowsPerLogits: number): [number, ...number[]] =>
        scope(() => {
          const batch = pack(classifier, lessons.map(({ sequence }) => sequence), null);
          const losses: number[] = [];
          const loss = accumulateGradients(classifier.model, batch, (logits, from) => {
            const some = answers.slice(from, from + logits.length(0));
            return ops.mulScalar(lossOf(logits, some, "nextToken"), some.length / answers.length);
          }, { random: null, rowsPerLogits, onLoss: (value) => losses.push(value) });
          assert.deepEqual([losses.length, losses.at(-1)], [Math.ceil(answers.length / rowsPerLogits), loss]);
          return [loss, ...[...takeGradients(classifier).values()].flat()];
        });
      const whole = run(answers.length);
      for (const rows of [1, 10, 56]) assert.ok(distance(run(rows), whole) <= 1e-14 * norm(whole));
    }
  });
});

Deno.test("a text without a next token is refused, with its number", async () => {
  using classifier = randomLanguageModel();
  const short = [...texts.slice(0, 2), ...countingTexts([1])];
  const message = /^example 3 has 1 token: a language model needs two or more/;
  await assert.rejects(evaluate(classifier, short), { name: "DataError", message });
  await assert.rejects(train(classifier, { train: short }), { name: "DataError", message });
  await assert.rejects(train(classifier, { train: [] }), { name: "DataError", message: "there are no examples" });
});
