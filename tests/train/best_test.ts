// When a run evaluates, which evaluation is the best, when it stops for want of a better, and what it leaves.

import assert from "node:assert/strict";
import {
  type Classifier,
  evaluate,
  type EvaluationEvent,
  type Metrics,
  namedParameters,
  type Target,
  toNumbers,
  train,
  type TrainEvent,
  type TrainOptions,
  type TrainResult,
} from "../../mod.ts";
import { afterEvaluation, type BestState } from "../../src/train/best.ts";
import { metricNames } from "../../src/train/evaluate.ts";
import { labelledSequences, randomBert } from "../support/random_bert.ts";
import { countingTexts, randomLanguageModel } from "../support/random_language_model.ts";
import { assertNothingLeft } from "../support/torch.ts";

const lengths = Array.from({ length: 24 }, (_, index) => 2 + (index * 7) % 19);
const examples = labelledSequences(lengths);
const dev = labelledSequences([12, 3, 9, 15, 4, 7, 2, 10]);

interface Outcome {
  readonly result: TrainResult;
  readonly weights: readonly number[];
  readonly events: readonly TrainEvent[];
  readonly evaluations: readonly EvaluationEvent[];
}

const fixed = { k: 4, batchSize: 8, learningRate: 3e-3, schedule: "constant", warmupRatio: 0 } as const;

async function run(options: TrainOptions, onEvent: (event: TrainEvent) => void = () => {}): Promise<Outcome> {
  using classifier = randomBert({ dropout: 0.1, numHiddenLayers: 1 });
  const events: TrainEvent[] = [];
  const result = await train(classifier, { train: examples, dev }, {
    ...{ ...fixed, ...options },
    onEvent: (event) => {
      events.push(event);
      onEvent(event);
    },
  });
  const evaluations = events.filter((event) => event.type === "evaluation");
  return { result, weights: weightsOf(classifier), events, evaluations };
}

function weightsOf({ model }: Classifier): number[] {
  return [...namedParameters(model).values()].flatMap(toNumbers);
}

function stepsOf(evaluations: readonly { readonly step: number }[]): number[] {
  return evaluations.map(({ step }) => step);
}

Deno.test("it evaluates after each epoch, or every n steps, and at the end", async () => {
  // An epoch has 3 steps.
  assert.deepEqual(stepsOf((await run({ maxSteps: 8 })).evaluations), [3, 6, 8]);
  assert.deepEqual(stepsOf((await run({ maxSteps: 8, evalSteps: 2 })).evaluations), [2, 4, 6, 8]);
  assert.deepEqual(stepsOf((await run({ maxSteps: 8, evalSteps: 5 })).evaluations), [5, 8]);
  assert.deepEqual(stepsOf((await run({ maxSteps: 2, evalSteps: 100 })).evaluations), [2]);
});

Deno.test("evaluations change nothing of what is trained", async () => {
  const { weights } = await run({ maxSteps: 6 });
  assert.deepEqual((await run({ maxSteps: 6, evalSteps: 1, keepBest: false, bestMetric: "f1" })).weights, weights);
});

Deno.test("an evaluation is the best when its metric is better than each before", async () => {
  for (const bestMetric of [undefined, "loss", "f1", "accuracy"]) {
    const { evaluations, result } = await run({
      ...{ maxSteps: 30, evalSteps: 1, learningRate: 0.01 },
      ...(bestMetric && { bestMetric }),
    });
    const values = evaluations.map(({ metrics }) => metrics[bestMetric ?? "loss"] ?? NaN);
    const sign = bestMetric === "f1" || bestMetric === "accuracy" ? -1 : 1;
    const isBest = values.map((value, index) => values.slice(0, index).every((each) => sign * value < sign * each));
    assert.deepEqual(evaluations.map((event) => event.isBest), isBest);
    assert.ok(isBest.slice(1).includes(true) && isBest.includes(false), `${values}`);
    assert.ok(evaluations.every(({ milliseconds }) => milliseconds > 0));
    const { step, metrics } = evaluations[isBest.lastIndexOf(true)] ?? {};
    assert.deepEqual(result.best, { step, metrics });
    assert.deepEqual(result.metrics, evaluations.at(-1)?.metrics);
  }
});

Deno.test("a metric that is not a number is worse than any, and equal ones are no better", () => {
  const states = (metric: string, values: readonly number[]): BestState[] => {
    let state: BestState = { best: null, sinceBest: 0 };
    return values.map((value, index) => {
      const evaluation = { step: index + 1, metrics: { [metric]: value } };
      return state = JSON.parse(JSON.stringify(afterEvaluation(state, evaluation, metric)));
    });
  };
  const seen = (metric: string, values: readonly number[]): [number, number][] =>
    states(metric, values).map(({ best, sinceBest }) => [best?.step ?? NaN, sinceBest]);
  assert.deepEqual(seen("pearson", [NaN, NaN, -0.5, NaN, 0.25, 0.25]), [[1, 0], [1, 1], [3, 0], [3, 1], [5, 0], [
    5,
    1,
  ]]);
  assert.deepEqual(seen("perplexity", [NaN, 7, 8, 6]), [[1, 0], [2, 0], [2, 1], [4, 0]]);
});

Deno.test("patience ends a run after so many evaluations that are no better, with a notice", async () => {
  await assertNothingLeft(async () => {
    const options = { maxSteps: 200, evalSteps: 2, learningRate: 0.03 };
    const { evaluations, events, result } = await run({ ...options, patience: 3 });
    const lastBest = evaluations.findLastIndex(({ isBest }) => isBest);
    assert.equal(evaluations.length, lastBest + 4);
    const [step, best] = [evaluations.at(-1)?.step, evaluations[lastBest]?.step];
    assert.deepEqual([result.steps, result.isStopped, result.best?.step], [step, false, best]);
    assert.ok(result.steps < 200);
    const message = `stopped at step ${step} of 200: loss was best at step ${best}, ` +
      `and 3 evaluations since were no better`;
    assert.deepEqual(events.at(-1), { type: "notice", step, message });
    // It went as far as a run that has no patience.
    const { weights } = await run({ ...options, maxSteps: result.steps, patience: 1000 });
    assert.deepEqual((await run({ ...options, patience: 3 })).weights, weights);
  });
});

Deno.test("keepBest leaves the weights of the best evaluation, to the bit, and its metrics", async () => {
  await assertNothingLeft(async () => {
    const options = { maxSteps: 20, evalSteps: 2, learningRate: 0.03 };
    const { result, weights, evaluations } = await run({ ...options, keepBest: true });
    const best = evaluations.findLast(({ isBest }) => isBest);
    assert.ok(best && best.step < 20 && result.steps === 20);
    assert.deepEqual([result.best?.step, result.metrics], [best.step, best.metrics]);
    assert.deepEqual(weights, (await run({ ...options, maxSteps: best.step })).weights);
    assert.notDeepEqual(weights, (await run(options)).weights);
  });
});

Deno.test("a run that is interrupted has its last weights, also with keepBest", async () => {
  const options = { maxSteps: 20, evalSteps: 2, learningRate: 0.03, keepBest: true };
  const controller = new AbortController();
  const { result, weights } = await run({ ...options, signal: controller.signal }, (event) => {
    if (event.type === "step" && event.step === 15) controller.abort();
  });
  assert.deepEqual([result.steps, result.isStopped], [15, true]);
  assert.ok((result.best?.step ?? NaN) < 14);
  assert.deepEqual(weights, (await run({ ...options, keepBest: false, maxSteps: 15 })).weights);
});

Deno.test("the names of metrics are those that an evaluation gives", async () => {
  const keys = async (classifier: Classifier, data: typeof dev): Promise<string[]> => {
    using owned = classifier;
    return Object.keys(await evaluate(owned, data) satisfies Metrics);
  };
  for (const target of [{ labels: ["no", "yes"] }, "regression"] as const satisfies Target[]) {
    assert.deepEqual(await keys(randomBert({ target }), dev), metricNames(target));
  }
  assert.deepEqual(await keys(randomLanguageModel(), countingTexts([5, 9])), metricNames("nextToken"));
});

const refused: readonly (readonly [TrainOptions, Target, RegExp])[] = [
  [{ bestMetric: "bleu" }, "regression", /^the best metric is "bleu", it can be loss, pearson, spearman$/],
  [{ labelSmoothing: 0.1 }, "regression", /^the label smoothing is 0\.1, but a regression has no labels/],
  [{ classWeights: "balanced" }, "regression", /^class weights are given, but a regression has no classes/],
  [{ classWeights: { no: 1, maybe: 2 } }, { labels: ["no", "yes"] }, /for "maybe", the labels are no, yes$/],
];

for (const [options, target, message] of refused) {
  Deno.test(`refused for this target: ${JSON.stringify(options)}`, async () => {
    using classifier = randomBert({ target });
    await assert.rejects(train(classifier, { train: examples, dev }, options), { name: "OptionError", message });
  });
}

Deno.test("class weights are refused for a language model, and evaluations without anything to evaluate on", async () => {
  using language = randomLanguageModel();
  const texts = countingTexts([5, 9]);
  await assert.rejects(train(language, { train: texts }, { classWeights: "balanced" }), {
    name: "OptionError",
    message: "class weights are given, but a language model has no classes: leave them out",
  });
  for (const options of [{ evalSteps: 3 }, { bestMetric: "loss" }, { keepBest: true }, { patience: 2 }]) {
    const [[name, value] = []] = Object.entries(options);
    const message = `${name} is ${value}, but there is no dev data to evaluate on`;
    await assert.rejects(train(language, { train: texts }, options), { name: "OptionError", message });
  }
});
