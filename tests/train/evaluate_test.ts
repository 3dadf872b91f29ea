// Evaluation: logits in the order given, and the metrics of a case that can be worked out by hand.

import assert from "node:assert/strict";
import {
  type Classifier,
  evaluate,
  lossOf,
  namedParameters,
  noGrad,
  ops,
  predictLogits,
  probabilities,
  scope,
  type Target,
  tensorFrom,
} from "../../mod.ts";
import { argmax } from "../../src/train/evaluate.ts";
import { randomBert, randomSequences } from "../support/random_bert.ts";
import { assertClose, assertNothingLeft, assertTensor } from "../support/torch.ts";

const lengths = [5, 19, 2, 11, 5, 30, 1];

function setParameter({ model }: Classifier, key: string, values: readonly number[]): void {
  const parameter = namedParameters(model).get(key);
  assert.ok(parameter);
  noGrad(() =>
    scope(() => {
      ops.copy_(parameter, tensorFrom(values, { shape: parameter.shape }));
    })
  );
}

/** A model that says the same of everything. */
function constantModel(logits: readonly number[], target: Target): Classifier {
  const classifier = randomBert({ target });
  setParameter(classifier, "mean_head.out_proj.weight", new Array<number>(32 * logits.length).fill(0));
  setParameter(classifier, "mean_head.out_proj.bias", logits);
  return classifier;
}

Deno.test("logits come in the order of the sequences, whatever runs together", async () => {
  await assertNothingLeft(async () => {
    using classifier = randomBert({ dtype: "float64", dropout: 0.1 });
    const sequences = randomSequences(lengths);
    const alone: number[] = [];
    for (const sequence of sequences) alone.push(...(await predictLogits(classifier, [sequence])).flat());
    assert.equal(new Set(alone).size, 2 * lengths.length);
    const progress: string[] = [];
    for (const batchSize of [1, 3, 32]) {
      const onProgress = (done: number, total: number): void => void progress.push(`${done}/${total}`);
      const logits = await predictLogits(classifier, sequences, { batchSize, onProgress });
      assert.deepEqual(logits.map((row) => row.length), lengths.map(() => 2));
      assertClose(logits.flat(), alone, 1e-13);
    }
    assert.deepEqual(progress.slice(7), ["3/7", "6/7", "7/7", "7/7"]);
    assert.deepEqual(await predictLogits(classifier, []), []);
  });
});

Deno.test("classification: loss, accuracy, F1, Matthews, majority", async () => {
  await assertNothingLeft(async () => {
    using classifier = constantModel([0, 1], { labels: ["no", "yes"] });
    const labels = [1, 0, 1, 1, 0, 1, 1];
    const examples = randomSequences(lengths).map((sequence, index) => ({ ...sequence, label: labels[index] ?? 0 }));
    const metrics = await evaluate(classifier, examples, { batchSize: 3 });
    const expected = (5 * Math.log(1 + Math.exp(-1)) + 2 * Math.log(1 + Math.E)) / 7;
    assertClose([metrics["loss"] ?? NaN], [expected], 1e-6);
    assertClose([metrics["accuracy"] ?? NaN, metrics["majority"] ?? NaN], [5 / 7, 5 / 7], 1e-15);
    assertClose([metrics["f1"] ?? NaN, metrics["matthews"] ?? NaN], [10 / 12, 0], 1e-15);
  });
});

Deno.test("regression: the mean squared error", async () => {
  using classifier = constantModel([2.5], "regression");
  const examples = randomSequences([3, 4]).map((sequence, index) => ({ ...sequence, label: index }));
  const metrics = await evaluate(classifier, examples);
  assertClose([metrics["loss"] ?? NaN], [(2.5 ** 2 + 1.5 ** 2) / 2], 1e-6);
  assert.deepEqual(Object.keys(metrics).sort(), ["loss", "pearson", "spearman"]);
});

Deno.test("nothing to evaluate, or an example without a label, is a DataError", async () => {
  using classifier = randomBert();
  await assert.rejects(evaluate(classifier, []), { name: "DataError", message: /no examples/ });
  const [a, b] = randomSequences([2, 3]);
  assert.ok(a && b);
  await assert.rejects(evaluate(classifier, [{ ...a, label: 0 }, b]), { name: "DataError", message: /example 2/ });
});

Deno.test("losses, probabilities and the likeliest label by hand", () => {
  scope(() => {
    const logits = tensorFrom([1, 2, 3, 4, 5, 6], { shape: [2, 3], dtype: "float64" });
    const logSum = Math.log(Math.exp(-2) + Math.exp(-1) + 1);
    assertTensor(lossOf(logits, [2, 0], { labels: ["a", "b", "c"] }), [], [logSum + 1], 1e-14);
    const numbers = tensorFrom([1, -2], { shape: [2, 1], dtype: "float64" });
    assertTensor(lossOf(numbers, [0.1, -4], "regression"), [], [(0.9 ** 2 + 4) / 2], 1e-15);
  });
  assertClose(probabilities([0, Math.log(3)]), [0.25, 0.75], 1e-15);
  assertClose(probabilities([1000, 1000, -1000]), [0.5, 0.5, 0], 1e-15);
  assert.deepEqual([argmax([1, 3, 2]), argmax([-5]), argmax([2, 2])], [1, 0, 0]);
});
