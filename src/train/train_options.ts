// What training can be told, and which values and combinations cannot be.

import { OptionError } from "../errors.ts";
import { type ActivationMode, activationModes, type Precision, precisions } from "../selective/gradients.ts";
import { checkSelectionSize, type SelectionSize } from "../selective/positions.ts";
import type { AdamWOptions } from "./adamw.ts";
import type { TrainEvent } from "./events.ts";

/** Of what the length of gradients is taken when they are clipped. */
export const clippings = ["global", "layer"] as const;

/** All gradients together, or each layer's (the head's, the embeddings') by themselves. */
export type Clipping = typeof clippings[number];

/** Where a run's checkpoints are, and which. */
export interface CheckpointOptions {
  /** The folder that they are in: `step-120` and so on. Those of another run may not be there. */
  readonly folder: string;
  /** One after each so many steps. Default: only when the signal stops the run. */
  readonly saveSteps?: number | undefined;
  /** So many are kept, the newest. Default 2. */
  readonly keep?: number | undefined;
  /** What each holds besides, by name. */
  readonly files?: Readonly<Record<string, string>>;
}

/** How {@linkcode train} trains. */
export interface TrainOptions extends AdamWOptions {
  /** Positions of each sequence that carry gradients: a number of them, a share of them, or `"all"`. Default 16. */
  readonly k?: SelectionSize;
  /**
   * What is kept for backward. `auto`: with a memory budget the fastest way that fits it, without one `recompute` where
   * that costs less than 15 % of a step, else `store`. Default `auto`.
   */
  readonly activations?: ActivationMode | "auto" | undefined;
  /** With `auto`, the most bytes that may live in tensors in a step, weights and optimizer state included. */
  readonly memoryBudget?: number | undefined;
  /** What hidden states and activations are kept in. Default `float32`. */
  readonly precision?: Precision | undefined;
  /**
   * Whether each part's parameters are updated, and its gradients freed, as soon as backward has passed it: the
   * gradients of the whole model then never exist together. Default false.
   */
  readonly optimizerInBackward?: boolean;
  /** Examples in a step. Default 32. */
  readonly batchSize?: number;
  /**
   * Into so many micro-batches each step's examples are cut, which run one after the other. Loss and gradients are those
   * of the whole batch, while the activations are those of a part. Default 1.
   */
  readonly gradientAccumulation?: number | undefined;
  /** Gradients longer than this are shortened to it (Pascanu et al. 2013). Default: none are. */
  readonly maxGradNorm?: number | undefined;
  /** Whether the length is that of all gradients together, or of each layer's by themselves. Default `global`. */
  readonly clipping?: Clipping | undefined;
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
  /** Where checkpoints are written, and when. Default: none are. */
  readonly checkpoints?: CheckpointOptions | undefined;
  /**
   * The checkpoint to go on from, as {@linkcode newestCheckpoint} finds it. The result is that of the run that was never
   * stopped: to the bit on a CPU, with as many threads and the same LibTorch.
   */
  readonly resumeFrom?: string | undefined;
  /** Called after each step, each evaluation, and each checkpoint. */
  readonly onEvent?: (event: TrainEvent) => void;
  /** When it is aborted, training stops after the step at hand. */
  readonly signal?: AbortSignal;
}

/** Refuses options that cannot be, with what they have to be. Throws {@linkcode OptionError}. */
export function checkTrainOptions(options: TrainOptions): void {
  const { k = 16, learningRate = 5e-5, warmupRatio = 0.1, batchSize = 32, epochs = 3, maxSteps = 1, seed = 0 } =
    options;
  const { gradientAccumulation = 1, checkpoints } = options;
  checkSelectionSize(k);
  checkActivations(options);
  checkClipping(options);
  checkOptimizerInBackward(options);
  if (!(learningRate > 0 && Number.isFinite(learningRate))) {
    throw new OptionError(`the learning rate is ${learningRate}, it has to be above 0`);
  }
  if (!(warmupRatio >= 0 && warmupRatio <= 1)) {
    throw new OptionError(`the warm-up ratio is ${warmupRatio}, it has to be from 0 to 1`);
  }
  for (
    const [name, value] of Object.entries({
      "batch size": batchSize,
      "number of micro-batches": gradientAccumulation,
      "number of epochs": epochs,
      "number of steps": maxSteps,
      "number of steps between checkpoints": checkpoints?.saveSteps ?? 1,
      "number of checkpoints that are kept": checkpoints?.keep ?? 1,
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

function checkActivations({ activations = "auto", memoryBudget, precision = "float32" }: TrainOptions): void {
  if (activations !== "auto" && !activationModes.includes(activations)) {
    throw new OptionError(
      `activations are ${JSON.stringify(activations)}, they can be ${["auto", ...activationModes].join(", ")}`,
    );
  }
  if (!precisions.includes(precision)) {
    throw new OptionError(`the precision is ${JSON.stringify(precision)}, it can be ${precisions.join(" or ")}`);
  }
  if (memoryBudget === undefined) return;
  if (!(memoryBudget > 0 && Number.isFinite(memoryBudget))) {
    throw new OptionError(`the memory budget is ${memoryBudget} bytes, it has to be above 0`);
  }
  if (activations !== "auto") {
    throw new OptionError(
      `a memory budget lets the activations be chosen, but they are set to ${activations}: use auto`,
    );
  }
}

function checkClipping({ maxGradNorm, clipping }: TrainOptions): void {
  if (maxGradNorm !== undefined && !(maxGradNorm > 0 && Number.isFinite(maxGradNorm))) {
    throw new OptionError(`the gradients' maximum norm is ${maxGradNorm}, it has to be above 0`);
  }
  if (clipping !== undefined && !clippings.includes(clipping)) {
    throw new OptionError(`clipping is ${JSON.stringify(clipping)}, it can be ${clippings.join(" or ")}`);
  }
  if (clipping !== undefined && maxGradNorm === undefined) {
    throw new OptionError(`clipping is ${clipping}, but there is no maximum norm to clip to: give one (maxGradNorm)`);
  }
}

// In backward a layer is updated before the gradients of those below it are there.
function checkOptimizerInBackward(options: TrainOptions): void {
  const { optimizerInBackward = false, gradientAccumulation = 1, maxGradNorm, clipping = "global" } = options;
  if (!optimizerInBackward) return;
  if (gradientAccumulation > 1) {
    throw new OptionError(
      `the optimizer in backward uses up gradients at once, so ${gradientAccumulation} micro-batches cannot add theirs up: ` +
        `leave out one of the two`,
    );
  }
  if (maxGradNorm !== undefined && clipping === "global") {
    throw new OptionError(
      "the optimizer in backward never has all gradients, whose norm global clipping needs: " +
        "clip by layer, or leave out one of the two",
    );
  }
}
