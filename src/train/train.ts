// The training loop: batches in, one optimizer step each, events out.

import { trainingBatches } from "../data/batches.ts";
import { SeededRandom } from "../data/prng.ts";
import { type Classifier, requireOneAnswer } from "../models/classifier.ts";
import type { ActivationPlan } from "../selective/peak_estimate.ts";
import { type Device, memory, releaseMemory, resetPeakMemory } from "../torch/mod.ts";
import { evaluate, labelsOf, type Metrics } from "./evaluate.ts";
import { nextTask } from "./next_task.ts";
import { linearSchedule } from "./schedule.ts";
import { planOf, Stepper, type TrainingExample } from "./step.ts";
import { checkTrainOptions, type TrainOptions } from "./train_options.ts";

/** The examples to train on, and those to evaluate on after each epoch. */
export interface TrainingData {
  readonly train: readonly TrainingExample[];
  readonly dev?: readonly TrainingExample[];
}

/** What came out of a training run. */
export interface TrainResult {
  readonly steps: number;
  /** Whether the signal stopped it before its last step. */
  readonly isStopped: boolean;
  readonly seconds: number;
  /** The highest bytes of live tensors on the model's device, weights included. */
  readonly peakBytes: number;
  /** The number of elements of all parameters that were trained. */
  readonly trainableParameters: number;
  /** What was kept for backward. */
  readonly plan: ActivationPlan;
  /** Of the last evaluation; null without `dev` or when stopped before the first. */
  readonly metrics: Metrics | null;
}

/**
 * Fine-tunes a classifier in place by selective fine-tuning (Simoulin et al. 2023): AdamW, linear warm-up and decay.
 * What trains are the parameters that require a gradient: all of a new model, or what a method left.
 *
 * @throws {OptionError} when an option has a value that cannot be, or each label is a question of its own
 * @throws {DataError} when there are no examples, or one has no label
 * @throws {TrainingError} when the loss is not a finite number; the parameters are those before that step
 */
export async function train(
  classifier: Classifier,
  data: TrainingData,
  options: TrainOptions = {},
): Promise<TrainResult> {
  const run = new Run(classifier, data, options);
  try {
    return await run.execute();
  } finally {
    run[Symbol.dispose]();
    releaseMemory();
  }
}

class Run implements Disposable {
  readonly #classifier: Classifier;
  readonly #data: TrainingData;
  readonly #options: TrainOptions;
  readonly #batchSize: number;
  readonly #totalSteps: number;
  readonly #plan: ActivationPlan;
  readonly #stepper: Stepper;
  readonly #order: SeededRandom;
  #step = 0;
  #metrics: Metrics | null = null;

  constructor(classifier: Classifier, data: TrainingData, options: TrainOptions) {
    const { batchSize = 32, epochs = 3, seed = 0 } = options;
    checkTrainOptions(options);
    requireOneAnswer(classifier.target);
    labelsOf(data.train);
    this.#classifier = classifier;
    this.#data = data;
    this.#options = options;
    this.#batchSize = batchSize;
    this.#totalSteps = options.maxSteps ?? epochs * Math.ceil(data.train.length / batchSize);
    this.#order = new SeededRandom(seed);
    const longest = data.train.map(({ inputIds }) => inputIds.length).sort((a, b) => b - a);
    this.#plan = planOf(classifier, longest.slice(0, batchSize), options);
    this.#stepper = new Stepper(classifier, this.#plan, options);
  }

  async execute(): Promise<TrainResult> {
    const started = performance.now();
    resetPeakMemory(this.#device);
    this.#noticeLargeK();
    for (let epoch = 1; this.#step < this.#totalSteps && !this.#isStopped; epoch++) await this.#runEpoch(epoch);
    return {
      steps: this.#step,
      isStopped: this.#step < this.#totalSteps,
      seconds: (performance.now() - started) / 1000,
      peakBytes: memory(this.#device).peakBytes,
      trainableParameters: this.#stepper.trainableParameters,
      plan: this.#plan,
      metrics: this.#metrics,
    };
  }

  [Symbol.dispose](): void {
    this.#stepper[Symbol.dispose]();
  }

  get #device(): Device {
    return this.#classifier.model.backbone.device;
  }

  get #isStopped(): boolean {
    return this.#options.signal?.aborted ?? false;
  }

  #noticeLargeK(): void {
    const { k = 16 } = this.#options;
    const longest = this.#data.train.reduce((most, { inputIds }) => Math.max(most, inputIds.length), 0);
    if (k === "all" || k <= longest) return;
    const message = `k is ${k} and the longest sequence has ${longest} positions: every position is selected`;
    this.#options.onEvent?.({ type: "notice", step: 0, message });
  }

  async #runEpoch(epoch: number): Promise<void> {
    for (const indices of trainingBatches(this.#data.train.length, this.#batchSize, this.#order)) {
      this.#runStep(indices.flatMap((index) => this.#data.train[index] ?? []), epoch);
      await nextTask();
      if (this.#isStopped || this.#step === this.#totalSteps) break;
    }
    if (this.#data.dev !== undefined && !this.#isStopped) await this.#evaluate(this.#data.dev);
  }

  #runStep(examples: readonly TrainingExample[], epoch: number): void {
    const started = performance.now();
    const learningRate = this.#learningRate();
    const loss = this.#stepper.run(examples, learningRate);
    this.#step++;
    const { liveBytes, peakBytes } = memory(this.#device);
    this.#options.onEvent?.({
      type: "step",
      step: this.#step,
      totalSteps: this.#totalSteps,
      epoch,
      loss,
      learningRate,
      tokens: examples.reduce((sum, { inputIds }) => sum + inputIds.length, 0),
      milliseconds: performance.now() - started,
      liveBytes,
      peakBytes,
    });
  }

  #learningRate(): number {
    const { learningRate = 5e-5, warmupRatio = 0.1 } = this.#options;
    const totalSteps = this.#totalSteps;
    return linearSchedule(this.#step, { learningRate, warmupSteps: Math.floor(warmupRatio * totalSteps), totalSteps });
  }

  async #evaluate(dev: readonly TrainingExample[]): Promise<void> {
    this.#metrics = await evaluate(this.#classifier, dev);
    this.#options.onEvent?.({ type: "evaluation", step: this.#step, metrics: this.#metrics });
  }
}
