// A run that is stopped anywhere and goes on ends with the weights and metrics of one that was never stopped, to the bit.

import assert from "node:assert/strict";
import { join } from "node:path";
import {
  applyMethod,
  type CheckpointOptions,
  type Classifier,
  loadClassifier,
  type MethodOptions,
  namedParameters,
  newestCheckpoint,
  noGrad,
  ops,
  toTypedArray,
  train,
  type TrainEvent,
  type TrainingData,
  type TrainingExample,
  type TrainOptions,
  type TrainResult,
} from "../../mod.ts";
import { temporaryFolder } from "../native/fakes.ts";
import { labelledSequences, randomBert } from "../support/random_bert.ts";
import { countingTexts, randomLanguageModel } from "../support/random_language_model.ts";
import { smallBertFolder } from "../support/small_bert.ts";
import { assertNothingLeft } from "../support/torch.ts";

const lengths = [9, 4, 13, 6, 11, 2, 8, 17, 5, 7, 12];
const examples: readonly TrainingExample[] = labelledSequences(lengths);
const texts: readonly TrainingExample[] = countingTexts(lengths);

interface Case {
  readonly name: string;
  readonly make: () => Classifier | Promise<Classifier>;
  readonly data: TrainingData;
  readonly options: TrainOptions;
}

/** What is compared: all weights' bytes, what the steps and evaluations told, and what the run gave. */
interface Outcome {
  readonly weights: ReadonlyMap<string, string>;
  readonly told: readonly unknown[];
  readonly result: Pick<TrainResult, "steps" | "metrics" | "best">;
}

// Three epochs of three steps, the last of two examples less.
const shared: TrainOptions = { batchSize: 4, epochs: 3, learningRate: 3e-3, k: 3, seed: 5 };
const withDev: TrainingData = { train: examples, dev: examples.slice(0, 6) };
const bert = (): Classifier => randomBert({ dropout: 0.1, numHiddenLayers: 2 });

async function small(method: string, options: MethodOptions = {}): Promise<Classifier> {
  const classifier = await loadClassifier(smallBertFolder);
  applyMethod(classifier, method, options);
  return classifier;
}

const cases: readonly Case[] = [
  { name: "full", make: bert, data: withDev, options: { k: "all" } },
  {
    name: "selective, micro-batches, clipped, the best evaluation's weights",
    make: bert,
    data: withDev,
    options: { gradientAccumulation: 2, maxGradNorm: 0.5, evalSteps: 2, keepBest: true, bestMetric: "loss" },
  },
  {
    name: "the optimizer in backward, clipped by layer, recomputed",
    make: bert,
    data: withDev,
    options: { optimizerInBackward: true, maxGradNorm: 0.5, clipping: "layer", activations: "recompute" },
  },
  {
    name: "bf16, by length, a cosine, and patience",
    make: bert,
    data: withDev,
    options: {
      precision: "bf16",
      groupByLength: true,
      schedule: "cosine",
      evalSteps: 1,
      patience: 2,
      bestMetric: "accuracy",
    },
  },
  {
    name: "selective+freeze",
    make: () => small("selective+freeze", { freezeLayers: 2 }),
    data: withDev,
    options: { labelSmoothing: 0.1, classWeights: "balanced" },
  },
  { name: "selective+lora", make: () => small("selective+lora"), data: withDev, options: {} },
  {
    name: "masks, the best evaluation's weights",
    make: () => small("selective+freeze+mask", { freezeLayers: 1, maskSparsity: 0.2 }),
    data: withDev,
    options: { gradientAccumulation: 2, maxGradNorm: 0.5, clipping: "layer", evalSteps: 2, keepBest: true },
  },
  {
    name: "diff pruning through both phases, the best evaluation's weights",
    make: () => small("selective+freeze+diff", { freezeLayers: 2, diffSparsity: 0.05, diffPenalty: 1e-4 }),
    data: withDev,
    options: { maxGradNorm: 0.5, evalSteps: 1, keepBest: true },
  },
  {
    name: "a language model",
    make: () => randomLanguageModel({ dropout: 0.1, fields: { num_hidden_layers: 2 } }),
    data: { train: texts },
    options: { k: 4 },
  },
];

function weightsOf({ model }: Classifier): Map<string, string> {
  return new Map([...namedParameters(model)].map(([key, parameter]) => {
    const { buffer, byteOffset, byteLength } = toTypedArray(parameter);
    return [key, new Uint8Array(buffer, byteOffset, byteLength).toHex()];
  }));
}

// What an event says that is the same in every process.
function toldOf(event: TrainEvent): unknown[] {
  if (event.type !== "step" && event.type !== "evaluation") return [];
  const { milliseconds: _, ...fields } = { liveBytes: 0, peakBytes: 0, ...event };
  return [{ ...fields, liveBytes: 0, peakBytes: 0 }];
}

/** Runs to the end, or to the first event that `stopAt` says yes to. */
async function run(
  { make, data, options }: Case,
  stopAt: (event: TrainEvent) => boolean,
  more: TrainOptions = {},
): Promise<Outcome & Pick<TrainResult, "isStopped">> {
  using classifier = await make();
  const controller = new AbortController();
  const told: unknown[] = [];
  const result = await train(classifier, data, {
    ...{ ...shared, ...options, ...more },
    signal: controller.signal,
    onEvent: (event) => {
      told.push(...toldOf(event));
      if (stopAt(event)) controller.abort();
    },
  });
  const { steps, metrics, best, isStopped } = result;
  return { weights: weightsOf(classifier), told, result: { steps, metrics, best }, isStopped };
}

async function uninterrupted(test: Case): Promise<Outcome> {
  const { isStopped, ...outcome } = await run(test, () => false);
  assert.ok(!isStopped);
  return outcome;
}

/** A run in pieces, each by a new model: one ends at each event that `stopAt` says yes to. */
async function inPieces(
  test: Case,
  folder: string,
  stopAt: (event: TrainEvent) => boolean,
): Promise<[Outcome, number]> {
  const told: unknown[] = [];
  for (let pieces = 1;; pieces++) {
    const resumeFrom = newestCheckpoint(folder);
    const { isStopped, ...piece } = await run(test, stopAt, { checkpoints: { folder }, resumeFrom });
    told.push(...piece.told);
    if (!isStopped) return [{ ...piece, told }, pieces];
  }
}

for (const test of cases) {
  Deno.test(`stopped after every step and every evaluation: ${test.name}`, async () => {
    using temporary = temporaryFolder();
    await assertNothingLeft(async () => {
      const expected = await uninterrupted(test);
      const [outcome, pieces] = await inPieces(test, temporary.path, ({ type }) => /step|evaluation/.test(type));
      assert.equal(pieces, expected.told.length);
      assert.deepEqual(outcome, expected);
      assert.equal(expected.result.steps < 9, test.options.patience !== undefined);
    });
  });
}

Deno.test("stopped once, at any step", async () => {
  const [, test] = cases;
  assert.ok(test);
  const expected = await uninterrupted(test);
  for (let step = 1; step <= 9; step++) {
    using temporary = temporaryFolder();
    const [outcome, pieces] = await inPieces(test, join(temporary.path, "deep"), (event) => {
      return event.type === "step" && event.step === step;
    });
    assert.equal(pieces, 2);
    assert.deepEqual(outcome, expected, `stopped after step ${step}`);
  }
});

Deno.test("the newest checkpoints are kept, and the best evaluation's", async () => {
  using temporary = temporaryFolder();
  using classifier = bert();
  const folder = temporary.path;
  const steps = (): number[] => [...Deno.readDirSync(folder)].map(({ name }) => Number(name.slice(5))).sort();
  const [best, kept]: [number[], number[][]] = [[], []];
  await train(classifier, withDev, {
    ...{ ...shared, maxSteps: 9, evalSteps: 1, bestMetric: "accuracy", checkpoints: { folder, saveSteps: 2, keep: 2 } },
    onEvent: (event) => {
      if (event.type === "evaluation" && event.isBest) best.push(event.step);
      if (event.type === "checkpoint") kept.push(steps());
    },
  });
  const saved = [1, 2, 3, 4, 5, 6, 7, 8, 9].filter((step) => step % 2 === 0 || best.includes(step));
  const expected = saved.map((step) => {
    const newest = saved.filter((each) => each <= step).slice(-2);
    return [...new Set([best.findLast((each) => each <= step) ?? 0, ...newest])].sort();
  });
  assert.deepEqual(kept, expected);
  assert.ok(best.length < 4 && best.length > 0, `${best}`);
});

Deno.test("a checkpoint by the time: after each step that ends so many minutes after the last", async () => {
  using temporary = temporaryFolder();
  using classifier = bert();
  const saved = async (name: string, often: Partial<CheckpointOptions>): Promise<number[]> => {
    const steps: number[] = [];
    await train(classifier, { train: examples }, {
      ...{ ...shared, maxSteps: 3, checkpoints: { folder: join(temporary.path, name), ...often } },
      onEvent: ({ type, step }) => type === "checkpoint" && steps.push(step),
    });
    return steps;
  };
  assert.deepEqual(await saved("always", { saveMinutes: 1e-9 }), [1, 2, 3]);
  assert.deepEqual(await saved("usual", {}), []);
  assert.deepEqual(await saved("both", { saveMinutes: 1000, saveSteps: 2 }), [2]);
});

Deno.test("refused before the first step", async () => {
  using temporary = temporaryFolder();
  const folder = temporary.path;
  const test: Case = { name: "", make: bert, data: withDev, options: {} };
  const toStep = (event: TrainEvent): boolean => event.type === "step" && event.step === 2;
  await run(test, toStep, { checkpoints: { folder } });
  const resumeFrom = newestCheckpoint(folder);
  const attempts: [Partial<Case>, TrainOptions, RegExp][] = [
    [{}, { checkpoints: { folder } }, /holds checkpoints already \(\S*step-2\)/],
    [{}, { resumeFrom: join(folder, "step-1") }, /step-1\/trainer\.json cannot be read/],
    [{}, { resumeFrom, seed: 6 }, /step-2: seed was 5 and is 6 now/],
    [{}, { resumeFrom, labelSmoothing: 0.1 }, /labelSmoothing was not given and is 0\.1 now/],
    [
      { data: { train: examples.toReversed(), dev: examples.slice(0, 6) } },
      { resumeFrom },
      /trained on other examples/,
    ],
    [{ data: { train: examples, dev: examples.slice(0, 5) } }, { resumeFrom }, /evaluated on other examples/],
    [{ make: () => randomBert({ dropout: 0.2, numHiddenLayers: 2 }) }, { resumeFrom }, /of another model or another/],
    [{ make: () => small("selective+lora") }, { resumeFrom }, /of another model or another method/],
  ];
  for (const [changed, options, message] of attempts) {
    await assertNothingLeft(async () => {
      await assert.rejects(run({ ...test, ...changed }, toStep, options), { name: "CheckpointError", message });
    });
  }
  for (const checkpoints of [{ folder, saveSteps: 0 }, { folder, saveMinutes: 0 }, { folder, keep: 0 }]) {
    await assert.rejects(run(test, toStep, { checkpoints }), {
      name: "OptionError",
      message: /^(saveSteps|saveMinutes|keep\w*) is 0/,
    });
  }
  const lora = (): Classifier => {
    const classifier = bert();
    applyMethod(classifier, "selective+lora");
    return classifier;
  };
  const checkpoints = { folder: join(folder, "new") };
  await assert.rejects(run({ ...test, make: lora }, toStep, { checkpoints }), {
    name: "OptionError",
    message: /the model was not loaded from a folder, which an adapter needs as its base/,
  });
});

for (const method of ["lora", "mask", "diff"]) {
  Deno.test(`what is beside a base goes on only with the base that it began with: ${method}`, async () => {
    using temporary = temporaryFolder();
    const test: Case = { name: "", make: () => small(method), data: withDev, options: { k: "all" } };
    const toStep = (event: TrainEvent): boolean => event.type === "step" && event.step === 1;
    await run(test, toStep, { checkpoints: { folder: temporary.path } });
    const other = async (): Promise<Classifier> => {
      const classifier = await loadClassifier(smallBertFolder);
      const [layer] = classifier.model.backbone.layers;
      assert.ok(layer);
      noGrad(() => ops.mulScalar_(layer.linears.query.weight, 1.5).dispose());
      applyMethod(classifier, method);
      return classifier;
    };
    const resumeFrom = newestCheckpoint(temporary.path);
    await assertNothingLeft(() =>
      assert.rejects(run({ ...test, make: other }, toStep, { resumeFrom }), { message: /of another model/ })
    );
  });
}
