// The training loop: nothing accumulates, seeds decide everything, and it stops when it has to.

import assert from "node:assert/strict";
import {
  type ActivationMode,
  type Classifier,
  liveTensorCount,
  memory,
  namedParameters,
  noGrad,
  ops,
  parameterBytes,
  scope,
  type SelectionSize,
  type StepEvent,
  toNumbers,
  train,
  type TrainEvent,
  type TrainingExample,
  type TrainOptions,
} from "../../mod.ts";
import { labelledSequences, randomBert, randomSequences } from "../support/random_bert.ts";
import { assertNothingLeft } from "../support/torch.ts";

const lengths = Array.from({ length: 25 }, (_, index) => 2 + (index * 7) % 19);
const examples = labelledSequences(lengths);

function weights({ model }: Classifier): Map<string, number[]> {
  return new Map([...namedParameters(model)].map(([key, parameter]) => [key, toNumbers(parameter)]));
}

async function trained(options: TrainOptions, data = examples): Promise<Map<string, number[]>> {
  using classifier = randomBert({ dropout: 0.1 });
  await train(classifier, { train: data }, { k: 4, batchSize: 8, maxSteps: 5, learningRate: 1e-3, ...options });
  return weights(classifier);
}

function stepsOf(events: readonly TrainEvent[]): StepEvent[] {
  return events.filter((event) => event.type === "step");
}

for (const k of [4, "all"] as const) {
  Deno.test(`200 steps, k = ${k}: live tensors and bytes stay where they are after step 2, and all is freed`, async () => {
    await assertNothingLeft(async () => {
      using classifier = randomBert({ dropout: 0.1 });
      const before = [liveTensorCount(), memory().liveBytes];
      const seen: [number, number][] = [];
      const result = await train(classifier, { train: examples }, {
        ...{ k, batchSize: 8, maxSteps: 200 },
        onEvent: (event) => {
          if (event.type !== "step") return;
          seen.push([liveTensorCount(), memory().liveBytes]);
          assert.equal(event.liveBytes, memory().liveBytes);
        },
      });
      assert.deepEqual([result.steps, result.isStopped, seen.length], [200, false, 200]);
      const afterSecond = seen[1];
      for (const [index, each] of seen.entries()) {
        if (index > 1) assert.deepEqual(each, afterSecond, `step ${index + 1}`);
      }
      const state = (afterSecond?.[1] ?? 0) - (before[1] ?? 0);
      const expected = 2 * parameterBytes(classifier.model);
      assert.ok(state >= expected && state < 1.1 * expected, `${state} bytes of optimizer state, of ${expected}`);
      assert.deepEqual([liveTensorCount(), memory().liveBytes], before);
    });
  });
}

Deno.test("the events tell the steps, their learning rates, tokens and memory", async () => {
  using classifier = randomBert({ dropout: 0.1 });
  const events: TrainEvent[] = [];
  const data = { train: examples, dev: examples.slice(0, 5) };
  const options = { k: 4, batchSize: 10, epochs: 2, learningRate: 0.01, warmupRatio: 0.5 };
  const result = await train(classifier, data, { ...options, onEvent: (event) => events.push(event) });
  assert.deepEqual(events.map(({ type, step }) => `${type} ${step}`), [
    ...["step 1", "step 2", "step 3", "evaluation 3", "step 4", "step 5", "step 6", "evaluation 6"],
  ]);
  const steps = stepsOf(events);
  assert.deepEqual(steps.map(({ learningRate }) => Math.round(1e5 * learningRate)), [0, 333, 667, 1000, 667, 333]);
  assert.deepEqual(steps.map(({ epoch }) => epoch), [1, 1, 1, 2, 2, 2]);
  const total = lengths.reduce((sum, length) => sum + length, 0);
  assert.equal(steps.slice(0, 3).reduce((sum, { tokens }) => sum + tokens, 0), total);
  assert.ok(steps.every(({ loss, peakBytes, liveBytes }) => loss > 0 && peakBytes > liveBytes));
  const last = events.at(-1);
  assert.deepEqual(result.metrics, last?.type === "evaluation" ? last.metrics : null);
  assert.deepEqual([result.steps, result.isStopped, result.peakBytes], [6, false, steps.at(-1)?.peakBytes]);
});

Deno.test("the loss falls on labels that can be learned", async () => {
  using classifier = randomBert();
  const learnable = examples.map((example) => ({ ...example, label: (example.inputIds[1] ?? 0) % 2 }));
  const events: TrainEvent[] = [];
  const options = { k: 4, batchSize: 25, maxSteps: 60, learningRate: 3e-3 };
  await train(classifier, { train: learnable }, { ...options, onEvent: (event) => events.push(event) });
  const losses = stepsOf(events).map(({ loss }) => loss);
  assert.ok((losses.at(-1) ?? NaN) < 0.25 * (losses[0] ?? NaN), `${losses}`);
});

Deno.test("the same seed gives the same weights to the bit, another seed others", async () => {
  const first = await trained({ seed: 3 });
  assert.deepEqual(await trained({ seed: 3 }), first);
  assert.notDeepEqual(await trained({ seed: 4 }), first);
});

Deno.test("with groupByLength each epoch has every example once, those of like length together, by the seed", async () => {
  const many = labelledSequences(Array.from({ length: 64 }, (_, index) => 2 + (index * 7) % 31));
  const tokensOf = async (seed: number): Promise<number[]> => {
    using classifier = randomBert({ numHiddenLayers: 1 });
    const steps: StepEvent[] = [];
    const onEvent = (event: TrainEvent): void => void (event.type === "step" && steps.push(event));
    const options = { k: 2, batchSize: 4, epochs: 2, groupByLength: true, seed, onEvent };
    await train(classifier, { train: many }, options);
    return steps.map(({ tokens }) => tokens);
  };
  const tokens = await tokensOf(1);
  const total = many.reduce((sum, { inputIds }) => sum + inputIds.length, 0);
  for (const epoch of [tokens.slice(0, 16), tokens.slice(16)]) {
    assert.equal(epoch.reduce((sum, each) => sum + each), total);
    assert.ok(Math.max(...epoch) > 4 * Math.min(...epoch), `${epoch}`);
  }
  assert.deepEqual(await tokensOf(1), tokens);
  assert.notDeepEqual(await tokensOf(2), tokens);
});

Deno.test("however activations and gradients are kept, the weights are the same to the bit", async () => {
  const expected = await trained({ seed: 3 });
  assert.deepEqual(await trained({ seed: 3, activations: "recompute" }), expected);
  assert.deepEqual(await trained({ seed: 3, optimizerInBackward: true }), expected);
  assert.deepEqual(await trained({ seed: 3, activations: "recompute", optimizerInBackward: true }), expected);
});

Deno.test("training changes every parameter, and leaves no gradient", async () => {
  using classifier = randomBert();
  const before = weights(classifier);
  await train(classifier, { train: examples }, { k: 4, batchSize: 8, maxSteps: 3, learningRate: 1e-3 });
  for (const [key, numbers] of weights(classifier)) assert.notDeepEqual(numbers, before.get(key), key);
  for (const parameter of namedParameters(classifier.model).values()) assert.equal(parameter.grad, null);
});

Deno.test("an aborted signal ends it after the step at hand", async () => {
  await assertNothingLeft(async () => {
    using classifier = randomBert();
    const controller = new AbortController();
    const result = await train(classifier, { train: examples, dev: examples }, {
      ...{ k: 4, batchSize: 8, maxSteps: 50, signal: controller.signal },
      onEvent: ({ step }) => step === 3 && controller.abort(),
    });
    assert.deepEqual([result.steps, result.isStopped, result.metrics], [3, true, null]);
  });
});

Deno.test("a loss that is not a number ends it with the step; the weights are those before it", async () => {
  await assertNothingLeft(async () => {
    using classifier = randomBert({ target: "regression" });
    let last: Map<string, number[]> | undefined;
    const data = examples.map((example, index) => ({ ...example, label: index }));
    await assert.rejects(
      train(classifier, { train: data }, {
        ...{ k: 4, batchSize: 5, maxSteps: 20, learningRate: 1e-3 },
        onEvent: ({ step }) => {
          if (step === 3) poison(classifier);
          last = weights(classifier);
        },
      }),
      { name: "TrainingError", message: /^the loss is NaN at step 4: stopped before the weights changed/ },
    );
    assert.deepEqual(weights(classifier), last);
    for (const parameter of namedParameters(classifier.model).values()) assert.equal(parameter.grad, null);
  });
});

function poison({ model }: Classifier): void {
  const bias = namedParameters(model).get("mean_head.out_proj.bias");
  assert.ok(bias);
  noGrad(() => scope(() => void ops.fill_(bias, NaN)));
}

const badOptions: readonly (readonly [TrainOptions, RegExp])[] = [
  [{ k: 0 }, /^k is 0/],
  [{ precision: "int8" as "bf16" }, /^precision is "int8", it has to be float32 or bf16$/],
  [{ memoryBudget: 0 }, /^memoryBudget is 0, it has to be a number of bytes above 0, such as 1400MiB or 2GiB$/],
  [{ memoryBudget: NaN }, /^memoryBudget is NaN, /],
  [
    { memoryBudget: 1e9, activations: "store" },
    /^a memory budget lets the activations be chosen, but .* store: use auto/,
  ],
  [{ memoryBudget: 1e5 }, /^the memory budget is 0\.1 MiB, but a step needs about \d\.\d MiB: allow more/],
  [{ activations: "none" as ActivationMode }, /^activations is "none", it has to be auto, store or recompute$/],
  [{ k: -1 }, /^k is -1/],
  [{ k: 1.5 }, /^k is 1\.5/],
  [{ k: NaN }, /^k is NaN/],
  [{ k: Infinity }, /^k is Infinity/],
  [
    { k: "some" as "all" },
    /^k is "some", it has to be a whole number of at least 1, a share between 0 and 1 such as 0\.25, or all$/,
  ],
  [{ gradientAccumulation: 0 }, /^gradientAccumulation is 0, it has to be a whole number of at least 1$/],
  [{ gradientAccumulation: 1.5 }, /^gradientAccumulation is 1\.5, /],
  [{ maxGradNorm: 0 }, /^maxGradNorm is 0, it has to be a number above 0$/],
  [{ maxGradNorm: NaN }, /^maxGradNorm is NaN, /],
  [{ maxGradNorm: 1, clipping: "some" as "layer" }, /^clipping is "some", it has to be global or layer$/],
  [{ clipping: "layer" }, /clipping is layer, but there is no maximum norm/],
  [{ optimizerInBackward: true, gradientAccumulation: 2 }, /in backward uses up gradients at once, so 2 micro-batches/],
  [{ optimizerInBackward: true, maxGradNorm: 1 }, /in backward never has all gradients.*clip by layer/],
  [{ learningRate: 0 }, /^learningRate is 0, it has to be a number above 0$/],
  [{ learningRate: Infinity }, /^learningRate is Infinity, /],
  [{ warmupRatio: 1.5 }, /^warmupRatio is 1\.5, it has to be a number from 0 to 1$/],
  [{ batchSize: 0 }, /^batchSize is 0, /],
  [{ epochs: 0 }, /^epochs is 0, /],
  [{ epochs: 1.5 }, /^epochs is 1\.5, /],
  [{ maxSteps: 0 }, /^maxSteps is 0, /],
  [{ seed: -1 }, /^seed is -1, it has to be a whole number of at least 0$/],
  [{ warmupSteps: 2.5 }, /^warmupSteps is 2\.5, it has to be a whole number of at least 0$/],
  [{ warmupSteps: 5, warmupRatio: 0.1 }, /^the warm-up is 5 steps, and it is 0\.1 of all steps: leave out one/],
  [{ schedule: "square" as "cosine" }, /^schedule is "square", it has to be linear, cosine or constant$/],
  [{ weightDecay: -1 }, /^weightDecay is -1, it has to be a number of at least 0$/],
  [{ labelSmoothing: 1 }, /^labelSmoothing is 1, it has to be a number of at least 0 and below 1$/],
  [{ labelSmoothing: -0.1 }, /^labelSmoothing is -0\.1, /],
  [
    { classWeights: "even" as "balanced" },
    /^classWeights is "even", it has to be balanced, or a number above 0 for each/,
  ],
  [{ classWeights: { no: 0 } }, /^classWeights is \{"no":0\}, /],
  [{ classWeights: { no: NaN } }, /^classWeights is \{"no":"NaN"\}, /],
  [{ evalSteps: 0 }, /^evalSteps is 0, it has to be a whole number of at least 1$/],
  [{ patience: 0 }, /^patience is 0, /],
  [{ divergenceFactor: 1 }, /^divergenceFactor is 1, it has to be a number above 1$/],
];

for (const [options, message] of badOptions) {
  Deno.test(`refused before the first step: ${JSON.stringify(options)}`, async () => {
    await assertNothingLeft(async () => {
      using classifier = randomBert();
      const onEvent = (): void => assert.fail("a step was made");
      await assert.rejects(train(classifier, { train: examples }, { ...options, onEvent }), {
        name: "OptionError",
        message,
      });
    });
  });
}

Deno.test("a k above the longest sequence selects everything, which is said once", async () => {
  const run = async (k: SelectionSize): Promise<[Map<string, number[]>, string[]]> => {
    using classifier = randomBert();
    const notices: string[] = [];
    const onEvent = (event: TrainEvent): void => void (event.type === "notice" && notices.push(event.message));
    await train(classifier, { train: examples }, { k, batchSize: 8, maxSteps: 5, learningRate: 1e-3, onEvent });
    return [weights(classifier), notices];
  };
  const [expected, none] = await run("all");
  assert.deepEqual(none, []);
  const longest = Math.max(...lengths);
  assert.deepEqual(await run(longest), [expected, []]);
  const message = `k is ${longest + 1} and the longest sequence has ${longest} positions: every position is selected`;
  assert.deepEqual(await run(longest + 1), [expected, [message]]);
});

Deno.test("examples that cannot be trained on are refused, and nothing is left", async () => {
  await assertNothingLeft(async () => {
    using classifier = randomBert();
    const refused = (train_: readonly TrainingExample[], expected: { name: string; message: RegExp }): Promise<void> =>
      assert.rejects(train(classifier, { train: train_ }, { batchSize: 1, maxSteps: 1 }), expected);
    const [sequence] = randomSequences([4]);
    assert.ok(sequence);
    await refused([], { name: "DataError", message: /no examples/ });
    await refused([sequence], { name: "DataError", message: /example 1 has no label/ });
    await refused([{ ...sequence, label: 2 }], { name: "TorchError", message: /out of bounds/ });
    const [unknownWord, tooLong] = [{ ...sequence, inputIds: [1, 50, 2, 3], label: 0 }, randomSequences([257])];
    await refused([unknownWord], { name: "TorchError", message: /out of range/ });
    await refused(tooLong.map((long) => ({ ...long, label: 0 })), { name: "TorchError", message: /out of range/ });
  });
});
