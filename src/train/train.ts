// The training loop: batches in, one optimizer step each, events out.

import { type Batch, trainingBatches } from "../data/batches.ts";
import { SeededRandom } from "../data/prng.ts";
import { CheckpointError } from "../errors.ts";
import { type Classifier, requireOneAnswer } from "../models/classifier.ts";
import type { ActivationPlan } from "../selective/peak_estimate.ts";
import { type Device, memory, releaseMemory, resetPeakMemory } from "../torch/mod.ts";
import { evaluate, type Metrics } from "./evaluate.ts";
import { lessonsOf, type TrainingExample } from "./lesson.ts";
import { nextTask } from "./next_task.ts";
import { RunCheckpoints } from "./run_checkpoints.ts";
import { initialState, type RunState } from "./run_state.ts";
import { linearSchedule } from "./schedule.ts";
import { planOf, Stepper } from "./step.ts";
import { checkTrainOptions, type TrainOptions } from "./train_options.ts";

/** The examples to train on, and those to evaluate on after each epoch. */
export interface TrainingData {
  readonly train: readonly TrainingExample[];
  readonly dev?: readonly TrainingExample[];
}

/** What came out of a training run. */
export interface TrainResult {
  readonly steps: number;
  /** Whether the signal stopped it before its last step, or before the evaluation after that. */
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
 * What trains are the parameters that require a gradient: all of a new model, or what a method left. A language model's
 * examples are whole texts: it learns each selected token's next one.
 *
 * @throws {OptionError} when an option has a value that cannot be, or each label is a question of its own
 * @throws {DataError} when there are no examples, one has no label, or a text has fewer than two tokens
 * @throws {TrainingError} when the loss is not a finite number; the parameters are those before that step
 * @throws {CheckpointError} when the checkpoint to go on from is damaged or another run's, and when that of a run that
 * the signal stops cannot be written; one that cannot be written while the run goes on is a notice
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
  /** The most positions of a sequence. */
  readonly #longest: number;
  readonly #plan: ActivationPlan;
  readonly #stepper: Stepper;
  readonly #checkpoints: RunCheckpoints;
  readonly #order: SeededRandom;
  #state: RunState;
  #started = 0;
  /** Those of the state's epoch. */
  #batches: readonly Batch[];

  constructor(classifier: Classifier, data: TrainingData, options: TrainOptions) {
    const { batchSize = 32, epochs = 3, seed = 0 } = options;
    checkTrainOptions(options);
    requireOneAnswer(classifier.target);
    const lessons = lessonsOf(data.train, classifier.target);
    this.#classifier = classifier;
    this.#data = data;
    this.#options = options;
    this.#batchSize = batchSize;
    this.#totalSteps = options.maxSteps ?? epochs * Math.ceil(data.train.length / batchSize);
    const lengths = lessons.map(({ sequence: { inputIds } }) => inputIds.length).sort((a, b) => b - a);
    this.#longest = lengths[0] ?? 0;
    this.#plan = planOf(classifier, lengths.slice(0, batchSize), options);
    this.#stepper = new Stepper(classifier, this.#plan, options);
    this.#order = new SeededRandom(seed);
    this.#state = initialState(this.#order.state);
    this.#batches = this.#drawBatches();
    this.#checkpoints = new RunCheckpoints({ classifier, trainer: this.#stepper.parts }, data, options);
  }

  async execute(): Promise<TrainResult> {
    this.#started = performance.now();
    resetPeakMemory(this.#device);
    this.#begin();
    this.#noticeLargeK();
    while (!this.#isComplete && !this.#isInterrupted) {
      if (this.#data.dev !== undefined && this.#isEvaluationDue) await this.#evaluate(this.#data.dev);
      else this.#runStep();
      await nextTask();
      this.#saveIfDue();
    }
    if (!this.#isComplete && this.#state.step > 0) this.#checkpoints.save(this.#stateNow);
    return {
      steps: this.#state.step,
      isStopped: !this.#isComplete,
      seconds: this.#stateNow.seconds,
      peakBytes: this.#peakBytes,
      trainableParameters: this.#stepper.trainableParameters,
      plan: this.#plan,
      metrics: this.#state.evaluation?.metrics ?? null,
    };
  }

  [Symbol.dispose](): void {
    this.#stepper[Symbol.dispose]();
  }

  get #device(): Device {
    return this.#classifier.model.backbone.device;
  }

  get #isInterrupted(): boolean {
    return this.#options.signal?.aborted ?? false;
  }

  get #isComplete(): boolean {
    return this.#state.step >= this.#totalSteps && !this.#isEvaluationDue;
  }

  get #isEpochDone(): boolean {
    return this.#state.stepInEpoch === this.#batches.length;
  }

  /** Whether the next thing to do is an evaluation: after a step, and once. */
  get #isEvaluationDue(): boolean {
    const { step, evaluation } = this.#state;
    if (this.#data.dev === undefined || step === 0 || evaluation?.step === step) return false;
    return this.#isEpochDone || step === this.#totalSteps;
  }

  get #peakBytes(): number {
    return Math.max(this.#state.peakBytes, memory(this.#device).peakBytes);
  }

  get #stateNow(): RunState {
    const seconds = this.#state.seconds + (performance.now() - this.#started) / 1000;
    return { ...this.#state, seconds, peakBytes: this.#peakBytes };
  }

  #begin(): void {
    const state = this.#checkpoints.begin();
    if (state === null) return;
    this.#state = state;
    this.#order.state = state.order;
    this.#batches = this.#drawBatches();
    this.#stepper.goOnAfter(state.step);
  }

  // A run does not end because a checkpoint cannot be written: the next one may be.
  #saveIfDue(): void {
    const { step } = this.#state;
    if (this.#isEvaluationDue || !this.#checkpoints.isDue(step)) return;
    try {
      this.#checkpoints.save(this.#stateNow);
    } catch (error) {
      if (!(error instanceof CheckpointError)) throw error;
      const message = `no checkpoint after step ${step}, training goes on: ${error.message}`;
      this.#options.onEvent?.({ type: "notice", step, message });
    }
  }

  #noticeLargeK(): void {
    const { k = 16 } = this.#options;
    if (k === "all" || k <= this.#longest || this.#state.step > 0) return;
    const message = `k is ${k} and the longest sequence has ${this.#longest} positions: every position is selected`;
    this.#options.onEvent?.({ type: "notice", step: 0, message });
  }

  #drawBatches(): Batch[] {
    this.#state.order = this.#order.state;
    return trainingBatches(this.#data.train.length, this.#batchSize, this.#order);
  }

  #nextExamples(): TrainingExample[] {
    if (this.#isEpochDone) {
      this.#batches = this.#drawBatches();
      this.#state.epoch++;
      this.#state.stepInEpoch = 0;
    }
    const batch = this.#batches[this.#state.stepInEpoch] ?? [];
    return batch.flatMap((index) => this.#data.train[index] ?? []);
  }

  #runStep(): void {
    const started = performance.now();
    const examples = this.#nextExamples();
    const learningRate = this.#learningRate();
    const loss = this.#stepper.run(examples, learningRate);
    this.#state.step++;
    this.#state.stepInEpoch++;
    this.#options.onEvent?.({
      type: "step",
      step: this.#state.step,
      totalSteps: this.#totalSteps,
      epoch: this.#state.epoch,
      loss,
      learningRate,
      tokens: examples.reduce((sum, { inputIds }) => sum + inputIds.length, 0),
      milliseconds: performance.now() - started,
      liveBytes: memory(this.#device).liveBytes,
      peakBytes: this.#peakBytes,
    });
  }

  #learningRate(): number {
    const { learningRate = 5e-5, warmupRatio = 0.1 } = this.#options;
    const totalSteps = this.#totalSteps;
    return linearSchedule(this.#state.step, {
      learningRate,
      warmupSteps: Math.floor(warmupRatio * totalSteps),
      totalSteps,
    });
  }

  async #evaluate(dev: readonly TrainingExample[]): Promise<void> {
    const { step } = this.#state;
    const metrics = await evaluate(this.#classifier, dev);
    this.#state.evaluation = { step, metrics };
    this.#options.onEvent?.({ type: "evaluation", step, metrics });
  }
}
