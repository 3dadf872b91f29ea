// The training loop: batches in, one optimizer step each, events out.

import { type Batch, batchesByLength, trainingBatches } from "../data/batches.ts";
import { SeededRandom } from "../data/prng.ts";
import { CheckpointError, TrainingError } from "../errors.ts";
import { type Classifier, requireOneAnswer } from "../models/classifier.ts";
import { refreshDerived } from "../models/derivations.ts";
import type { ActivationPlan } from "../selective/peak_estimate.ts";
import { type Device, memory, releaseMemory, resetPeakMemory } from "../torch/mod.ts";
import { afterEvaluation, type Evaluation } from "./best.ts";
import { WeightsCopy } from "./best_weights.ts";
import { refuseDivergence, withLoss } from "./divergence.ts";
import { evaluate, type Metrics } from "./evaluate.ts";
import { lessonsOf, type TrainingExample } from "./lesson.ts";
import { lossOptions } from "./loss.ts";
import { nextTask } from "./next_task.ts";
import { RunCheckpoints } from "./run_checkpoints.ts";
import { initialState, type RunState } from "./run_state.ts";
import { learningRateAt } from "./schedule.ts";
import { planOf, Stepper } from "./step.ts";
import { checkOptionsFor, checkTrainOptions, type TrainOptions } from "./train_options.ts";

/** The examples to train on, and those to evaluate on, after each epoch unless an option says otherwise. */
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
  /** Of the last evaluation, with `keepBest` of the best; null without `dev` or when stopped before the first. */
  readonly metrics: Metrics | null;
  /** The best evaluation; null where there was none. */
  readonly best: Evaluation | null;
}

/**
 * Fine-tunes a classifier in place by selective fine-tuning (Simoulin et al. 2023): AdamW, warm-up and decay.
 * What trains are the parameters that require a gradient: all of a new model, or what a method left. A language model's
 * examples are whole texts: it learns each selected token's next one.
 *
 * @throws {OptionError} when an option has a value that cannot be, here or at all, or each label is a question of its own
 * @throws {DataError} when there are no examples, one has no label, or a text has fewer than two tokens
 * @throws {TrainingError} when the loss or the gradients are not finite, and the parameters are those before that step;
 * when training diverges, and they are those after it. With `keepBest` they are those of the best evaluation.
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
  /** Positions of each sequence. */
  readonly #lengths: readonly number[];
  /** The most of them. */
  readonly #longest: number;
  readonly #plan: ActivationPlan;
  readonly #stepper: Stepper;
  readonly #checkpoints: RunCheckpoints;
  readonly #bestWeights: WeightsCopy | null;
  readonly #order: SeededRandom;
  #state: RunState;
  #started = 0;
  /** Those of the state's epoch. */
  #batches: readonly Batch[];

  constructor(classifier: Classifier, data: TrainingData, options: TrainOptions) {
    const { batchSize = 32, epochs = 3, seed = 0 } = options;
    checkTrainOptions(options);
    requireOneAnswer(classifier.target);
    checkOptionsFor(options, classifier.target, data.dev !== undefined);
    const lessons = lessonsOf(data.train, classifier.target);
    const loss = lossOptions(options, classifier.target, data.train);
    this.#classifier = classifier;
    this.#data = data;
    this.#options = options;
    this.#batchSize = batchSize;
    this.#totalSteps = options.maxSteps ?? epochs * Math.ceil(data.train.length / batchSize);
    this.#lengths = lessons.map(({ sequence: { inputIds } }) => inputIds.length);
    const longest = this.#lengths.toSorted((a, b) => b - a).slice(0, batchSize);
    this.#longest = longest[0] ?? 0;
    this.#plan = planOf(classifier, longest, options);
    this.#stepper = new Stepper(classifier, this.#plan, options, loss);
    this.#bestWeights = options.keepBest ? new WeightsCopy(this.#stepper.parts.parameters) : null;
    this.#order = new SeededRandom(seed);
    this.#state = initialState(this.#order.state);
    this.#batches = this.#drawBatches();
    const trainer = { ...this.#stepper.parts, best: this.#bestWeights };
    this.#checkpoints = new RunCheckpoints({ classifier, trainer }, data, options);
  }

  async execute(): Promise<TrainResult> {
    this.#started = performance.now();
    resetPeakMemory(this.#device);
    this.#begin();
    this.#noticeLargeK();
    try {
      await this.#work();
    } catch (error) {
      if (error instanceof TrainingError) this.#restoreBest();
      throw error;
    }
    if (this.#isComplete) this.#restoreBest();
    else if (this.#state.step > 0) this.#checkpoints.save(this.#stateNow);
    const { evaluation, best } = this.#state;
    return {
      steps: this.#state.step,
      isStopped: !this.#isComplete,
      seconds: this.#stateNow.seconds,
      peakBytes: this.#peakBytes,
      trainableParameters: this.#stepper.trainableParameters,
      plan: this.#plan,
      metrics: (this.#isComplete && this.#bestWeights ? best : evaluation)?.metrics ?? null,
      best,
    };
  }

  [Symbol.dispose](): void {
    this.#stepper[Symbol.dispose]();
    this.#bestWeights?.[Symbol.dispose]();
  }

  get #device(): Device {
    return this.#classifier.model.backbone.device;
  }

  get #isInterrupted(): boolean {
    return this.#options.signal?.aborted ?? false;
  }

  get #isComplete(): boolean {
    return this.#isPatienceOver || (this.#state.step >= this.#totalSteps && !this.#isEvaluationDue);
  }

  get #isPatienceOver(): boolean {
    return this.#state.sinceBest >= (this.#options.patience ?? Infinity);
  }

  get #isEpochDone(): boolean {
    return this.#state.stepInEpoch === this.#batches.length;
  }

  /** Whether the next thing to do is an evaluation: after a step, and once. */
  get #isEvaluationDue(): boolean {
    const { step, evaluation } = this.#state;
    if (this.#data.dev === undefined || step === 0 || evaluation?.step === step) return false;
    const { evalSteps } = this.#options;
    return step === this.#totalSteps || (evalSteps === undefined ? this.#isEpochDone : step % evalSteps === 0);
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
    if (this.#isEvaluationDue || !this.#checkpoints.isDue(this.#state)) return;
    try {
      this.#checkpoints.save(this.#stateNow);
    } catch (error) {
      if (!(error instanceof CheckpointError)) throw error;
      this.#notice(`no checkpoint after step ${this.#state.step}, training goes on: ${error.message}`);
    }
  }

  async #work(): Promise<void> {
    while (!this.#isComplete && !this.#isInterrupted) {
      if (this.#data.dev !== undefined && this.#isEvaluationDue) await this.#evaluate(this.#data.dev);
      else this.#runStep();
      await nextTask();
      this.#saveIfDue();
    }
  }

  #restoreBest(): void {
    this.#bestWeights?.restore();
    refreshDerived(this.#classifier.adaptation);
  }

  #notice(message: string): void {
    this.#options.onEvent?.({ type: "notice", step: this.#state.step, message });
  }

  #noticeLargeK(): void {
    const { k = 16 } = this.#options;
    if (k === "all" || k <= this.#longest || this.#state.step > 0) return;
    this.#notice(`k is ${k} and the longest sequence has ${this.#longest} positions: every position is selected`);
  }

  #drawBatches(): Batch[] {
    this.#state.order = this.#order.state;
    return this.#options.groupByLength
      ? batchesByLength(this.#lengths, this.#batchSize, this.#order)
      : trainingBatches(this.#lengths.length, this.#batchSize, this.#order);
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
    this.#stepper.advance(this.#state.step, this.#totalSteps);
    const { loss, gradientNorm } = this.#stepper.run(examples, learningRate);
    this.#state.step++;
    this.#state.stepInEpoch++;
    this.#options.onEvent?.({
      type: "step",
      step: this.#state.step,
      totalSteps: this.#totalSteps,
      epoch: this.#state.epoch,
      loss,
      learningRate,
      gradientNorm,
      tokens: examples.reduce((sum, { inputIds }) => sum + inputIds.length, 0),
      milliseconds: performance.now() - started,
      liveBytes: memory(this.#device).liveBytes,
      peakBytes: this.#peakBytes,
    });
    this.#guard(loss);
  }

  #guard(loss: number): void {
    const { divergenceFactor = 3 } = this.#options;
    this.#state.meanLoss = withLoss(this.#state.meanLoss, this.#state.step, loss);
    refuseDivergence(this.#state.meanLoss, this.#state.step, divergenceFactor);
  }

  #learningRate(): number {
    const { schedule, learningRate = 5e-5, warmupRatio = 0.1 } = this.#options;
    const totalSteps = this.#totalSteps;
    const { warmupSteps = Math.floor(warmupRatio * totalSteps) } = this.#options;
    return learningRateAt(this.#state.step, { schedule, learningRate, warmupSteps, totalSteps });
  }

  async #evaluate(dev: readonly TrainingExample[]): Promise<void> {
    const started = performance.now();
    const { step } = this.#state;
    const { bestMetric = "loss" } = this.#options;
    const evaluation = { step, metrics: await evaluate(this.#classifier, dev) };
    const { best, sinceBest } = this.#stepper.isSettled
      ? afterEvaluation(this.#state, evaluation, bestMetric)
      : this.#state;
    const isBest = best === evaluation;
    if (isBest) this.#bestWeights?.keep();
    Object.assign(this.#state, { evaluation, best, sinceBest });
    const milliseconds = performance.now() - started;
    this.#options.onEvent?.({ type: "evaluation", ...evaluation, isBest, milliseconds });
    if (this.#isPatienceOver) {
      this.#notice(
        `stopped at step ${step} of ${this.#totalSteps}: ${bestMetric} was best at step ${best?.step}, and ` +
          `${sinceBest === 1 ? "the evaluation since was" : `${sinceBest} evaluations since were`} no better`,
      );
    }
  }
}
