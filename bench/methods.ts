// Every method, with all positions and with selected ones, on MRPC with MiniLM: metric, memory, time, and what is saved.

import { parseArgs } from "node:util";
import { fineTune, type FineTuneOptions } from "../mod.ts";
import { minilmFolder } from "../src/experiments/minilm.ts";
import { weightMethods } from "../src/methods/registry.ts";
import { spread } from "../src/metrics/spread.ts";
import { cacheFolder } from "../src/native/cache.ts";
import { markdownTable, mebibytes } from "./markdown.ts";
import { count } from "./options.ts";
import { describeOrigin, median, type Origin, writeResult } from "./results.ts";

/** One run. */
export interface MethodRun {
  readonly method: string;
  readonly seed: number;
  readonly learningRate: number;
  /** On dev. */
  readonly accuracy: number;
  readonly f1: number;
  readonly trainableParameters: number;
  /** The most bytes in live tensors, weights included. */
  readonly peakBytes: number;
  /** The median of a step. */
  readonly stepMs: number;
  /** Of the weights in the run's result. */
  readonly savedBytes: number;
}

/** All runs. */
export interface MethodsResult extends Origin {
  readonly settings: {
    readonly model: string;
    readonly task: string;
    readonly steps: number;
    readonly batchSize: number;
    readonly k: number;
    readonly maxLength: number;
    readonly threads: number;
  };
  /** Of always saying the label that is more frequent. */
  readonly majority: number;
  readonly runs: readonly MethodRun[];
}

interface Job {
  readonly method: string;
  readonly seed: number;
  readonly glue: string;
  readonly model: string;
  readonly settings: MethodsResult["settings"];
}

// What trains little takes larger steps.
function learningRateOf(method: string): number {
  return method === "full" || method === "selective" ? 5e-5 : 1e-3;
}

async function run({ method, seed, glue, model, settings }: Job): Promise<MethodRun & { majority: number }> {
  const learningRate = learningRateOf(method);
  const folder = Deno.makeTempDirSync({ prefix: "fewtune-methods-" });
  const times: number[] = [];
  const { steps, batchSize, k, maxLength, threads } = settings;
  const options: FineTuneOptions = {
    ...{
      model,
      glue: "MRPC",
      glueDir: glue,
      method,
      seed,
      learningRate,
      maxSteps: steps,
      batchSize,
      maxLength,
      threads,
    },
    ...(method.startsWith("selective") && { k }),
    ...{ maxGradNorm: 1, evalSteps: steps, outputDir: `${folder}/run`, tensorboard: false },
    onEvent: (event) => event.type === "step" && times.push(event.milliseconds),
  };
  try {
    const { dev, peakBytes, trainableParameters } = await fineTune(options);
    return {
      ...{ method, seed, learningRate, accuracy: dev?.["accuracy"] ?? NaN, f1: dev?.["f1"] ?? NaN },
      ...{ trainableParameters, peakBytes, stepMs: median(times), savedBytes: weightsIn(`${folder}/run`) },
      majority: dev?.["majority"] ?? NaN,
    };
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

function weightsIn(folder: string): number {
  const weights = [...Deno.readDirSync(folder)].filter(({ name }) => name.endsWith(".safetensors"));
  return weights.reduce((sum, { name }) => sum + Deno.statSync(`${folder}/${name}`).size, 0);
}

/** A row for each method, over its seeds. */
export function methodsTable({ runs, majority, settings: { steps } }: MethodsResult): string {
  const methods = [...new Set(runs.map(({ method }) => method))];
  const rows = methods.map((method) => {
    const own = runs.filter((each) => each.method === method);
    const middle = (value: (run: MethodRun) => number): number => median(own.map(value));
    return [
      ...[`\`${method}\``, own[0]?.trainableParameters.toLocaleString("en") ?? ""],
      ...[points(own.map(({ accuracy }) => accuracy)), points(own.map(({ f1 }) => f1))],
      ...[mebibytes(middle(({ peakBytes }) => peakBytes)), middle(({ stepMs }) => stepMs).toFixed(0)],
      mebibytes(middle(({ savedBytes }) => savedBytes)),
    ];
  });
  const table = markdownTable(
    ["Method", "Trained", "Accuracy", "F1", "Peak, MiB", "Step, ms", "Saved, MiB"],
    rows,
  );
  return `${table}\n\n${steps} steps; always saying the more frequent label gives an accuracy of ${
    (100 * majority).toFixed(1)
  }.`;
}

function points(values: readonly number[]): string {
  const { mean, standardDeviation } = spread(values.map((value) => 100 * value));
  return standardDeviation === null ? mean.toFixed(1) : `${mean.toFixed(1)} ± ${standardDeviation.toFixed(1)}`;
}

/** Each weight method with all positions and with selected ones. */
export const benchMethods: readonly string[] = weightMethods.flatMap(({ name }) =>
  name === "full" ? ["full", "selective"] : [name, `selective+${name}`]
);

if (import.meta.main) {
  const { glue, json, records, ...values } = parseArgs({
    options: {
      glue: { type: "string" },
      methods: { type: "string", default: benchMethods.join(",") },
      seeds: { type: "string", default: "1,2" },
      steps: { type: "string", default: "300" },
      threads: { type: "string", default: "1" },
      records: { type: "string", default: ".cache/methods" },
      json: { type: "string" },
    },
  }).values;
  if (glue === undefined) throw new Error("--glue DIR: the folder of GLUE's own files, with MRPC");
  const settings = {
    ...{ model: "MiniLM-L6", task: "MRPC", steps: count("steps", values.steps), batchSize: 16, k: 16, maxLength: 128 },
    threads: count("threads", values.threads),
  };
  const model = await minilmFolder(cacheFolder("models"));
  Deno.mkdirSync(records, { recursive: true });
  const runs: (MethodRun & { majority: number })[] = [];
  for (const seed of values.seeds.split(",").map(Number)) {
    for (const method of values.methods.split(",")) {
      const path = `${records}/${method}, ${seed}.json`;
      const known = readRecord(path);
      if (known === null) console.error(path);
      const made = known ?? await run({ method, seed, glue, model, settings });
      if (known === null) Deno.writeTextFileSync(path, JSON.stringify(made, null, 2) + "\n");
      runs.push(made);
    }
  }
  const majority = runs[0]?.majority ?? NaN;
  const result = { ...await describeOrigin(), settings, majority, runs: runs.map(({ majority: _, ...each }) => each) };
  console.log(methodsTable(result));
  if (json !== undefined) writeResult(json, result);
}

function readRecord(path: string): (MethodRun & { majority: number }) | null {
  try {
    return JSON.parse(Deno.readTextFileSync(path));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}
