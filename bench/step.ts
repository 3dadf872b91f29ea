// Time and memory of a training step, full against selective, step by step in turn; with Hugging Face's as the peer.

import { createInterface } from "node:readline";
import { spawn } from "node:child_process";
import { parseArgs } from "node:util";
import { markdownTable, mebibytes } from "./markdown.ts";
import { modelName, modelSizes } from "./model_sizes.ts";
import { packageVersions, runScript } from "./python.ts";
import {
  describeOrigin,
  median,
  type MethodResult,
  type StepResult,
  type StepSettings,
  writeResult,
} from "./results.ts";
import type { MeasuredStep, WorkerSettings } from "./step_worker.ts";

type Step = Pick<MeasuredStep, "activationBytes" | "peakBytes"> & { readonly seconds: number } & Partial<MeasuredStep>;

/** A method that makes one measured step at a time. */
interface Runner {
  readonly method: MethodResult["method"];
  readonly step: () => Promise<Step>;
  readonly stop: () => void;
}

function startWorker(method: MethodResult["method"], settings: WorkerSettings): Runner {
  const worker = new URL("step_worker.ts", import.meta.url).pathname;
  const child = spawn(Deno.execPath(), ["run", "-A", worker, JSON.stringify(settings)], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const step = async (): Promise<Step> => {
    child.stdin.write("\n");
    const { value, done } = await lines.next();
    if (done) throw new Error(`the worker of ${method} ended`);
    const measured = JSON.parse(value) as MeasuredStep;
    return { ...measured, seconds: measured.forward + measured.backward + measured.optimizer };
  };
  return { method, step, stop: () => child.stdin.end() };
}

function peer(python: string, { model, batchSize, length, threads }: StepSettings): Runner {
  const flags = { ...modelSizes[model], "batch-size": batchSize, length, threads, steps: 1 };
  const args = Object.entries(flags).flatMap(([name, value]) => [`--${name}`, `${value}`]);
  const step = async (): Promise<Step> => {
    const { stepSeconds, activationBytes, peakBytes } = await runScript<
      { stepSeconds: number; activationBytes: number; peakBytes: number }
    >(python, "peer_full.py", args);
    return { seconds: stepSeconds, activationBytes, peakBytes };
  };
  return { method: "peer", step, stop: () => {} };
}

/** Measures in rounds of one step of each method, so that a slower spell of the machine hits all of them. */
export async function measure(settings: StepSettings, python: string | undefined): Promise<StepResult> {
  const { k, steps, ...shared } = settings;
  const stored = { ...shared, k, activations: "store", optimizerInBackward: false } as const;
  const recomputed = { ...stored, activations: "recompute" } as const;
  const workers = [
    startWorker("full", { ...stored, k: "all" }),
    startWorker("selective", stored),
    startWorker("recompute", recomputed),
    startWorker("lean", { ...recomputed, optimizerInBackward: true }),
  ];
  const runners = python === undefined ? workers : [...workers, peer(python, settings)];
  const measured = new Map(runners.map(({ method }) => [method, [] as Step[]]));
  try {
    // The first step makes the optimizer's state and is not counted.
    for (const worker of workers) await worker.step();
    for (let round = 1; round <= steps; round++) {
      for (const { method, step } of runners) measured.get(method)?.push(await step());
      console.error(`round ${round} of ${steps}`);
    }
  } finally {
    for (const { stop } of runners) stop();
  }
  const full = measured.get("full") ?? [];
  return {
    ...await describeOrigin(python === undefined ? {} : await packageVersions(python, ["torch", "transformers"])),
    settings,
    methods: [...measured].map(([method, steps]) => summarize(method, steps, full)),
  };
}

function summarize(method: MethodResult["method"], steps: readonly Step[], full: readonly Step[]): MethodResult {
  const middle = (value: (step: Step, round: number) => number | undefined): number =>
    Number(median(steps.map((step, round) => value(step, round) ?? NaN)).toFixed(4));
  const isWorker = method !== "peer";
  return {
    method,
    activationBytes: Math.max(...steps.map((step) => step.activationBytes)),
    peakBytes: Math.max(...steps.map((step) => step.peakBytes)),
    restingBytes: isWorker ? middle((step) => step.restingBytes) : null,
    stepSeconds: middle((step) => step.seconds),
    parts: isWorker
      ? {
        forward: middle((step) => step.forward),
        backward: middle((step) => step.backward),
        optimizer: middle((step) => step.optimizer),
      }
      : null,
    timeRelativeToFull: middle((step, round) => step.seconds / (full[round]?.seconds ?? NaN)),
  };
}

/** What a method is called in a table. */
export function methodTitle(method: MethodResult["method"], k: number): string {
  const titles = {
    full: "Full",
    selective: `Selective, k = ${k}`,
    recompute: "The same, recomputed",
    lean: "The same, optimizer in backward",
    peer: "Full, Hugging Face `transformers`",
  };
  return titles[method];
}

/** The result as a Markdown table. */
export function stepTable({ settings, methods }: StepResult): string {
  return markdownTable(
    ["", "Activations, MiB", "Peak, MiB", "Step, s", "Forward, s", "Backward, s", "Optimizer, s", "Relative to full"],
    methods.map(({ method, activationBytes, peakBytes, stepSeconds, parts, timeRelativeToFull }) => [
      methodTitle(method, settings.k),
      mebibytes(activationBytes),
      mebibytes(peakBytes),
      ...[stepSeconds, parts?.forward, parts?.backward, parts?.optimizer].map((seconds) => seconds?.toFixed(2) ?? ""),
      timeRelativeToFull.toFixed(2),
    ]),
  );
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      model: { type: "string", default: "bert-base" },
      "batch-size": { type: "string", default: "32" },
      length: { type: "string", default: "128" },
      k: { type: "string", default: "16" },
      steps: { type: "string", default: "5" },
      threads: { type: "string", default: "2" },
      python: { type: "string" },
      json: { type: "string" },
    },
  });
  const whole = (name: "batch-size" | "length" | "k" | "steps" | "threads"): number => {
    const value = Number(values[name]);
    if (Number.isInteger(value) && value >= 1) return value;
    throw new Error(`--${name} ${values[name]}: it has to be a whole number of at least 1`);
  };
  const settings = {
    model: modelName(values.model),
    batchSize: whole("batch-size"),
    length: whole("length"),
    k: whole("k"),
    steps: whole("steps"),
    threads: whole("threads"),
  };
  const result = await measure(settings, values.python);
  console.log(stepTable(result));
  if (values.json !== undefined) writeResult(values.json, result);
}
