// Methods that compute the model's weights from others that train: masking and diff pruning. What trains, what stays to
// the bit, what is saved, and that outside of a step the model is the one for evaluation.

import assert from "node:assert/strict";
import { join } from "node:path";
import {
  applyMethod,
  type Classifier,
  evaluate,
  Generator,
  loadClassifier,
  memory,
  mergeAdapter,
  type MethodOptions,
  namedParameters,
  noGrad,
  ops,
  saveAdapter,
  saveClassifier,
  selectPositions,
  toNumbers,
  train,
  type TrainOptions,
} from "../../mod.ts";
import { derivedOf, refreshDerived } from "../../src/models/derivations.ts";
import { derivedBytes } from "../../src/selective/derived_bytes.ts";
import { estimatePeak } from "../../src/selective/peak_estimate.ts";
import { measureMemory, weightsBytesOf } from "../../src/train/profile_memory.ts";
import { ProfiledStep } from "../../src/train/profiled_step.ts";
import { temporaryFolder } from "../native/fakes.ts";
import { leaveGradients, takeTrained, trainedNumbers } from "../support/derived.ts";
import { distance, norm } from "../support/numbers.ts";
import { labelledSequences, randomBert } from "../support/random_bert.ts";
import { postNorm, randomOpt } from "../support/random_opt.ts";
import { compute, smallBertFolder } from "../support/small_bert.ts";
import { smallOptFolder } from "../support/small_opt.ts";
import { assertNothingLeft } from "../support/torch.ts";

const examples = labelledSequences([9, 3, 17, 1, 6, 12]);
const labels = examples.map(({ label = 0 }) => label);

const models: Readonly<Record<string, () => Classifier>> = {
  "a BERT": () => randomBert({ dropout: 0.1 }),
  "a BERT with the standard head": () => randomBert({ dropout: 0.1, pooling: "cls" }),
  "an OPT": () => randomOpt({ dropout: 0.1 }),
  "an OPT whose layers end with a norm": () => randomOpt({ dropout: 0.1, fields: postNorm, pooling: "mean" }),
};

const methods: readonly (readonly [string, MethodOptions])[] = [
  ["selective+mask", { maskSparsity: 0.2 }],
  ["freeze+mask+bitfit", { freezeLayers: 1, maskTargets: ["query", "output"] }],
  ["selective+diff", { diffPenalty: 1e-4 }],
  ["freeze+diff", { freezeLayers: 1, diffUnstructured: true, diffSparsity: 0.1 }],
];

const settings: TrainOptions = { batchSize: 3, maxSteps: 4, learningRate: 1e-2, warmupRatio: 0 };

function settingsFor(method: string): TrainOptions {
  return { ...settings, k: method.startsWith("selective") ? 4 : "all" };
}

function weights({ model }: Classifier): Map<string, number[]> {
  return new Map([...namedParameters(model)].map(([key, parameter]) => [key, toNumbers(parameter)]));
}

function derivedKeys({ model, adaptation }: Classifier): Set<string> {
  const derived = new Set(derivedOf(adaptation?.insertions).flatMap(({ derivation }) => derivation.derived));
  return new Set([...namedParameters(model)].filter(([, tensor]) => derived.has(tensor)).map(([key]) => key));
}

function takeOut({ adaptation }: Classifier): void {
  for (const { detach } of adaptation?.insertions ?? []) detach();
}

function logitsOf(classifier: Classifier): readonly number[] {
  return compute(classifier, examples, labels, null).logits;
}

for (const [name, make] of Object.entries(models)) {
  for (const [method, options] of methods) {
    Deno.test(`${method} on ${name}: what trains changes, all else stays to the bit, and taken out the base has its bits`, async () => {
      await assertNothingLeft(async () => {
        using classifier = make();
        const before = weights(classifier);
        applyMethod(classifier, method, options);
        const [trained, derived] = [trainedNumbers(classifier), derivedKeys(classifier)];
        assert.ok(derived.size > 0 && trained.keys().every((key) => !derived.has(key)));
        const bytes = memory().liveBytes;
        let liveBytes = 0;
        const result = await train(classifier, { train: examples }, {
          ...settingsFor(method),
          onEvent: (event) => event.type === "step" && (liveBytes = event.liveBytes),
        });
        for (const [key, numbers] of trainedNumbers(classifier)) assert.notDeepEqual(numbers, trained.get(key), key);
        const tensors = [...classifier.trained.values()];
        const count = tensors.reduce((sum, { size }) => sum + size, 0);
        assert.equal(result.trainableParameters, count);
        assert.equal(liveBytes - bytes, 2 * 4 * count + 4 * tensors.length);
        for (const [key, numbers] of weights(classifier)) {
          if (!derived.has(key) && !trained.has(key)) assert.deepEqual(numbers, before.get(key), key);
        }
        for (const parameter of [...tensors, ...namedParameters(classifier.model).values()]) {
          assert.equal(parameter.grad, null);
        }
        takeOut(classifier);
        const detached = weights(classifier);
        for (const key of derived) assert.deepEqual(detached.get(key), before.get(key), key);
      });
    });
  }
}

for (const [method, options] of methods) {
  Deno.test(`${method} trains the same to the bit when activations are computed again; the optimizer in backward is refused`, async () => {
    const trained = async (more: TrainOptions): Promise<Map<string, number[]>> => {
      using classifier = randomBert({ dropout: 0.1, numHiddenLayers: 2 });
      applyMethod(classifier, method, options);
      await train(classifier, { train: examples }, { ...settingsFor(method), ...more });
      return new Map([...weights(classifier), ...trainedNumbers(classifier)]);
    };
    assert.deepEqual(await trained({ activations: "recompute" }), await trained({ activations: "store" }));
    await assertNothingLeft(() =>
      assert.rejects(trained({ optimizerInBackward: true }), {
        name: "OptionError",
        message:
          /the optimizer in backward .*, but (mask|bitfit\+mask|diff) computes them .*: leave out one of the two/,
      })
    );
  });

  Deno.test(`${method} with selected positions has the gradients of masked mode`, async () => {
    await assertNothingLeft(() => {
      using classifier = randomBert({ dtype: "float64" });
      applyMethod(classifier, method, options);
      using random = new Generator(4);
      const selected = selectPositions(examples.map(({ inputIds }) => inputIds.length), 4, random, "mean");
      const gradients = (mode: "split" | "masked"): Map<string, number[]> => {
        using noise = new Generator(9);
        for (const { derivation } of derivedOf(classifier.adaptation?.insertions)) derivation.refresh(noise);
        leaveGradients(classifier, examples, labels, selected, { mode, ...(mode === "split" && { rowsPerBlock: 20 }) });
        return takeTrained(classifier);
      };
      const [split, masked] = [gradients("split"), gradients("masked")];
      assert.ok(norm([...masked.values()].flat()) > 0);
      for (const [key, reference] of masked) {
        const off = distance(split.get(key) ?? [], reference);
        assert.ok(off <= 1e-11 * Math.max(1, norm(reference)), `${key}: ${off} off of ${norm(reference)}`);
      }
      refreshDerived(classifier.adaptation);
    });
  });

  for (const base of [smallBertFolder, smallOptFolder]) {
    Deno.test(`${method} of ${base.slice(-10)}, trained and saved, loads again with the same logits; merged too`, async () => {
      using temporary = temporaryFolder();
      const [adapter, whole] = [join(temporary.path, "adapter"), join(temporary.path, "whole")];
      await assertNothingLeft(async () => {
        using classifier = await loadClassifier(base, { target: { labels: ["no", "yes"] } });
        const before = weights(classifier);
        applyMethod(classifier, method, options);
        const derived = derivedKeys(classifier);
        await train(classifier, { train: examples }, settingsFor(method));
        const logits = logitsOf(classifier);
        saveAdapter(classifier, adapter);
        {
          using again = await loadClassifier(adapter);
          assert.deepEqual(logitsOf(again), logits);
          await train(again, { train: examples }, { ...settingsFor(method), maxSteps: 1 });
          assert.notDeepEqual(logitsOf(again), logits);
        }
        const trained = weights(classifier);
        using merged = mergeAdapter(classifier, { keepsWeights: true });
        assert.ok(!classifier.adaptation);
        assert.deepEqual(weights(classifier), trained);
        saveClassifier(classifier, whole);
        using ordinary = await loadClassifier(whole);
        assert.deepEqual(logitsOf(ordinary), logits);
        merged.unmerge();
        assert.deepEqual(weights(classifier), trained);
        takeOut(classifier);
        const detached = weights(classifier);
        for (const key of derived) assert.deepEqual(detached.get(key), before.get(key), key);
      });
    });
  }

  Deno.test(`${method}: the best evaluation's weights are the result, and their evaluation its metrics`, async () => {
    using classifier = randomBert({ numHiddenLayers: 2 });
    applyMethod(classifier, method, options);
    const found: number[] = [];
    const result = await train(classifier, { train: examples, dev: examples }, {
      ...settingsFor(method),
      ...{ maxSteps: 8, learningRate: 0.1, evalSteps: 1, keepBest: true, divergenceFactor: 1e9 },
      onEvent: (event) => event.type === "evaluation" && event.isBest && found.push(event.step),
    });
    assert.ok(found.length > 0 && result.best?.step === found.at(-1));
    // Diff pruning's first phase is no result.
    if (method.includes("diff")) assert.ok(found.every((step) => step > 4), `${found}`);
    assert.deepEqual(await evaluate(classifier, examples), result.metrics);
  });

  Deno.test(`${method}: a step that fails leaves the model for evaluation, and no gradients`, async () => {
    await assertNothingLeft(async () => {
      using classifier = randomBert({ numHiddenLayers: 2 });
      applyMethod(classifier, method, options);
      const before = weights(classifier);
      const [bias] = [...namedParameters(classifier.model.head).values()].slice(-1);
      assert.ok(bias);
      noGrad(() => ops.fill_(bias, NaN).dispose());
      await assert.rejects(train(classifier, { train: examples }, settingsFor(method)), { name: "TrainingError" });
      const derived = derivedKeys(classifier);
      for (const [key, numbers] of weights(classifier)) {
        if (derived.has(key)) assert.deepEqual(numbers, before.get(key), key);
      }
      for (const parameter of [...namedParameters(classifier.model).values(), ...classifier.trained.values()]) {
        assert.equal(parameter.grad, null);
      }
    });
  });

  Deno.test(`${method}: the peak is what was planned`, () => {
    using classifier = randomBert({ hiddenSize: 64, numHiddenLayers: 3, intermediateSize: 128 });
    applyMethod(classifier, method, options);
    const plan = { activations: "store", keptStates: { from: 1, every: 1 } } as const;
    const step = {
      lengths: new Array<number>(4).fill(32),
      k: 8,
      precision: "float32",
      optimizerInBackward: false,
    } as const;
    const outsideBytes = memory().liveBytes - weightsBytesOf(classifier);
    using steps = new ProfiledStep(classifier, { ...step, ...plan, seed: 1 });
    steps.run(() => {});
    const measured = Math.max(...measureMemory(steps, classifier, outsideBytes).pieces.map((each) => each.peakBytes));
    const planned = estimatePeak(classifier.model, { ...step, derived: derivedBytes(classifier.adaptation) }, plan);
    const share = measured / planned;
    assert.ok(share <= 1 && share >= 0.9, `${share} of the estimate`);
  });
}

Deno.test("a run of one step chooses what stays before it", async () => {
  using classifier = randomBert({ numHiddenLayers: 1 });
  applyMethod(classifier, "diff", { diffSparsity: 0.01 });
  const before = weights(classifier);
  await train(classifier, { train: examples }, { ...settings, maxSteps: 1, k: "all" });
  const backbone = namedParameters(classifier.model.backbone);
  const total = backbone.values().reduce((sum, { size }) => sum + size, 0);
  const changed = [...weights(classifier)].filter(([key]) => !key.startsWith("mean_head.")).reduce(
    (sum, [key, numbers]) => sum + numbers.filter((value, index) => value !== before.get(key)?.[index]).length,
    0,
  );
  assert.ok(changed > 0 && changed <= Math.round(0.01 * total), `${changed} of ${total}`);
});
