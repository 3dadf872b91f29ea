// LoRA against PEFT: logits, gradients and three steps of training; against masked mode where it is selective; merging.
//
// The tolerances are a few times what is reached; the reference gradients and weights are rounded to float32.

import assert from "node:assert/strict";
import {
  AdamW,
  applyMethod,
  type Classifier,
  type DType,
  Generator,
  loadClassifier,
  mergeAdapter,
  namedParameters,
  noGrad,
  ops,
  selectPositions,
  tensorFrom,
  toNumbers,
  trainedParameters,
} from "../../mod.ts";
import { temporaryFolder } from "../native/fakes.ts";
import { copyAdapter, loraFixture, loraNumbers } from "../support/lora.ts";
import { distance, norm } from "../support/numbers.ts";
import { randomBert, randomSequences } from "../support/random_bert.ts";
import { compute } from "../support/small_bert.ts";
import { assertClose, assertNothingLeft } from "../support/torch.ts";

const { sequences, labels, logits64, loss64, losses64, learningRate, weightDecay } = loraFixture;

async function withAdapter(dtype: DType, test: (classifier: Classifier) => void): Promise<void> {
  using temporary = temporaryFolder();
  copyAdapter(`${temporary.path}/adapter`);
  await assertNothingLeft(async () => {
    using classifier = await loadClassifier(`${temporary.path}/adapter`, { dtype });
    test(classifier);
  });
}

function trained({ model }: Classifier): Map<string, number[]> {
  const own = [...namedParameters(model)].filter(([, tensor]) => tensor.requiresGrad);
  return new Map(own.map(([key, tensor]) => [key, toNumbers(tensor)]));
}

for (const [dtype, tolerance, gradientTolerance] of [["float32", 1e-6, 4e-6], ["float64", 1e-14, 1e-7]] as const) {
  Deno.test(`PEFT's adapter gives PEFT's logits, loss and gradients, in ${dtype}`, async () => {
    await withAdapter(dtype, (classifier) => {
      const { logits, loss, gradients } = compute(classifier, sequences, labels, null);
      assertClose(logits, logits64.flat(), tolerance * norm(logits64.flat()));
      assertClose([loss], [loss64], tolerance);
      const expected = loraNumbers("gradients");
      assert.deepEqual([...expected.keys()].sort(), [...trained(classifier).keys()].sort());
      assert.ok(expected.keys().some((key) => key.includes("lora_A")));
      for (const [key, numbers] of gradients) {
        const reference = expected.get(key) ?? numbers.map(() => 0);
        const off = distance(numbers, reference);
        assert.ok(off <= gradientTolerance * norm(reference), `${key}: ${off} off of ${norm(reference)}`);
      }
    });
  });
}

Deno.test("three steps are PEFT's: the losses, and the weights after them", async () => {
  await withAdapter("float64", (classifier) => {
    using optimizer = new AdamW(trainedParameters(classifier.model), { weightDecay });
    const before = [...trained(classifier).values()].flat();
    const losses = losses64.map(() => {
      const { loss, gradients } = compute(classifier, sequences, labels, null);
      setGradients(classifier, gradients);
      optimizer.step(learningRate);
      return loss;
    });
    assertClose(losses, losses64, 1e-12);
    const [after, expected] = [trained(classifier), loraNumbers("after")];
    for (const [key, numbers] of after) assertClose(numbers, expected.get(key) ?? [], 2e-7);
    assert.ok(distance([...after.values()].flat(), before) > 0.05);
  });
});

function setGradients({ model }: Classifier, gradients: ReadonlyMap<string, readonly number[]>): void {
  for (const [key, parameter] of namedParameters(model)) {
    const numbers = gradients.get(key);
    if (!parameter.requiresGrad || !numbers) continue;
    using gradient = tensorFrom(numbers, { shape: parameter.shape, dtype: parameter.dtype });
    parameter.grad = gradient;
  }
}

/** A model with LoRA whose B is not zero, so that A has a gradient. */
function adapted(method: string, dtype: DType): Classifier {
  const classifier = randomBert({ dtype });
  applyMethod(classifier, method, { loraR: 4, ...(method.includes("freeze") && { freezeLayers: 1 }) });
  using random = new Generator(9);
  for (const [key, tensor] of namedParameters(classifier.model)) {
    if (key.includes("lora_B")) noGrad(() => ops.normal_(tensor, 0, 0.3, { generator: random }).dispose());
  }
  return classifier;
}

const lengths = [9, 3, 17, 1, 6, 12];

for (const k of [1, 4, 20]) {
  Deno.test(`selective+lora has the gradients of masked mode, k = ${k}`, async () => {
    await assertNothingLeft(() => {
      using classifier = adapted("lora", "float64");
      // Masked mode hangs its hooks on every layer's states, so gradients have to reach the embeddings.
      const lowest = namedParameters(classifier.model).get("bert.embeddings.LayerNorm.bias");
      assert.ok(lowest);
      ops.requiresGrad_(lowest).dispose();
      using random = new Generator(k);
      const [batch, selected] = [randomSequences(lengths), selectPositions(lengths, k, random)];
      const targets = [0, 1, 0, 1, 0, 1];
      const split = compute(classifier, batch, targets, selected, { rowsPerBlock: 20 });
      const masked = compute(classifier, batch, targets, selected, { mode: "masked" });
      let checked = 0;
      for (const [key, gradient] of split.gradients) {
        const reference = masked.gradients.get(key) ?? [];
        if (key.includes("lora")) assert.ok(norm(reference) > 1e-6, key);
        const off = distance(gradient, reference);
        assert.ok(off <= 1e-10 * norm(reference), `${key}: ${off} off of ${norm(reference)}`);
        if (norm(reference) > 0) checked++;
      }
      assert.equal(checked, 12 + 4 + 1);
    });
  });
}

Deno.test("merging changes no logit, and leaves an ordinary model", async () => {
  await assertNothingLeft(() => {
    for (const [dtype, tolerance] of [["float32", 1e-6], ["float64", 1e-14]] as const) {
      using plain = randomBert({ dtype });
      using classifier = adapted("freeze+lora", dtype);
      const logits = (of: Classifier): readonly number[] =>
        compute(of, randomSequences(lengths), [0, 1, 0, 1, 0, 1], null).logits;
      const before = logits(classifier);
      mergeAdapter(classifier);
      assertClose(logits(classifier), before, tolerance * norm(before));
      assert.ok(distance(logits(plain), before) > 0.01 * norm(before));
      assert.deepEqual([...namedParameters(classifier.model).keys()], [...namedParameters(plain.model).keys()]);
    }
  });
});
