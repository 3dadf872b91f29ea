// What is planned is what happens: estimated peaks beside measured ones, and the choice that follows from them.

import assert from "node:assert/strict";
import {
  applyMethod,
  type Classifier,
  memory,
  ops,
  OptionError,
  parameterBytes,
  type SelectionSize,
  trainedParameters,
} from "../../mod.ts";
import type { Precision } from "../../src/selective/gradients.ts";
import { type ActivationPlan, estimatePeak } from "../../src/selective/peak_estimate.ts";
import { planActivations } from "../../src/selective/plan.ts";
import type { PlannedStep } from "../../src/selective/step_shape.ts";
import { measureMemory } from "../../src/train/profile_memory.ts";
import { ProfiledStep } from "../../src/train/profiled_step.ts";
import { randomBert } from "../support/random_bert.ts";
import { randomOpt } from "../support/random_opt.ts";
import { assertNothingLeft } from "../support/torch.ts";

const [batchSize, hiddenSize, numHiddenLayers] = [16, 128, 6];
const sizes = { hiddenSize, numHiddenLayers, intermediateSize: 512 };

function stepOf(k: SelectionSize, length = 128, changes: Partial<PlannedStep> = {}): PlannedStep {
  const lengths = new Array<number>(batchSize).fill(length);
  return { lengths, k, precision: "float32", optimizerInBackward: false, ...changes };
}

/** The most bytes that lived in the second of two steps; the first makes the optimizer's state. */
function measuredPeak(classifier: Classifier, step: PlannedStep, plan: ActivationPlan): number {
  const outside = memory().liveBytes - parameterBytes(classifier.model);
  using steps = new ProfiledStep(classifier, { ...step, ...plan, seed: 1 });
  steps.run(() => {});
  return Math.max(...measureMemory(steps, classifier, outside).pieces.map(({ peakBytes }) => peakBytes));
}

function freeze({ model: { backbone } }: Classifier, layers: number): void {
  for (const part of [backbone.embeddings, ...backbone.layers.slice(0, layers)]) {
    for (const parameter of trainedParameters(part)) ops.requiresGrad_(parameter, false).dispose();
  }
}

const store: ActivationPlan = { activations: "store", keptStates: { from: 1, every: 1 } };

function recompute(from: number, every = 1): ActivationPlan {
  return { activations: "recompute", keptStates: { from, every } };
}

function assertEstimate(classifier: Classifier, step: PlannedStep, plan: ActivationPlan, least = 0.9): void {
  const share = measuredPeak(classifier, step, plan) / estimatePeak(classifier.model, step, plan);
  assert.ok(share <= 1 && share >= least, `${share} of the estimate: ${JSON.stringify({ ...step, ...plan })}`);
}

const plans = [store, recompute(0), recompute(3), recompute(0, 3), recompute(0, 6)];
const precisions: readonly Precision[] = ["float32", "bf16"];

const optFields = { num_hidden_layers: numHiddenLayers, ffn_dim: sizes.intermediateSize };

const models: Readonly<Record<string, () => Classifier>> = {
  "a BERT": () => randomBert(sizes),
  "with dropout": () => randomBert({ ...sizes, dropout: 0.1 }),
  "with three layers frozen": () => {
    const classifier = randomBert(sizes);
    freeze(classifier, 3);
    return classifier;
  },
  "with a narrow feed-forward": () => randomBert({ ...sizes, intermediateSize: 128, numHiddenLayers: 4 }),
  "an OPT, whose layers begin with a norm": () => randomOpt({ hiddenSize, fields: optFields }),
  "an OPT, whose layers end with one": () =>
    randomOpt({ hiddenSize, fields: { ...optFields, do_layer_norm_before: false } }),
};

for (const [name, create] of Object.entries(models)) {
  Deno.test(`a step's peak is at most the estimate, and at least nine tenths of it: ${name}`, async () => {
    await assertNothingLeft(() => {
      using classifier = create();
      for (const precision of precisions) {
        for (const plan of plans) assertEstimate(classifier, stepOf(8, 128, { precision }), plan);
        const ofAll = stepOf("all", 64, { precision, optimizerInBackward: true });
        for (const plan of [store, recompute(0)]) assertEstimate(classifier, ofAll, plan);
        assertEstimate(classifier, stepOf(16, 64, { precision, optimizerInBackward: true }), recompute(1));
        const lengths = Array.from({ length: batchSize }, (_, index) => 128 - 4 * index);
        assertEstimate(classifier, stepOf(16, 0, { precision, lengths }), store);
      }
    });
  });
}

// Without the gradients of weights, which are counted exactly, what is estimated is more of a peak.
Deno.test("a step's peak is at most the estimate, and at least four fifths of it: with a prefix and a prompt", async () => {
  await assertNothingLeft(() => {
    using classifier = randomBert(sizes);
    applyMethod(classifier, "prefix+prompt", { promptLength: 10 });
    for (const plan of [store, recompute(0)]) assertEstimate(classifier, stepOf(8), plan, 0.8);
    assertEstimate(classifier, stepOf("all", 64, { precision: "bf16" }), store, 0.8);
  });
});

const vocabularies = { tied: {}, untied: { tie_word_embeddings: false } };

for (const [name, fields] of Object.entries(vocabularies)) {
  Deno.test(`and that of a language model with a large vocabulary, ${name}`, async () => {
    await assertNothingLeft(() => {
      const wide = { vocab_size: 20_000, num_hidden_layers: 4, ffn_dim: 512, ...fields };
      using classifier = randomOpt({ hiddenSize, target: "nextToken", pooling: "each", fields: wide });
      for (const plan of [store, recompute(0)]) {
        // All 1,024 positions have their logits in two parts.
        assertEstimate(classifier, stepOf("all", 64), plan);
        assertEstimate(classifier, stepOf(8, 64, { optimizerInBackward: true }), plan);
      }
    });
  });
}

// In squares of the hidden size, for a feed-forward that is n times as wide: a row through a layer takes 4 + 2n
// multiplications, twice as many and 3 backward; recompute takes 2 again for a row of the rest, 1 + 2n for a selected one.
function shareOfRecomputing(n: number, k: number, length: number): number {
  const selected = k / length;
  return (2 * (1 - selected) + (1 + 2 * n) * selected) / (4 + 2 * n + selected * (2 * (4 + 2 * n) + 3));
}

Deno.test("without a budget, recompute where it costs less than 15 % of a step", () => {
  const cases = [[4, 8, 128], [8, 8, 128], [8, 64, 128], [6, 8, 128], [6, 1, 128]] as const;
  const chosen = cases.map(([width, k, length]) => {
    using classifier = randomBert({ ...sizes, intermediateSize: width * hiddenSize });
    const { activations } = planActivations(classifier.model, stepOf(k, length), null);
    assert.equal(
      activations === "recompute",
      shareOfRecomputing(width, k, length) < 0.15,
      `${width} ${k} of ${length}`,
    );
    return activations;
  });
  assert.deepEqual(new Set(chosen), new Set(["store", "recompute"]));
});

Deno.test("the tighter the budget, the less is kept, until nothing fits; what is chosen stays below it", async () => {
  await assertNothingLeft(() => {
    using classifier = randomBert({ ...sizes, numHiddenLayers: 8 });
    const { model } = classifier;
    const unlimited = stepOf(8, 128, { optimizerInBackward: true });
    const full = estimatePeak(model, unlimited, store);
    const chosen: ActivationPlan[] = [];
    let memoryBudget = full;
    const plan = (): ActivationPlan => planActivations(model, unlimited, memoryBudget);
    assert.throws(
      () => {
        for (; memoryBudget > 0; memoryBudget = estimatePeak(model, unlimited, chosen.at(-1) ?? store) - 1) {
          chosen.push(plan());
          assert.ok(measuredPeak(classifier, unlimited, plan()) <= memoryBudget);
        }
      },
      (error) =>
        error instanceof OptionError &&
        /^the memory budget is [\d.]+ MiB, but a step needs about [\d.]+ MiB: allow more, .*LoRA$/.test(error.message),
    );
    assert.equal(chosen[0]?.activations, "store");
    assert.ok(chosen.length >= 3 && chosen.slice(1).every(({ activations }) => activations === "recompute"));
    const kept = chosen.slice(1).map(({ keptStates: { from, every } }) =>
      model.backbone.layers.filter((_, layer) => layer > 0 && layer >= from && (7 - layer) % every === 0).length
    );
    assert.deepEqual(kept, kept.toSorted((a, b) => b - a));
    assert.ok((kept.at(-1) ?? 7) < (kept[0] ?? 0));
  });
});
