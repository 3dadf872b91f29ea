// The guard against divergence: when it ends a run, and when it must not.

import assert from "node:assert/strict";
import {
  type Classifier,
  evaluate,
  namedParameters,
  noGrad,
  ops,
  scope,
  train,
  type TrainEvent,
  type TrainOptions,
} from "../../mod.ts";
import { SeededRandom } from "../../src/data/prng.ts";
import { noLoss, refuseDivergence, withLoss } from "../../src/train/divergence.ts";
import { labelledSequences, randomBert } from "../support/random_bert.ts";
import { assertClose, assertNothingLeft } from "../support/torch.ts";

/** The step at which losses end a run; null when none does. */
function endOf(losses: readonly number[], factor = 3): number | null {
  let state = noLoss;
  for (const [index, loss] of losses.entries()) {
    state = withLoss(state, index + 1, loss);
    try {
      refuseDivergence(state, index + 1, factor);
    } catch {
      return index + 1;
    }
  }
  return null;
}

function repeat(count: number, loss: (step: number) => number): number[] {
  return Array.from({ length: count }, (_, step) => loss(step));
}

Deno.test("the mean is of all steps, and then of about the last hundred; the lowest is that since the hundredth", () => {
  const losses = repeat(300, (step) => 2 + Math.sin(step / 20));
  let state = noLoss;
  losses.forEach((loss, index) => {
    state = withLoss(state, index + 1, loss);
    const plain = losses.slice(0, index + 1).reduce((sum, each) => sum + each, 0) / (index + 1);
    if (index < 100) assertClose([state.mean], [plain], 1e-12);
    assert.equal(state.lowest === null, index + 1 < 100);
  });
  // After the hundredth step, each has 0.99 of the weight of the one after it.
  const weights = losses.map((_, index) => index < 100 ? 0.99 ** 200 / 100 : 0.01 * 0.99 ** (299 - index));
  assertClose([state.mean], [losses.reduce((sum, loss, index) => sum + loss * (weights[index] ?? NaN), 0)], 1e-12);
  assertClose([weights.reduce((sum, weight) => sum + weight, 0)], [1], 1e-12);
});

Deno.test("a loss that leaps ends the run, by the factor that is allowed", () => {
  const leap = [...repeat(200, () => 0.5), ...repeat(100, () => 10)];
  // 0.5 + 9.5 (1 - 0.99^n) is above 1.5, and above 5, after so many steps.
  assert.equal(endOf(leap), 200 + Math.ceil(Math.log(1 - 1 / 9.5) / Math.log(0.99)));
  assert.equal(endOf(leap, 10), 200 + Math.ceil(Math.log(1 - 4.5 / 9.5) / Math.log(0.99)));
  assert.equal(endOf(leap, 1000), null);
  assert.equal(endOf([...repeat(99, () => 0.5), ...repeat(100, () => 0.5)]), null);
});

Deno.test("honest losses end no run: falling, noisy, near zero, of batches of one", () => {
  const random = new SeededRandom(5);
  const uniform = (): number => random.nextUint32() / 2 ** 32;
  assert.equal(endOf(repeat(5000, (step) => 0.7 * Math.exp(-step / 300) * (0.2 + 1.6 * uniform()))), null);
  // A model that is sure of itself, and wrong once in 20 and then once in 7 examples.
  assert.equal(endOf(repeat(20_000, () => uniform() < 0.05 ? 8 * uniform() : 0.001)), null);
  assert.equal(
    endOf([...repeat(500, () => 0.001), ...repeat(5000, () => uniform() < 1 / 7 ? 6 * uniform() : 0)]),
    null,
  );
  // A regression and a language model.
  assert.equal(endOf(repeat(3000, (step) => (0.3 + 7 * Math.exp(-step / 100)) * (0.1 + 3 * uniform() ** 2))), null);
  assert.equal(endOf(repeat(3000, () => 3.2 + 1.5 * uniform())), null);
});

Deno.test("the message says what the loss was and is, and the state is what JSON holds", () => {
  let state = noLoss;
  const message = "training diverges: the mean loss is 1.58 at step 212, it was 0.500 at step 100; " +
    "try a lower learning rate, or allow more than 3 times the lowest (divergenceFactor)";
  for (let step = 1; step <= 200; step++) state = withLoss(state, step, 0.5);
  for (let step = 201; step <= 212; step++) state = JSON.parse(JSON.stringify(withLoss(state, step, 10)));
  assert.throws(() => refuseDivergence(state, 212, 3), { name: "TrainingError", message });
});

const small = { target: "regression", numHiddenLayers: 1, hiddenSize: 8, intermediateSize: 8 } as const;
const examples = labelledSequences([5, 3, 4]).map((example, index) => ({ ...example, label: (index % 2) / 10 }));

/** Trains with weights that leap after step 105. */
async function leap(classifier: Classifier, options: TrainOptions): Promise<TrainEvent[]> {
  const events: TrainEvent[] = [];
  const bias = namedParameters(classifier.model).get("mean_head.out_proj.bias");
  assert.ok(bias);
  await assert.rejects(
    train(classifier, { train: examples, dev: examples }, {
      ...{ k: "all", batchSize: 3, maxSteps: 200, learningRate: 1e-3, evalSteps: 10, ...options },
      onEvent: (event) => {
        events.push(event);
        if (event.type === "step" && event.step === 105) noGrad(() => scope(() => void ops.fill_(bias, 100)));
      },
    }),
    { name: "TrainingError", message: /^training diverges: the mean loss is .* at step 106, it was .* at step 10\d;/ },
  );
  return events;
}

Deno.test("a run that diverges ends; with keepBest the weights are those of the best evaluation", async () => {
  await assertNothingLeft(async () => {
    using classifier = randomBert(small);
    const events = await leap(classifier, { keepBest: true });
    const best = events.findLast((event) => event.type === "evaluation" && event.isBest);
    assert.ok(best?.type === "evaluation");
    assert.deepEqual(await evaluate(classifier, examples), best.metrics);
    for (const parameter of namedParameters(classifier.model).values()) assert.equal(parameter.grad, null);
    using other = randomBert(small);
    await leap(other, {});
    assert.ok(((await evaluate(other, examples))["loss"] ?? NaN) > 1000);
  });
});
