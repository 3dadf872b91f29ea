// GLUE's MRPC and STS-B by full and selective fine-tuning, here and in transformers: mean and deviation over seeds.

import { parseArgs } from "node:util";
import { spread } from "../src/metrics/spread.ts";
import { type Arm, arms, makeRun, type RunResult, type Settings, tasks } from "./glue_runs.ts";
import { markdownTable } from "./markdown.ts";
import { count } from "./options.ts";
import { describeOrigin, type Origin, writeResult } from "./results.ts";

/** All runs, as they are kept. */
export interface GlueResult extends Origin {
  readonly model: string;
  readonly settings: Settings;
  readonly runs: readonly GlueRun[];
}

/** One of them. */
export interface GlueRun extends Pick<RunResult, "metrics" | "steps" | "peakBytes"> {
  readonly task: string;
  readonly arm: string;
  readonly seed: number;
}

/** The mean of what GLUE reports of a task, in points. */
function scoreOf({ metrics }: GlueRun): number {
  const values = Object.values(metrics);
  return 100 * values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** A row for each way, a column for each task and one for their mean, in points. */
export function glueTable({ runs }: GlueResult): string {
  const names = [...new Set(runs.map(({ task }) => task))];
  const ways = arms.filter(({ name }) => runs.some(({ arm }) => arm === name));
  const rows = ways.map(({ name }) => {
    const own = runs.filter(({ arm }) => arm === name);
    const cells = names.map((task) => own.filter((run) => run.task === task).map(scoreOf));
    const isWhole = cells.every(({ length }) => length > 0);
    const mean = cells.reduce((sum, scores) => sum + spread(scores).mean, 0) / cells.length;
    return [name, ...cells.map(shown), isWhole ? mean.toFixed(1) : ""];
  });
  return markdownTable(["", ...names, "Mean"], rows);
}

function shown(scores: readonly number[]): string {
  if (scores.length === 0) return "";
  const { mean, standardDeviation } = spread(scores);
  return standardDeviation === null ? mean.toFixed(1) : `${mean.toFixed(1)} ± ${standardDeviation.toFixed(1)}`;
}

const published: Settings = {
  epochs: 3,
  learningRate: 5e-5,
  batchSize: 16,
  maxLength: 128,
  weightDecay: 0.01,
  maxGradNorm: 1,
  warmupRatio: 0.1,
};

/** Where a run's result is kept until all are there. */
function recordOf(folder: string, arm: Arm, task: string, seed: number): string {
  return `${folder}/${task}, ${arm.name}, ${seed}.json`;
}

function readRecord(path: string): RunResult | null {
  try {
    return JSON.parse(Deno.readTextFileSync(path)) as RunResult;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}

interface Place {
  readonly model: string;
  readonly glueDir: string;
  readonly python: string;
  readonly threads: number;
  readonly records: string;
}

/** Makes those runs that have no record yet, one after the other; another process may make others of them. */
async function makeRuns(
  chosen: readonly Arm[],
  names: readonly string[],
  seeds: readonly number[],
  place: Place,
): Promise<void> {
  for (const seed of seeds) {
    for (const task of names) {
      for (const arm of chosen) {
        const path = recordOf(place.records, arm, task, seed);
        if (readRecord(path) !== null) continue;
        console.error(path);
        const result = await makeRun({ arm, task, seed, settings: published, ...place });
        Deno.writeTextFileSync(path, JSON.stringify(result, null, 2) + "\n");
        console.error(`  ${JSON.stringify(result.metrics)}`);
      }
    }
  }
}

async function collect(
  names: readonly string[],
  seeds: readonly number[],
  { records, model }: Place,
): Promise<GlueResult> {
  const found = seeds.flatMap((seed) =>
    names.flatMap((task) =>
      arms.flatMap((arm) => {
        const result = readRecord(recordOf(records, arm, task, seed));
        return result === null ? [] : [{ arm: arm.name, task, seed, result }];
      })
    )
  );
  const versions = Object.assign({}, ...found.map(({ result }) => result.versions));
  const runs = found.map(({ result: { metrics, steps, peakBytes }, ...run }) => ({
    ...run,
    metrics,
    steps,
    peakBytes,
  }));
  const name = model.split("/").findLast((part) => part.includes("minilm")) ?? model;
  return { ...await describeOrigin(versions), model: name, settings: published, runs };
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      model: { type: "string" },
      "glue-dir": { type: "string" },
      python: { type: "string", default: "python3" },
      tasks: { type: "string", default: Object.keys(tasks).join(",") },
      arms: { type: "string", default: arms.map(({ name }) => name).join(";") },
      seeds: { type: "string", default: "1,2,3" },
      threads: { type: "string", default: "1" },
      records: { type: "string", default: ".cache/glue" },
      json: { type: "string" },
    },
  });
  const [model, glueDir] = [values.model, values["glue-dir"]];
  if (!model || !glueDir) throw new Error("say where the checkpoint (--model) and GLUE's tasks (--glue-dir) are");
  const chosen = arms.filter(({ name }) => values.arms.split(";").includes(name));
  const place = {
    model,
    glueDir,
    python: values.python,
    threads: count("threads", values.threads),
    records: values.records,
  };
  const seeds = values.seeds.split(",").map(Number);
  Deno.mkdirSync(place.records, { recursive: true });
  await makeRuns(chosen, values.tasks.split(","), seeds, place);
  const result = await collect(values.tasks.split(","), seeds, place);
  console.log(glueTable(result));
  if (values.json !== undefined) writeResult(values.json, result);
}
