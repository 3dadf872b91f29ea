// Every method, with all positions and with selected ones, on the demo's e-mails with MiniLM: metric, memory, time, and what is saved.

import { parseArgs } from "node:util";
import { fineTune, type FineTuneEvent, type FineTuneOptions } from "../mod.ts";
import { prepareSpamDemo, type SpamDemoParts } from "../src/experiments/spam_demo.ts";
import { weightMethods } from "../src/methods/registry.ts";
import { spread } from "../src/metrics/spread.ts";
import { markdownTable, mebibytes } from "./markdown.ts";
import { count } from "./options.ts";
import { describeOrigin, median, type Origin, writeResult } from "./results.ts";

/** One run. */
export interface MethodRun {
  readonly method: string;
  readonly seed: number;
  readonly learningRate: number;
  /** On the test part. */
  readonly accuracy: number;
  /** Of spam. */
  readonly f1: number;
  readonly trainableParameters: number;
  /** The most bytes in live tensors, weights included. */
  readonly peakBytes: number;
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
  /** The median of a step on the same batches, milliseconds; one method after the other on a quiet machine. */
  readonly stepMs: Readonly<Record<string, number>>;
}

interface Job {
  readonly method: string;
  readonly seed: number;
  readonly parts: SpamDemoParts;
  readonly settings: MethodsResult["settings"];
}

// By the weight method: the fewer weights train, the larger the steps. Of those tried, the best with all positions.
const learningRates: Readonly<Record<string, number>> = {
  full: 1e-4,
  freeze: 1e-4,
  bitfit: 1e-3,
  ia3: 5e-3,
  compacter: 3e-3,
  prefix: 1e-2,
  prompt: 3e-2,
  lst: 3e-3,
  diff: 3e-4,
  mask: 2e-4,
};

function optionsOf({ method, seed, parts: { model, spam }, settings }: Job): Omit<FineTuneOptions, "outputDir"> {
  const weightMethod = method.split("+").at(-1) ?? "";
  const learningRate = learningRates[weightMethod === "selective" ? "full" : weightMethod] ?? 1e-3;
  const { steps: maxSteps, k, batchSize, maxLength, threads } = settings;
  return {
    ...{ model, method, seed, learningRate, maxSteps, batchSize, maxLength, threads, pooling: "mean" },
    ...{ train: spam.files.train, tensorboard: false },
    ...(method.startsWith("selective") && { k }),
    ...(weightMethod === "freeze" && { freezeLayers: 3 }),
  };
}

async function run(job: Job): Promise<MethodRun & { readonly majority: number }> {
  const { method, seed } = job;
  const options = optionsOf(job);
  const folder = Deno.makeTempDirSync({ prefix: "fewtune-methods-" });
  try {
    const result = await fineTune({ ...options, test: job.parts.spam.files.test, outputDir: `${folder}/run` });
    const { test, peakBytes, trainableParameters } = result;
    return {
      ...{ method, seed, learningRate: options.learningRate ?? NaN },
      ...{ accuracy: test?.["accuracy"] ?? NaN, f1: test?.["f1"] ?? NaN, majority: test?.["majority"] ?? NaN },
      ...{ trainableParameters, peakBytes, savedBytes: weightsIn(`${folder}/run`) },
    };
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

// The first steps of a run, but for the very first.
async function timeStep(job: Job): Promise<number> {
  const folder = Deno.makeTempDirSync({ prefix: "fewtune-methods-" });
  const times: number[] = [];
  const onEvent = (event: FineTuneEvent): void => void (event.type === "step" && times.push(event.milliseconds));
  try {
    await fineTune({ ...optionsOf(job), maxSteps: 1 + timedSteps, onEvent, outputDir: `${folder}/run` });
    return median(times.slice(1));
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

const timedSteps = 7;

function weightsIn(folder: string): number {
  const weights = [...Deno.readDirSync(folder)].filter(({ name }) => name.endsWith(".safetensors"));
  return weights.reduce((sum, { name }) => sum + Deno.statSync(`${folder}/${name}`).size, 0);
}

/** A row for each method, over its seeds. */
export function methodsTable({ runs, stepMs, majority, settings: { steps } }: MethodsResult): string {
  const methods = [...new Set(runs.map(({ method }) => method))];
  const rows = methods.map((method) => {
    const own = runs.filter((each) => each.method === method);
    const middle = (value: (run: MethodRun) => number): number => median(own.map(value));
    return [
      ...[`\`${method}\``, own[0]?.trainableParameters.toLocaleString("en") ?? ""],
      ...[points(own.map(({ accuracy }) => accuracy)), points(own.map(({ f1 }) => f1))],
      ...[mebibytes(middle(({ peakBytes }) => peakBytes)), (stepMs[method] ?? NaN).toFixed(0)],
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

/** Each method with all positions and with selected ones. */
export const benchMethods: readonly string[] = [
  ...["full", "selective", "freeze", "selective+freeze"],
  ...weightMethods.flatMap(({ name }) => name === "full" ? [] : [name, `selective+${name}`]),
  ...["lora+bitfit", "selective+lora+bitfit"],
];

if (import.meta.main) {
  const { json, records, ...values } = parseArgs({
    options: {
      methods: { type: "string", default: benchMethods.join(",") },
      seeds: { type: "string", default: "1,2" },
      steps: { type: "string", default: "100" },
      threads: { type: "string", default: "1" },
      records: { type: "string", default: ".cache/methods" },
      json: { type: "string" },
    },
  }).values;
  const settings = {
    ...{ model: "MiniLM-L6", task: "e-mails, ham or spam", k: 16, batchSize: 16, maxLength: 128 },
    ...{ steps: count("steps", values.steps), threads: count("threads", values.threads) },
  };
  const parts = await prepareSpamDemo();
  Deno.mkdirSync(records, { recursive: true });
  const methods = values.methods.split(",");
  const runs: (MethodRun & { majority: number })[] = [];
  for (const seed of values.seeds.split(",").map(Number)) {
    for (const method of methods) {
      const path = `${records}/${method}, ${seed}.json`;
      const known = readRecord(path);
      if (known === null) console.error(path);
      const made = known ?? await run({ method, seed, parts, settings });
      if (known === null) Deno.writeTextFileSync(path, JSON.stringify(made, null, 2) + "\n");
      runs.push(made);
    }
  }
  const stepMs: Record<string, number> = {};
  for (const method of methods) stepMs[method] = await timeStep({ method, seed: 1, parts, settings });
  const majority = runs[0]?.majority ?? NaN;
  const result = {
    ...await describeOrigin(),
    settings,
    majority,
    stepMs,
    runs: runs.map(({ majority: _, ...each }) => each),
  };
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
