// What a sweep found: each metric over the seeds, and the best combination of the other options.

import { type Spread, spread } from "../../metrics/spread.ts";
import type { Target } from "../../models/classifier.ts";
import type { Metrics } from "../evaluate.ts";
import { type Combination, combinationName } from "./grid.ts";
import type { SweepRun } from "./runs.ts";

/** The runs that differ in the seed alone. */
export interface SweepSummary {
  /** What varies, without the seed. */
  readonly options: Combination;
  /** The number of its runs, and of those that are done: the metrics are over these. */
  readonly runs: number;
  readonly done: number;
  readonly dev: Readonly<Record<string, Spread>>;
  readonly test: Readonly<Record<string, Spread>>;
  /** Whether it is the best by the metrics in question on the dev table. */
  readonly isBest: boolean;
}

/** The metrics that are asked for by default, of a task that is none of GLUE's. */
export function metricsOf(target: Target): readonly string[] {
  if (target === "nextToken") return ["perplexity"];
  return target === "regression" ? ["pearson", "spearman"] : ["accuracy"];
}

/**
 * Summarizes runs over their seeds. The best combination is the one with the best mean of `metrics`, on the dev table
 * and over its seeds; one of which a run is missing or has no such number cannot be it.
 *
 * @param metrics those that decide; less is better of `loss` and `perplexity`
 */
export function summarize(runs: readonly SweepRun[], metrics: readonly string[]): SweepSummary[] {
  const groups = Map.groupBy(runs, ({ options }) => combinationName(withoutSeed(options)));
  const summaries = [...groups.values()].map(summaryOf);
  const scores = summaries.map((summary) => scoreOf(summary, metrics));
  const best = Math.max(...scores);
  return summaries.map((summary, index) => ({ ...summary, isBest: best > -Infinity && scores[index] === best }));
}

function withoutSeed({ seed: _, ...others }: Combination): Combination {
  return others;
}

function summaryOf(runs: readonly SweepRun[]): Omit<SweepSummary, "isBest"> {
  const results = runs.flatMap(({ result }) => result ?? []);
  return {
    options: withoutSeed(runs[0]?.options ?? {}),
    runs: runs.length,
    done: results.length,
    dev: spreads(results.map(({ dev }) => dev)),
    test: spreads(results.map(({ test }) => test)),
  };
}

function spreads(results: readonly (Metrics | null)[]): Record<string, Spread> {
  const measured = results.filter((metrics) => metrics !== null);
  const names = [...new Set(measured.flatMap((metrics) => Object.keys(metrics)))];
  return Object.fromEntries(
    names.map((name) => [name, spread(measured.flatMap((metrics) => metrics[name] ?? []))]),
  );
}

// More is better.
function scoreOf({ runs, done, dev }: Omit<SweepSummary, "isBest">, metrics: readonly string[]): number {
  if (done < runs) return -Infinity;
  const { mean } = spread(metrics.map((name) => (isLowerBetter(name) ? -1 : 1) * (dev[name]?.mean ?? NaN)));
  return Number.isNaN(mean) ? -Infinity : mean;
}

function isLowerBetter(metric: string): boolean {
  return metric === "loss" || metric === "perplexity";
}
