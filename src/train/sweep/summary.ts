// What a sweep found: each metric over the seeds, and the best combination of the other options.

import { glueTaskNamed } from "../../data/glue/tasks.ts";
import { type Spread, spread } from "../../metrics/spread.ts";
import { lowerIsBetter } from "../best.ts";
import type { TrainConfig } from "../config/options.ts";
import { type Combination, combinationName } from "./grid.ts";
import { measured, type RunResult, type SweepRun } from "./runs.ts";

/** The runs that differ in the seed alone. */
export interface SweepSummary {
  /** What varies, without the seed. */
  readonly options: Combination;
  /** The number of its runs, and of those that are done: the metrics are over these. */
  readonly runs: number;
  readonly done: number;
  /** With the part of the data before their names: `dev accuracy`. */
  readonly metrics: Readonly<Record<string, Spread>>;
  /** Whether no other is better. */
  readonly isBest: boolean;
}

/**
 * The metrics by whose mean combinations are compared: `bestMetric` where it is given, else those that GLUE reports of
 * the task (of MNLI on both dev tables), else accuracy, perplexity, or both correlations of a regression.
 */
export function decidingMetrics({ bestMetric, glue }: TrainConfig, { target, devMismatched }: RunResult): string[] {
  if (bestMetric !== undefined) return [`dev ${bestMetric}`];
  if (glue === undefined) return defaultMetrics(target).map((name) => `dev ${name}`);
  const parts = devMismatched === null ? ["dev"] : ["dev", "devMismatched"];
  return parts.flatMap((part) => glueTaskNamed(glue).metrics.map((name) => `${part} ${name}`));
}

function defaultMetrics(target: RunResult["target"]): string[] {
  if (target === "nextToken") return ["perplexity"];
  return target === "regression" ? ["pearson", "spearman"] : ["accuracy"];
}

/**
 * Summarizes runs over their seeds. The best combination is the one with the best mean of the deciding metrics over its
 * seeds; one of which a run is missing or has no such number cannot be it.
 *
 * @param deciding the names of metrics; less is better of `loss` and `perplexity`
 */
export function summarize(runs: readonly SweepRun[], deciding: readonly string[]): SweepSummary[] {
  const groups = Map.groupBy(runs, ({ options }) => combinationName(withoutSeed(options)));
  const summaries = [...groups.values()].map(summaryOf);
  const scores = summaries.map((summary) => scoreOf(summary, deciding));
  const best = Math.max(...scores);
  return summaries.map((summary, index) => ({ ...summary, isBest: best > -Infinity && scores[index] === best }));
}

function withoutSeed({ seed: _, ...others }: Combination): Combination {
  return others;
}

function summaryOf(runs: readonly SweepRun[]): Omit<SweepSummary, "isBest"> {
  const results = runs.flatMap(({ result }) => result === null ? [] : [measured(result)]);
  const names = [...new Set(results.flatMap((metrics) => Object.keys(metrics)))];
  const values = (name: string): number[] => results.flatMap((metrics) => metrics[name] ?? []);
  return {
    options: withoutSeed(runs[0]?.options ?? {}),
    runs: runs.length,
    done: results.length,
    metrics: Object.fromEntries(names.map((name) => [name, spread(values(name))])),
  };
}

// More is better.
function scoreOf({ runs, done, metrics }: Omit<SweepSummary, "isBest">, deciding: readonly string[]): number {
  if (done < runs) return -Infinity;
  const signed = deciding.map((name) => {
    const isLower = lowerIsBetter.has(name.slice(name.indexOf(" ") + 1));
    return (isLower ? -1 : 1) * (metrics[name]?.mean ?? NaN);
  });
  const { mean } = spread(signed);
  return Number.isNaN(mean) ? -Infinity : mean;
}
