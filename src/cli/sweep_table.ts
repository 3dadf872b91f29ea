// A sweep's results as tables for a person: each run, and each combination over its seeds.

import type { Spread } from "../metrics/spread.ts";
import { measured, type SweepRun } from "../train/sweep/runs.ts";
import { combinationName } from "../train/sweep/grid.ts";
import type { SweepResult } from "../train/sweep/sweep.ts";
import { textTable } from "./text_table.ts";

/** The runs, the combinations where there are several seeds, what the best is by, and why runs failed. */
export function sweepTable(sweep: SweepResult): string {
  const hasSeeds = sweep.summary.some(({ runs }) => runs > 1);
  const failed = sweep.runs.filter(({ state }) => state === "failed");
  return [
    ...runTable(sweep, !hasSeeds && hasBest(sweep)),
    ...(hasSeeds ? ["", ...summaryTable(sweep)] : []),
    ...(hasBest(sweep) ? ["", `best by: ${bestBy(sweep)}`] : []),
    ...(failed.length > 0 ? ["", ...failed.map(({ name, error }) => `${name} failed: ${error}`)] : []),
  ].join("\n");
}

/** The runs of a sweep and how far each is. */
export function planTable(runs: readonly SweepRun[]): string {
  return textTable(["run", "state"], runs.map(({ name, state }) => [name, state])).join("\n");
}

// The accuracy of always saying the same is the same in all runs.
function columnsOf({ summary }: SweepResult): string[] {
  const names = new Set(summary.flatMap(({ metrics }) => Object.keys(metrics)));
  return [...names].filter((name) => !name.endsWith(" majority"));
}

function runTable(sweep: SweepResult, marksBest: boolean): string[] {
  const columns = columnsOf(sweep);
  const rows = sweep.runs.map(({ name, state, result }, index) => [
    name,
    ...columns.map((name) => decimals(result === null ? undefined : measured(result)[name])),
    result === null ? "" : String(result.steps),
    result === null ? "" : result.seconds.toFixed(1),
    marksBest && sweep.summary[index]?.isBest ? "best" : state,
  ]);
  return textTable(["run", ...columns, "steps", "seconds", "state"], rows);
}

function summaryTable(sweep: SweepResult): string[] {
  const columns = columnsOf(sweep);
  const rows = sweep.summary.map((one) => [
    combinationName(one.options) || "every seed",
    `${one.done} of ${one.runs}`,
    ...columns.map((name) => spreadText(one.metrics[name])),
    one.isBest && hasBest(sweep) ? "best" : "",
  ]);
  return textTable(["over seeds: mean ± s.d.", "runs", ...columns, ""], rows);
}

// Of a single combination there is none.
function hasBest({ summary }: SweepResult): boolean {
  return summary.length > 1 && summary.some(({ isBest }) => isBest);
}

function bestBy({ deciding }: SweepResult): string {
  return deciding.length > 1 ? `the mean of ${deciding.join(" and ")}` : deciding.join();
}

function spreadText(spread: Spread | undefined): string {
  if (spread === undefined) return "";
  const { mean, standardDeviation } = spread;
  return standardDeviation === null ? decimals(mean) : `${decimals(mean)} ± ${decimals(standardDeviation)}`;
}

function decimals(value: number | undefined): string {
  return value === undefined ? "" : value.toFixed(4);
}
