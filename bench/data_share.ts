// What data costs: its share of a training step and of an evaluation on MRPC with MiniLM, and tokenizing with the cache.

import { join } from "node:path";
import { parseArgs } from "node:util";
import {
  applyMethod,
  type Classifier,
  type EncodedExample,
  encodeExamples,
  evaluate,
  type Example,
  initialize,
  loadClassifier,
  loadTokenizer,
  readTable,
  scope,
  threads,
  type Tokenizer,
  train,
} from "../mod.ts";
import { evaluationBatches, trainingBatches } from "../src/data/batches.ts";
import { SeededRandom } from "../src/data/prng.ts";
import { minilmFolder } from "../src/experiments/minilm.ts";
import { cacheFolder } from "../src/native/cache.ts";
import { packBatch, packingFor } from "../src/selective/batch.ts";
import { allPositions } from "../src/selective/positions.ts";
import { planOf, Stepper } from "../src/train/step.ts";
import { type Columns, labelledExamples } from "../src/train/table_data.ts";
import { readTokens, tokensKey, writeTokens } from "../src/train/token_cache.ts";
import { markdownTable } from "./markdown.ts";
import { count } from "./options.ts";
import { type DataShareResult, describeOrigin, median, type TrainingShare, writeResult } from "./results.ts";

const target = { labels: ["0", "1"] };
const maxLength = 256;
const evaluationBatchSize = 32;

/** What is measured: the examples, and how they are trained on. */
export interface Work {
  readonly make: () => Promise<Classifier>;
  readonly examples: readonly EncodedExample[];
  readonly k: number | "all";
  readonly batchSize: number;
  /** Beside three that are not counted: code is compiled and the optimizer's state is made in them. */
  readonly steps: number;
}

const uncounted = 3;

/** Choosing positions and packing, the time between steps, and an epoch's shuffle, to the whole step. */
export async function measureTraining(work: Work): Promise<TrainingShare> {
  const { k, batchSize } = work;
  const { stepMs, batchMs } = await timesOfSteps(work);
  const betweenMs = await timeBetweenSteps(work);
  const epochMs = timeOf(() => trainingBatches(work.examples.length, batchSize, new SeededRandom(0)));
  const shuffleMs = epochMs / Math.ceil(work.examples.length / batchSize);
  const share = (batchMs + betweenMs + shuffleMs) / (stepMs + betweenMs + shuffleMs);
  return { k, batchSize, stepMs, batchMs, betweenMs, shuffleMs, share };
}

function batchesOf({ examples, batchSize, steps }: Work): EncodedExample[][] {
  const batches = trainingBatches(examples.length, batchSize, new SeededRandom(0)).slice(0, steps + uncounted);
  return batches.map((batch) => batch.flatMap((index) => examples[index] ?? []));
}

// Means, so that rare costs such as collecting garbage count.
async function timesOfSteps(work: Work): Promise<Pick<TrainingShare, "stepMs" | "batchMs">> {
  const { make, k } = work;
  const batches = batchesOf(work);
  const longest = batches.flat().map(({ inputIds }) => inputIds.length).toSorted((a, b) => b - a);
  using classifier = await make();
  applyMethod(classifier, k === "all" ? "full" : "selective");
  using stepper = new Stepper(classifier, planOf(classifier, longest.slice(0, work.batchSize), { k }), { k });
  const times = batches.map((batch) => {
    let batchMs = 0;
    const started = performance.now();
    let last = started;
    stepper.run(batch, 1e-5, ({ phase }) => {
      const now = performance.now();
      if (phase === "batch") batchMs += now - last;
      last = now;
    });
    return { stepMs: performance.now() - started, batchMs };
  }).slice(uncounted);
  return { stepMs: mean(times.map(({ stepMs }) => stepMs)), batchMs: mean(times.map(({ batchMs }) => batchMs)) };
}

// From an event to the next, less the step itself.
async function timeBetweenSteps(work: Work): Promise<number> {
  const { make, k, batchSize, steps } = work;
  using classifier = await make();
  applyMethod(classifier, k === "all" ? "full" : "selective");
  const times: number[] = [];
  let last = NaN;
  await train(classifier, { train: work.examples }, {
    ...{ k, batchSize, maxSteps: Math.min(steps, 10) + uncounted },
    onEvent: (event) => {
      if (event.type !== "step") return;
      const now = performance.now();
      times.push(now - last - event.milliseconds);
      last = now;
    },
  });
  return mean(times.slice(uncounted));
}

/** Packing the batches of an evaluation, to the whole of it. */
export async function measureEvaluation(
  { make, examples }: Pick<Work, "make" | "examples">,
): Promise<DataShareResult["evaluation"]> {
  using classifier = await make();
  const packing = packingFor(classifier.model);
  await evaluate(classifier, examples.slice(0, evaluationBatchSize));
  const started = performance.now();
  await evaluate(classifier, examples, { batchSize: evaluationBatchSize });
  const ms = performance.now() - started;
  const packMs = timeOf(() => {
    for (const indices of evaluationBatches(examples.map(({ inputIds }) => inputIds.length), evaluationBatchSize)) {
      const sequences = indices.flatMap((index) => examples[index] ?? []);
      const selected = allPositions(sequences.map(({ inputIds }) => inputIds.length));
      scope(() => void packBatch(sequences, { selected, ...packing }));
    }
  });
  return { examples: examples.length, batchSize: evaluationBatchSize, ms, packMs, share: packMs / ms };
}

/** Tokenizing examples, and finding them in the cache: the key, the file, its checksum. */
export async function measureTokenizing(
  examples: readonly Example[],
  tokenizer: Tokenizer,
): Promise<Pick<DataShareResult["tokenizing"][number], "tokenizeMs" | "cachedMs">> {
  const folder = Deno.makeTempDirSync({ prefix: "fewtune-bench-" });
  try {
    const key = (): string => tokensKey(examples, tokenizer, maxLength);
    const started = performance.now();
    const encoded = encodeExamples(examples, tokenizer, maxLength);
    const tokenizeMs = performance.now() - started;
    await writeTokens(folder, key(), encoded);
    const read = performance.now();
    if (await readTokens(folder, key()) === null) throw new Error("what was written cannot be read");
    return { tokenizeMs, cachedMs: performance.now() - read };
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
}

function timeOf(work: () => void): number {
  return median(Array.from({ length: 5 }, () => {
    const started = performance.now();
    work();
    return performance.now() - started;
  }));
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** The result as Markdown tables. */
export function dataShareTables({ training, evaluation, tokenizing }: DataShareResult): string {
  const percent = (share: number): string => `${(100 * share).toFixed(2)} %`;
  const steps = markdownTable(
    ["", "Step, ms", "Batch", "Between steps", "Shuffle", "Share of data"],
    [
      ...training.map(({ k, batchSize, stepMs, batchMs, betweenMs, shuffleMs, share }) => [
        `${k === "all" ? "full" : `k ${k}`}, batch ${batchSize}`,
        ...[stepMs.toFixed(0), batchMs.toFixed(2), betweenMs.toFixed(3), shuffleMs.toFixed(4), percent(share)],
      ]),
      [
        `evaluation of ${evaluation.examples}`,
        ...[evaluation.ms.toFixed(0), evaluation.packMs.toFixed(2), "", "", percent(evaluation.share)],
      ],
    ],
  );
  const tables = markdownTable(
    ["", "Examples", "Tokenized, ms", "From the cache, ms"],
    tokenizing.map(({ name, examples, tokenizeMs, cachedMs }) => [
      name,
      ...[String(examples), tokenizeMs.toFixed(0), cachedMs.toFixed(0)],
    ]),
  );
  return `${steps}\n\n${tables}`;
}

const columnsOf = {
  MRPC: { text: "#1 String", textPair: "#2 String", label: "Quality" },
  QQP: { text: "question1", textPair: "question2", label: "is_duplicate" },
} as const;

async function readExamplesOf(path: string, columns: Columns): Promise<Example[]> {
  return labelledExamples(await readTable(path), columns, target);
}

async function measure(glue: string, steps: number, threadCount: number): Promise<DataShareResult> {
  await initialize();
  threads(threadCount);
  const folder = await minilmFolder(cacheFolder("models"));
  const tokenizer = await loadTokenizer(folder);
  const make = (): Promise<Classifier> => loadClassifier(folder, { target });
  const read = (file: string, columns: Columns): Promise<Example[]> => readExamplesOf(join(glue, file), columns);
  const mrpc = await read("MRPC/train.tsv", columnsOf.MRPC);
  const qqp = await read("QQP/train.tsv", columnsOf.QQP);
  const dev = encodeExamples(await read("MRPC/dev.tsv", columnsOf.MRPC), tokenizer, maxLength);
  const examples = encodeExamples(mrpc, tokenizer, maxLength);
  const training: TrainingShare[] = [];
  for (const k of [16, "all"] as const) {
    for (const batchSize of [16, 32]) training.push(await measureTraining({ make, examples, k, batchSize, steps }));
  }
  return {
    ...await describeOrigin(),
    settings: { model: "MiniLM-L6", task: "MRPC", steps, threads: threadCount, maxLength },
    training,
    evaluation: await measureEvaluation({ make, examples: dev }),
    tokenizing: [
      { name: "MRPC", examples: mrpc.length, ...await measureTokenizing(mrpc, tokenizer) },
      { name: "QQP", examples: qqp.length, ...await measureTokenizing(qqp, tokenizer) },
    ],
  };
}

if (import.meta.main) {
  const { glue, json, ...values } = parseArgs({
    options: {
      glue: { type: "string" },
      steps: { type: "string", default: "40" },
      threads: { type: "string", default: "2" },
      json: { type: "string" },
    },
  }).values;
  if (glue === undefined) throw new Error("--glue DIR: the folder of GLUE's own files, with MRPC and QQP");
  const result = await measure(glue, count("steps", values.steps), count("threads", values.threads));
  console.log(dataShareTables(result));
  if (json !== undefined) writeResult(json, result);
}
