// The demo: MiniLM learns to tell spam from ham, selectively, beside what a step of full fine-tuning takes.

import { trainingBatches } from "../data/batches.ts";
import { encodeExamples } from "../data/encode.ts";
import { SeededRandom } from "../data/prng.ts";
import { loadTokenizer } from "../data/tokenizer.ts";
import { loadClassifier } from "../methods/load.ts";
import { cacheFolder } from "../native/cache.ts";
import { initialize } from "../native/load.ts";
import type { OnProgress } from "../native/progress.ts";
import type { Precision } from "../selective/gradients.ts";
import type { SelectionSize } from "../selective/positions.ts";
import { threads } from "../torch/mod.ts";
import type { Metrics } from "../train/evaluate.ts";
import { fineTune, type FineTuneEvent, type FineTuneResult } from "../train/fine_tune.ts";
import type { TrainingExample } from "../train/lesson.ts";
import { train } from "../train/train.ts";
import { type Versions, versions } from "../train/training_record.ts";
import { minilmFolder } from "./minilm.ts";
import { loadSpam, type SpamData } from "./spam.ts";

/** What the demo needs: a pretrained model's folder, and the e-mails. */
export interface SpamDemoParts {
  readonly model: string;
  readonly spam: SpamData;
}

/**
 * Installs what is missing: LibTorch, the shim, the model, and the e-mails.
 *
 * @throws {SetupError} when something cannot be installed
 */
export async function prepareSpamDemo(onSetup?: OnProgress): Promise<SpamDemoParts> {
  await initialize({ install: true, ...(onSetup && { onProgress: onSetup }) });
  const model = await minilmFolder(cacheFolder("models"), onSetup);
  return { model, spam: await loadSpam(cacheFolder("datasets"), onSetup) };
}

/** How the demo runs. */
export interface SpamDemoOptions {
  /** The folder to save to; it must not exist. */
  readonly outputDir: string;
  /** Default 80. */
  readonly maxSteps?: number | undefined;
  /** Default `float32`. */
  readonly precision?: Precision | undefined;
  readonly threads?: number | undefined;
  readonly signal?: AbortSignal;
  readonly onEvent?: (event: FineTuneEvent) => void;
}

/** What the demo found, as in its result.json. */
export interface SpamDemoResult {
  readonly testAccuracy: number;
  /** Of spam. */
  readonly testF1: number;
  /** Accuracy on the test part of always saying the more frequent label. */
  readonly majorityAccuracy: number;
  /** The most bytes in live tensors while training, weights and optimizer state included. */
  readonly peakBytes: number;
  /** The same for a step of full fine-tuning on the batch with the most tokens. */
  readonly fullStepPeakBytes: number;
  /** Seconds of a step on that batch, selective and full. */
  readonly stepSeconds: number;
  readonly fullStepSeconds: number;
  readonly steps: number;
  /** Of training alone. */
  readonly seconds: number;
  readonly threads: number;
  readonly versions: Versions;
}

/** What became of the demo. */
export interface SpamDemoRun {
  readonly training: FineTuneResult;
  /** Null when the signal stopped it before the end. */
  readonly result: SpamDemoResult | null;
}

const settings = { k: 16, batchSize: 32, learningRate: 3e-4, seed: 0, pooling: "mean" } as const;
const maxLength = 256;
const defaultSteps = 80;

/**
 * Fine-tunes selectively, tests, saves the model, and measures a step of full fine-tuning on the largest batch. The
 * folder then holds the model and `result.json`.
 *
 * @throws {CheckpointError} when the output folder exists or cannot be written
 */
export async function runSpamDemo({ model, spam }: SpamDemoParts, options: SpamDemoOptions): Promise<SpamDemoRun> {
  const { outputDir, maxSteps = defaultSteps, signal, onEvent } = options;
  let largest = { step: 0, tokens: 0 };
  const training = await fineTune({
    ...settings,
    ...{ model, train: spam.files.train, test: spam.files.test, maxLength, maxSteps, outputDir },
    threads: options.threads,
    precision: options.precision,
    ...(signal && { signal }),
    onEvent: (event) => {
      if (event.type === "step" && event.tokens > largest.tokens) largest = event;
      onEvent?.(event);
    },
  });
  if (training.test === null) return { training, result: null };
  const batch = await encodeBatch(model, spam, largest.step);
  const selective = await measureStep(model, batch, settings.k, options);
  const full = await measureStep(model, batch, "all", options);
  if (signal?.aborted) return { training, result: null };
  const result = summarize(training, training.test, selective, full);
  await Deno.writeTextFile(`${outputDir}/result.json`, JSON.stringify(result, null, 2) + "\n", { createNew: true });
  return { training, result };
}

// The examples of a step: drawn from the same seed in the same way as training does.
async function encodeBatch(model: string, { train }: SpamData, step: number): Promise<TrainingExample[]> {
  const order = new SeededRandom(settings.seed);
  const perEpoch = Math.ceil(train.length / settings.batchSize);
  let batches = trainingBatches(train.length, settings.batchSize, order);
  for (let left = step; left > perEpoch; left -= perEpoch) {
    batches = trainingBatches(train.length, settings.batchSize, order);
  }
  const indices = batches[(step - 1) % perEpoch] ?? [];
  return encodeExamples(indices.flatMap((index) => train[index] ?? []), await loadTokenizer(model), maxLength);
}

interface StepCost {
  readonly peakBytes: number;
  readonly seconds: number;
}

// Two steps on a fresh copy of the model: from the second one on, the optimizer's state is there.
async function measureStep(
  model: string,
  batch: readonly TrainingExample[],
  k: SelectionSize,
  { onEvent, signal, precision }: SpamDemoOptions,
): Promise<StepCost> {
  const task = `measuring a step of ${k === "all" ? "full" : "selective"} fine-tuning`;
  using classifier = await loadClassifier(model, { target: { labels: ["ham", "spam"] }, pooling: settings.pooling });
  let seconds = NaN;
  const { peakBytes } = await train(classifier, { train: batch }, {
    ...{ k, batchSize: batch.length, maxSteps: 2, precision },
    ...(signal && { signal }),
    onEvent: (event) => {
      if (event.type !== "step") return;
      seconds = event.milliseconds / 1000;
      onEvent?.({ type: "progress", task, done: event.step, total: 2 });
    },
  });
  return { peakBytes, seconds };
}

function summarize(training: FineTuneResult, test: Metrics, selective: StepCost, full: StepCost): SpamDemoResult {
  return {
    testAccuracy: test["accuracy"] ?? NaN,
    testF1: test["f1"] ?? NaN,
    majorityAccuracy: test["majority"] ?? NaN,
    peakBytes: training.peakBytes,
    fullStepPeakBytes: full.peakBytes,
    stepSeconds: selective.seconds,
    fullStepSeconds: full.seconds,
    steps: training.steps,
    seconds: training.seconds,
    threads: threads(),
    versions: versions(),
  };
}
