// The runs of the comparison on GLUE: one task, one way to fine-tune, one seed, and what came of it on dev.

import { fineTune, type Metrics, readTable, type Table } from "../mod.ts";
import { accuracy, f1 } from "../src/metrics/classification.ts";
import { pearson, spearman } from "../src/metrics/regression.ts";

/** A way to fine-tune. */
export interface Arm {
  readonly name: string;
  readonly program: "fewtune" | "transformers";
  /** Positions of each text that carry gradients. */
  readonly k: 16 | 32 | "all";
  /** What the head reads: the mean over the positions, or the first as in the published classes. */
  readonly head: "mean" | "cls";
  /** Where not the settings'. */
  readonly epochs?: number;
}

/** The ways; the first of those with a head is what the others with it are held against. */
export const arms: readonly Arm[] = [
  { name: "transformers full, mean", program: "transformers", k: "all", head: "mean" },
  { name: "full, mean", program: "fewtune", k: "all", head: "mean" },
  { name: "selective, mean", program: "fewtune", k: 16, head: "mean" },
  { name: "selective k 32, mean", program: "fewtune", k: 32, head: "mean" },
  { name: "selective, mean, 6 epochs", program: "fewtune", k: 16, head: "mean", epochs: 6 },
  { name: "transformers full, cls", program: "transformers", k: "all", head: "cls" },
  { name: "full, cls", program: "fewtune", k: "all", head: "cls" },
  { name: "selective, cls", program: "fewtune", k: 16, head: "cls" },
];

interface Task {
  readonly columns: { readonly text: string; readonly textPair: string; readonly label: string };
  readonly kind: "classification" | "regression";
  readonly score: (predictions: readonly number[], labels: readonly number[]) => Metrics;
}

/** The tasks, with the columns of GLUE's files and what GLUE reports. */
export const tasks: Readonly<Record<string, Task>> = {
  "MRPC": {
    columns: { text: "#1 String", textPair: "#2 String", label: "Quality" },
    kind: "classification",
    score: (predictions, labels) => ({ accuracy: accuracy(predictions, labels), f1: f1(predictions, labels) }),
  },
  "STS-B": {
    columns: { text: "sentence1", textPair: "sentence2", label: "score" },
    kind: "regression",
    score: (predictions, labels) => ({
      pearson: pearson(predictions, labels),
      spearman: spearman(predictions, labels),
    }),
  },
};

/** What all runs have in common: optimizer, schedule and lengths as transformers' Trainer has them. */
export interface Settings {
  readonly epochs: number;
  readonly learningRate: number;
  readonly batchSize: number;
  readonly maxLength: number;
  readonly weightDecay: number;
  readonly maxGradNorm: number;
  readonly warmupRatio: number;
}

/** Which run, and where its parts are. */
export interface Job {
  readonly arm: Arm;
  readonly task: string;
  readonly seed: number;
  readonly settings: Settings;
  /** Folders: of the checkpoint, and of GLUE's tasks. */
  readonly model: string;
  readonly glueDir: string;
  /** A Python with transformers and accelerate. */
  readonly python: string;
  readonly threads: number;
}

/** What came of a run. */
export interface RunResult {
  readonly metrics: Metrics;
  readonly steps: number;
  /** The most bytes in live tensors; null where that was not counted. */
  readonly peakBytes: number | null;
  readonly versions: Readonly<Record<string, string>>;
}

/** Makes a run. */
export function makeRun(job: Job): Promise<RunResult> {
  return job.arm.program === "fewtune" ? runHere(job) : runInPython(job);
}

function taskOf(name: string): Task {
  const task = tasks[name];
  if (!task) throw new Error(`${name} is none of ${Object.keys(tasks).join(", ")}`);
  return task;
}

async function runHere({ arm, task, seed, settings, model, glueDir, threads }: Job): Promise<RunResult> {
  const { columns, kind, score } = taskOf(task);
  const folder = Deno.makeTempDirSync({ prefix: "fewtune-glue-" });
  try {
    const { dev, steps, peakBytes } = await fineTune({
      ...{ model, columns, task: kind, seed, threads, ...settings },
      ...{ train: `${glueDir}/${task}/train.tsv`, dev: `${glueDir}/${task}/dev.tsv` },
      ...{ method: arm.k === "all" ? "full" : "selective", pooling: arm.head },
      ...(arm.k !== "all" && { k: arm.k }),
      ...(arm.epochs !== undefined && { epochs: arm.epochs }),
      outputDir: `${folder}/model`,
      onEvent: (event) => {
        if (event.type === "evaluation") console.error(`  after step ${event.step}: ${JSON.stringify(event.metrics)}`);
      },
    });
    const names = Object.keys(score([0, 1], [0, 1]));
    const metrics = Object.fromEntries(names.map((name) => [name, dev?.[name] ?? NaN]));
    return { metrics, steps, peakBytes, versions: {} };
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

interface PythonRun extends Pick<RunResult, "steps" | "versions"> {
  readonly logits: readonly (readonly number[])[];
}

async function runInPython({ arm, task, seed, settings, model, glueDir, python, threads }: Job): Promise<RunResult> {
  const { kind, score } = taskOf(task);
  const train = rowsOf(await readTable(`${glueDir}/${task}/train.tsv`), task);
  const dev = rowsOf(await readTable(`${glueDir}/${task}/dev.tsv`), task);
  const labels = kind === "regression" ? 1 : 2;
  const child = new Deno.Command(python, {
    args: [new URL("glue_full.py", import.meta.url).pathname],
    ...{ stdin: "piped", stdout: "piped", stderr: "inherit" },
    env: { OMP_NUM_THREADS: String(threads), HF_HUB_OFFLINE: "1" },
  }).spawn();
  const writer = child.stdin.getWriter();
  await writer.write(new TextEncoder().encode(
    JSON.stringify({ model, head: arm.head, seed, labels, train, dev, ...settings }),
  ));
  await writer.close();
  const { success, stdout } = await child.output();
  if (!success) throw new Error(`glue_full.py failed on ${task}, seed ${seed}`);
  // The Trainer prints lines of its own before it.
  const { logits, ...run } = JSON.parse(new TextDecoder().decode(stdout).trim().split("\n").at(-1) ?? "") as PythonRun;
  const predictions = logits.map((each) => labels === 1 ? each[0] ?? NaN : each.indexOf(Math.max(...each)));
  return { metrics: score(predictions, dev.map(({ label }) => Number(label))), ...run, peakBytes: null };
}

function rowsOf({ rows }: Table, task: string): { text: string; textPair: string; label: string }[] {
  const { text, textPair, label } = taskOf(task).columns;
  return rows.map((row) => ({ text: row[text] ?? "", textPair: row[textPair] ?? "", label: row[label] ?? "" }));
}
