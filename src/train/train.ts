// The training loop: batches in, one optimizer step each, events out.

import { trainingBatches } from "../data/batches.ts";
import { SeededRandom } from "../data/prng.ts";
import { OptionError, TrainingError } from "../errors.ts";
import type { Classifier } from "../models/classifier.ts";
import { type Module, namedParameters } from "../nn/module.ts";
import { packBatch, packingFor, type Sequence } from "../selective/batch.ts";
import type { DropoutRandom } from "../selective/attend.ts";
import { accumulateGradients, type ActivationMode, activationModes } from "../selective/gradients.ts";
import { checkSelectionSize, type SelectionSize, selectPositions } from "../selective/positions.ts";
import { Generator, memory, releaseMemory, resetPeakMemory, scope } from "../torch/mod.ts";
import { AdamW, type AdamWOptions } from "./adamw.ts";
import { evaluate, labelsOf, type Metrics } from "./evaluate.ts";
import { lossOf } from "./loss.ts";
import { nextTask } from "./next_task.ts";
import { linearSchedule } from "./schedule.ts";

/** An example to train on; one without a label is refused. */
export type TrainingExample = Sequence & { readonly label?: number };

/** The examples to train on, and those to evaluate on after each epoch. */
export interface TrainingData {
  readonly train: readonly TrainingExample[];
  readonly dev?: readonly TrainingExample[];
}

/** How {@linkcode train} trains. */
export interface TrainOptions extends AdamWOptions {
  /** Positions of each sequence that carry gradients; `"all"` is full fine-tuning. Default 16. */
  readonly k?: SelectionSize;
  /** Default `store`. */
  readonly activations?: ActivationMode;
  /**
   * Whether each part's parameters are updated, and its gradients freed, as soon as backward has passed it: the
   * gradients of the whole model then never exist together. Default false.
   */
  readonly optimizerInBackward?: boolean;
  /** Default 32. */
  readonly batchSize?: number;
  /** The highest learning rate. Default 5e-5. */
  readonly learningRate?: number;
  /** Passes over the examples. Default 3. */
  readonly epochs?: number;
  /** Stop after so many steps; the schedule is laid out for them. Default: what the epochs give. */
  readonly maxSteps?: number;
  /** The part of the steps over which the learning rate rises. Default 0.1. */
  readonly warmupRatio?: number;
  /** Of the order of examples, the choice of positions, and dropout. Default 0. */
  readonly seed?: number;
  /** Called after each step and each evaluation. */
  readonly onEvent?: (event: TrainEvent) => void;
  /** When it is aborted, training stops after the step at hand. */
  readonly signal?: AbortSignal;
}

/** What a training run tells while it goes on. */
export type TrainEvent = StepEvent | { readonly type: "evaluation"; readonly step: number; readonly metrics: Metrics };

/** One optimizer step. */
export interface StepEvent {
  readonly type: "step";
  /** From 1. */
  readonly step: number;
  readonly totalSteps: number;
  readonly epoch: number;
  readonly loss: number;
  readonly learningRate: number;
  /** Tokens of the batch, without padding: there is none. */
  readonly tokens: number;
  readonly milliseconds: number;
  /** Bytes in live tensors after the step, and the most since training began. */
  readonly liveBytes: number;
  readonly peakBytes: number;
}

/** What came out of a training run. */
export interface TrainResult {
  readonly steps: number;
  /** Whether the signal stopped it before its last step. */
  readonly isStopped: boolean;
  readonly seconds: number;
  /** The highest bytes of live tensors on the model's device, weights included. */
  readonly peakBytes: number;
  /** Of the last evaluation; null without `dev` or when stopped before the first. */
  readonly metrics: Metrics | null;
}

/**
 * Fine-tunes a classifier in place by selective fine-tuning (Simoulin et al. 2023): AdamW, linear warm-up and decay.
 *
 * @throws {OptionError} when an option has a value that cannot be
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
  readonly #k: SelectionSize;
  readonly #batchSize: number;
  readonly #totalSteps: number;
  readonly #optimizer: AdamW;
  readonly #order: SeededRandom;
  readonly #positions: Generator;
  readonly #dropout: DropoutRandom;
  #step = 0;
  #metrics: Metrics | null = null;

  constructor(classifier: Classifier, data: TrainingData, options: TrainOptions) {
    const { k = 16, batchSize = 32, epochs = 3, seed = 0 } = options;
    const { device } = classifier.model.backbone;
    checkTrainOptions(options);
    labelsOf(data.train);
    this.#classifier = classifier;
    this.#data = data;
    this.#options = options;
    this.#k = k;
    this.#batchSize = batchSize;
    this.#totalSteps = options.maxSteps ?? epochs * Math.ceil(data.train.length / batchSize);
    this.#optimizer = new AdamW(namedParameters(classifier.model).values(), options);
    this.#order = new SeededRandom(seed);
    this.#positions = new Generator(seed);
    this.#dropout = { selected: new Generator(2 * seed + 1, device), rest: new Generator(2 * seed + 2, device) };
  }

  async execute(): Promise<TrainResult> {
    const started = performance.now();
    resetPeakMemory(this.#device);
    for (let epoch = 1; this.#step < this.#totalSteps && !this.#isStopped; epoch++) await this.#runEpoch(epoch);
    return {
      steps: this.#step,
      isStopped: this.#step < this.#totalSteps,
      seconds: (performance.now() - started) / 1000,
      peakBytes: memory(this.#device).peakBytes,
      metrics: this.#metrics,
    };
  }

  [Symbol.dispose](): void {
    this.#optimizer[Symbol.dispose]();
    for (const random of [this.#positions, this.#dropout.selected, this.#dropout.rest]) random.dispose();
  }

  get #device(): Classifier["model"]["backbone"]["device"] {
    return this.#classifier.model.backbone.device;
  }

  get #isStopped(): boolean {
    return this.#options.signal?.aborted ?? false;
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
    const { learningRate: highest = 5e-5, warmupRatio = 0.1 } = this.#options;
    const schedule = {
      learningRate: highest,
      warmupSteps: Math.floor(warmupRatio * this.#totalSteps),
      totalSteps: this.#totalSteps,
    };
    const learningRate = linearSchedule(this.#step, schedule);
    const loss = scope(() => this.#accumulate(examples, learningRate));
    this.#optimizer.step(learningRate);
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

  // Forward and backward: leaves the gradients at the parameters, or uses them up on the way, and returns the loss.
  #accumulate(examples: readonly TrainingExample[], learningRate: number): number {
    const { model, target } = this.#classifier;
    const { activations = "store", optimizerInBackward = false } = this.#options;
    const selected = selectPositions(
      examples.map(({ inputIds }) => inputIds.length),
      this.#k,
      this.#positions,
      model.pooling,
    );
    const batch = packBatch(examples, { selected, ...packingFor(model) });
    return accumulateGradients(model, batch, (logits) => lossOf(logits, labelsOf(examples), target), {
      random: this.#dropout,
      activations,
      onLoss: (loss) => this.#refuseDivergence(loss),
      ...(optimizerInBackward && {
        onComplete: (part: Module) => this.#optimizer.step(learningRate, namedParameters(part).values()),
      }),
    });
  }

  #refuseDivergence(loss: number): void {
    if (Number.isFinite(loss)) return;
    throw new TrainingError(
      `the loss is ${loss} at step ${this.#step + 1}: stopped before the weights changed; try a lower learning rate`,
    );
  }

  async #evaluate(dev: readonly TrainingExample[]): Promise<void> {
    this.#metrics = await evaluate(this.#classifier, dev);
    this.#options.onEvent?.({ type: "evaluation", step: this.#step, metrics: this.#metrics });
  }
}

/** Refuses options that cannot be, with what they have to be. Throws {@linkcode OptionError}. */
export function checkTrainOptions(options: TrainOptions): void {
  const { k = 16, learningRate = 5e-5, warmupRatio = 0.1, batchSize = 32, epochs = 3, maxSteps = 1, seed = 0 } =
    options;
  checkSelectionSize(k);
  const { activations = "store" } = options;
  if (!activationModes.includes(activations)) {
    throw new OptionError(
      `activations are ${JSON.stringify(activations)}, they can be ${activationModes.join(" or ")}`,
    );
  }
  if (!(learningRate > 0 && Number.isFinite(learningRate))) {
    throw new OptionError(`the learning rate is ${learningRate}, it has to be above 0`);
  }
  if (!(warmupRatio >= 0 && warmupRatio <= 1)) {
    throw new OptionError(`the warm-up ratio is ${warmupRatio}, it has to be from 0 to 1`);
  }
  for (
    const [name, value] of Object.entries({
      "batch size": batchSize,
      "number of epochs": epochs,
      "number of steps": maxSteps,
    })
  ) {
    if (!(Number.isInteger(value) && value >= 1)) {
      throw new OptionError(`the ${name} is ${value}, it has to be a whole number of at least 1`);
    }
  }
  if (!(Number.isSafeInteger(seed) && seed >= 0)) {
    throw new OptionError(`the seed is ${seed}, it has to be a whole number of at least 0`);
  }
}
