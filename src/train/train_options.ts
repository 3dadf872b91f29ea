// What training can be told, and which values and combinations cannot be.

import { OptionError } from "../errors.ts";
import { checkGiven } from "../options/check.ts";
import type { ActivationMode, Precision } from "../selective/gradients.ts";
import type { SelectionSize } from "../selective/positions.ts";
import type { AdamWOptions } from "./adamw.ts";
import type { Clipping } from "./clip.ts";
import { runOptions } from "./config/options.ts";
import type { TrainEvent } from "./events.ts";

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
  /** Called after each step and each evaluation. */
  readonly onEvent?: (event: TrainEvent) => void;
  /** When it is aborted, training stops after the step at hand. */
  readonly signal?: AbortSignal;
}

/** Refuses options that cannot be, with what they have to be. Throws {@linkcode OptionError}. */
export function checkTrainOptions(options: TrainOptions): void {
  checkGiven(runOptions, options);
  checkMemoryBudget(options);
  checkClipping(options);
  checkOptimizerInBackward(options);
}

function checkMemoryBudget({ activations = "auto", memoryBudget }: TrainOptions): void {
  if (memoryBudget === undefined || activations === "auto") return;
  throw new OptionError(
    `a memory budget lets the activations be chosen, but they are set to ${activations}: use auto`,
  );
}

function checkClipping({ maxGradNorm, clipping }: TrainOptions): void {
  if (clipping === undefined || maxGradNorm !== undefined) return;
  throw new OptionError(`clipping is ${clipping}, but there is no maximum norm to clip to: give one (maxGradNorm)`);
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
