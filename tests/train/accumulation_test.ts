// Gradient accumulation: however a step is cut, its loss and its weights are those of the whole batch.

import assert from "node:assert/strict";
import {
  type Classifier,
  namedParameters,
  type StepEvent,
  toNumbers,
  train,
  type TrainEvent,
  type TrainOptions,
} from "../../mod.ts";
import { labelledSequences, randomBert } from "../support/random_bert.ts";
import { assertClose, assertNothingLeft } from "../support/torch.ts";

const lengths = [9, 3, 17, 1, 6, 12, 30, 4, 11, 8, 2];
const examples = labelledSequences(lengths);

interface Outcome {
  readonly losses: readonly number[];
  readonly weights: readonly number[];
  readonly peakBytes: number;
}

async function outcomeOf(options: TrainOptions, target?: "regression"): Promise<Outcome> {
  using classifier = randomBert({ dtype: "float64", ...(target && { target }) });
  const steps: StepEvent[] = [];
  const onEvent = (event: TrainEvent): void => void (event.type === "step" && steps.push(event));
  // A large epsilon keeps AdamW from making much of the rounding of gradients that are zero.
  const fixed = { k: 4, batchSize: 7, maxSteps: 4, learningRate: 1e-2, warmupRatio: 0, epsilon: 0.01, onEvent };
  const { peakBytes } = await train(classifier, { train: examples }, { ...fixed, ...options });
  return { losses: steps.map(({ loss }) => loss), weights: numbersOf(classifier), peakBytes };
}

function numbersOf({ model }: Classifier): number[] {
  return [...namedParameters(model).values()].flatMap(toNumbers);
}

for (const target of [undefined, "regression"] as const) {
  for (const options of [{}, { k: 0.4 }, { maxGradNorm: 0.05 }, { activations: "recompute" }] as const) {
    Deno.test(`as the whole batch: ${target ?? "labels"}, ${JSON.stringify(options)}`, async () => {
      await assertNothingLeft(async () => {
        const whole = await outcomeOf(options, target);
        // The batches have 7 and 4 examples: pieces of 4 and 3, of 3, 3 and 1, and of one.
        for (const gradientAccumulation of [2, 3, 100]) {
          const cut = await outcomeOf({ ...options, gradientAccumulation }, target);
          assertClose(cut.losses, whole.losses, 1e-11);
          assertClose(cut.weights, whole.weights, 1e-11);
        }
      });
    });
  }
}

Deno.test("the peak is that of a part", async () => {
  const { peakBytes: whole } = await outcomeOf({ k: "all", maxSteps: 1 });
  const { peakBytes: cut } = await outcomeOf({ k: "all", maxSteps: 1, gradientAccumulation: 4 });
  assert.ok(cut < 0.9 * whole, `${cut} of ${whole}`);
});

Deno.test("a loss that is not a number in a later micro-batch leaves the weights and no gradient", async () => {
  await assertNothingLeft(async () => {
    using classifier = randomBert({ target: "regression" });
    const before = numbersOf(classifier);
    const infinite = examples.map((example, index) => ({ ...example, label: index === 5 ? Infinity : 0 }));
    const options = { batchSize: 11, gradientAccumulation: 11, maxSteps: 1 };
    await assert.rejects(train(classifier, { train: infinite }, options), {
      name: "TrainingError",
      message: /^the loss is Infinity at step 1/,
    });
    assert.deepEqual(numbersOf(classifier), before);
    for (const parameter of namedParameters(classifier.model).values()) assert.equal(parameter.grad, null);
  });
});
