// What is best over the seeds, and what cannot be.

import assert from "node:assert/strict";
import type { SweepRun } from "../../../src/train/sweep/runs.ts";
import { decidingMetrics, summarize } from "../../../src/train/sweep/summary.ts";

type Dev = Readonly<Record<string, number>> | null;

function run(options: Record<string, unknown>, dev: Dev): SweepRun {
  const result = {
    dev,
    devMismatched: null,
    test: null,
    steps: 1,
    seconds: 1,
    peakBytes: 1,
    target: "regression" as const,
  };
  const done = { state: "done", error: null, result } as const;
  return { name: "", options, ...(dev ? done : { state: "failed", error: "why", result: null }) };
}

/** The k that is best, when each k's values over seeds are so. */
function bestOf(values: readonly (readonly Dev[])[], metrics: readonly string[]): number[] {
  const runs = values.flatMap((devs, k) => devs.map((dev, seed) => run({ seed, k }, dev)));
  return summarize(runs, metrics.map((name) => `dev ${name}`)).flatMap(({ isBest, options }) =>
    isBest ? [Number(options["k"])] : []
  );
}

Deno.test("means over the seeds, of each metric that the runs have", () => {
  const runs = [
    run({ k: 1, seed: 1 }, { a: 1, b: 4 }),
    run({ k: 1, seed: 2 }, { a: 3, b: 4 }),
    run({ k: 2, seed: 1 }, null),
  ];
  assert.deepEqual(summarize(runs, ["dev a"]), [
    {
      ...{ options: { k: 1 }, runs: 2, done: 2, isBest: true },
      metrics: { "dev a": { mean: 2, standardDeviation: Math.SQRT2 }, "dev b": { mean: 4, standardDeviation: 0 } },
    },
    { options: { k: 2 }, runs: 1, done: 0, metrics: {}, isBest: false },
  ]);
});

Deno.test("the best has the highest mean, or the lowest loss or perplexity", () => {
  const values = [[{ accuracy: 0.7, loss: 3 }, { accuracy: 0.9, loss: 3 }], [{ accuracy: 0.85, loss: 5 }, {
    accuracy: 0.5,
    loss: 2,
  }]];
  assert.deepEqual(bestOf(values, ["accuracy"]), [0]);
  assert.deepEqual(bestOf(values, ["loss"]), [0]);
  assert.deepEqual(bestOf([[{ perplexity: 20 }], [{ perplexity: 10 }]], ["perplexity"]), [1]);
  const two = [[{ f1: 0.9, accuracy: 0.1 }], [{ f1: 0.6, accuracy: 0.6 }]];
  assert.deepEqual([bestOf(two, ["f1"]), bestOf(two, ["f1", "accuracy"])], [[0], [1]]);
});

Deno.test("a combination that lacks a run or a number is not the best; equals are both", () => {
  assert.deepEqual(bestOf([[{ a: 9 }, null], [{ a: 1 }, { a: 1 }]], ["a"]), [1]);
  assert.deepEqual(bestOf([[{ a: NaN }], [{ a: -1 }]], ["a"]), [1]);
  assert.deepEqual(bestOf([[{ a: 1 }], [{ a: 1 }]], ["a"]), [0, 1]);
  assert.deepEqual(bestOf([[{ a: NaN }], [null]], ["a"]), []);
  assert.deepEqual(bestOf([[{ a: 1 }]], []), []);
});

Deno.test("what decides: what is asked for, what GLUE reports, or what the target has", () => {
  const result = { dev: {}, devMismatched: null, test: null, steps: 1, seconds: 1, peakBytes: 1 };
  const labels = { ...result, target: { labels: ["no", "yes"] } };
  assert.deepEqual(decidingMetrics({}, labels), ["dev accuracy"]);
  assert.deepEqual(decidingMetrics({}, { ...result, target: "regression" }), ["dev pearson", "dev spearman"]);
  assert.deepEqual(decidingMetrics({}, { ...result, target: "nextToken" }), ["dev perplexity"]);
  assert.deepEqual(decidingMetrics({ glue: "mrpc" }, labels), ["dev f1", "dev accuracy"]);
  assert.deepEqual(decidingMetrics({ glue: "MNLI" }, { ...labels, devMismatched: {} }), [
    ...["dev accuracy", "devMismatched accuracy"],
  ]);
  assert.deepEqual(decidingMetrics({ glue: "CoLA", bestMetric: "loss" }, labels), ["dev loss"]);
});
