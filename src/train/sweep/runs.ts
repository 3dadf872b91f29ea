// The runs of a sweep: their folders, and what became of each.

import { join } from "node:path";
import { CheckpointError } from "../../errors.ts";
import { readTextUpTo } from "../../files/json_text.ts";
import type { Metrics } from "../evaluate.ts";
import type { FineTuneResult } from "../fine_tune.ts";
import { trainingRecordName } from "../training_record.ts";
import { type Combination, combinationName } from "./grid.ts";

/** One run of a sweep. */
export interface SweepRun {
  /** That of its folder in the sweep's. */
  readonly name: string;
  /** What of its options varies. */
  readonly options: Combination;
  /** `begun` is one that was stopped and can go on. */
  readonly state: "done" | "failed" | "begun" | "to do";
  /** Why it failed. */
  readonly error: string | null;
  /** Null unless it is done. */
  readonly result: RunResult | null;
}

/** What of a run's result a sweep keeps; all of it is in the run's folder. */
export type RunResult = Pick<
  FineTuneResult,
  "dev" | "devMismatched" | "test" | "steps" | "seconds" | "peakBytes" | "target"
>;

/** A run as its folder tells: done where there is a result. */
export function runOf(options: Combination, outputDir: string): SweepRun {
  const name = combinationName(options);
  const folder = join(outputDir, name);
  const result = readResult(folder);
  const state = result !== null ? "done" : exists(folder) ? "begun" : "to do";
  return { name, options, state, error: null, result };
}

/** All metrics of a run, with the part of the data before their names: `dev accuracy`. */
export function measured({ dev, devMismatched, test }: RunResult): Metrics {
  const entries = Object.entries({ dev, devMismatched, test }).flatMap(([part, metrics]) =>
    Object.entries(metrics ?? {}).map(([name, value]) => [`${part} ${name}`, value] as const)
  );
  return Object.fromEntries(entries);
}

const largestRecord = 2 ** 24;

function readResult(folder: string): RunResult | null {
  const path = join(folder, trainingRecordName);
  if (!exists(path)) return null;
  try {
    const { target, result: { dev, devMismatched, test, ...others } } = JSON.parse(readTextUpTo(largestRecord, path));
    const { steps, seconds, peakBytes } = others;
    const parts = { dev: numbersOf(dev), devMismatched: numbersOf(devMismatched), test: numbersOf(test) };
    return { ...parts, steps, seconds, peakBytes, target };
  } catch (cause) {
    throw new CheckpointError(`${path} is damaged (${(cause as Error).message}): remove ${folder} to run it again`, {
      cause,
    });
  }
}

// JSON writes null for what is no number.
function numbersOf(metrics: Readonly<Record<string, number | null>> | null): Metrics | null {
  return metrics && Object.fromEntries(Object.entries(metrics).map(([name, value]) => [name, value ?? NaN]));
}

function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
