// A run as a report shows it: what its folder holds of it, whether it is done or still going on.

import { basename, join, resolve } from "node:path";
import { DataError } from "../errors.ts";
import { isObject } from "../files/json_text.ts";
import { isFile } from "../files/presence.ts";
import { metricsFileName, type MetricsLine, readMetrics } from "../train/log/metrics_file.ts";
import { trainingRecordName } from "../train/training_record.ts";

/** A value of a curve: after which step, and how much. */
export type Point = readonly [step: number, value: number];

/** What a report shows of a run. */
export interface Run {
  readonly name: string;
  /** `done`, or how far it is. */
  readonly state: string;
  /** Steps done, and the seconds that they took. */
  readonly steps: number;
  readonly seconds: number;
  /** By the field of the steps' lines: `loss`, `learningRate`. */
  readonly curves: Readonly<Record<string, readonly Point[]>>;
  /** By the metric's name. */
  readonly evaluations: Readonly<Record<string, readonly Point[]>>;
  /** The metrics of the last evaluation, and those on the test data. */
  readonly dev: Readonly<Record<string, number>>;
  readonly test: Readonly<Record<string, number>>;
  readonly peakBytes: number | null;
  readonly trainedParameters: number | null;
  /** Settings by name, and what they are. */
  readonly settings: ReadonlyMap<string, string>;
}

/**
 * Reads the folders of runs.
 *
 * @throws {DataError} when one has no metrics.jsonl, or a damaged one
 */
export function readRuns(folders: readonly string[]): Run[] {
  const names = shortNames(folders);
  return folders.map((folder, index) => readRun(folder, names[index] ?? folder));
}

// The last part of each path, and as many before it as tell it from the others.
function shortNames(folders: readonly string[]): string[] {
  const paths = folders.map((folder) => resolve(folder).split("/").slice(1));
  return paths.map((path) => {
    const tail = (count: number): string => path.slice(-count).join("/");
    const others = (count: number): number =>
      paths.filter((other) => other.slice(-count).join("/") === tail(count)).length;
    const count = path.findIndex((_, index) => others(index + 1) === 1) + 1;
    return tail(count || path.length) || basename(path.join("/"));
  });
}

const stepFields = ["loss", "learningRate", "gradientNorm", "tokensPerSecond", "liveBytes", "peakBytes"];

function readRun(folder: string, name: string): Run {
  requireMetrics(folder);
  const lines = readMetrics(join(folder, metricsFileName));
  const steps = lines.filter(({ type }) => type === "step");
  const evaluations = lines.filter(({ type }) => type === "evaluation");
  const record = readJson(join(folder, trainingRecordName));
  const result = fieldsOf(record?.["result"]);
  const evaluated = evaluations.map(({ step, metrics }) => ({ step, ...numbersOf(metrics) }));
  const metrics = new Set(evaluated.flatMap(({ step: _, ...values }) => Object.keys(values)));
  const done = steps.at(-1)?.step ?? 0;
  return {
    ...{ name, state: record === null ? progressOf(steps.at(-1)) : stateOf(result), steps: done },
    seconds: numberOf(result["seconds"]) ?? secondsOf([...steps, ...evaluations]),
    curves: Object.fromEntries(stepFields.map((field) => [field, pointsOf(steps, field)])),
    evaluations: Object.fromEntries([...metrics].map((metric) => [metric, pointsOf(evaluated, metric)])),
    dev: numbersOf(result["dev"] ?? evaluations.at(-1)?.["metrics"]),
    test: numbersOf(result["test"]),
    peakBytes: numberOf(result["peakBytes"]) ?? numberOf(steps.at(-1)?.["peakBytes"]),
    trainedParameters: numberOf(result["trainableParameters"]),
    settings: settingsOf(folder, record),
  };
}

function requireMetrics(folder: string): void {
  if (isFile(join(folder, metricsFileName))) return;
  throw new DataError(
    `${folder} has no ${metricsFileName}: it is not a run's folder, or its first step is still to come`,
  );
}

function progressOf(last: MetricsLine | undefined): string {
  return last === undefined ? "before its first step" : `step ${last.step} of ${numberOf(last["totalSteps"]) ?? "?"}`;
}

function stateOf(result: Readonly<Record<string, unknown>>): string {
  return result["isStopped"] === true ? "stopped" : "done";
}

function secondsOf(lines: readonly MetricsLine[]): number {
  return lines.reduce((sum, { milliseconds }) => sum + (numberOf(milliseconds) ?? 0), 0) / 1000;
}

function pointsOf(lines: readonly { readonly step: number }[], field: string): Point[] {
  return lines.flatMap((line) => {
    const value = numberOf(fieldsOf(line)[field]);
    return value === null ? [] : [[line.step, value] as const];
  });
}

// The configuration that the run was started with, else the options that the finished one notes.
function settingsOf(folder: string, record: Readonly<Record<string, unknown>> | null): Map<string, string> {
  const { outputDir: _, ...options } = readJson(join(folder, "train_config.json")) ?? fieldsOf(record?.["options"]);
  const settings = [...flattened(options), ...flattened(fieldsOf(record?.["versions"]), "versions.")];
  return new Map(settings);
}

function flattened(fields: Readonly<Record<string, unknown>>, prefix = ""): [name: string, value: string][] {
  return Object.entries(fields).flatMap(([name, value]) => {
    if (isObject(value)) return flattened(value, `${prefix}${name}.`);
    if (value === null || value === undefined) return [];
    return [[prefix + name, typeof value === "string" ? value : JSON.stringify(value)]];
  });
}

function readJson(path: string): Record<string, unknown> | null {
  try {
    return fieldsOf(JSON.parse(Deno.readTextFileSync(path)));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof SyntaxError) return null;
    throw error;
  }
}

function fieldsOf(value: unknown): Record<string, unknown> {
  return isObject(value) ? value : {};
}

function numbersOf(value: unknown): Record<string, number> {
  return Object.fromEntries(
    Object.entries(fieldsOf(value)).flatMap(([name, number]) => {
      const finite = numberOf(number);
      return finite === null ? [] : [[name, finite]];
    }),
  );
}

function numberOf(value: unknown): number | null {
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}
