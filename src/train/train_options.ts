// What training can be told, and which values and combinations cannot be.

import { OptionError } from "../errors.ts";
import type { Target } from "../models/classifier.ts";
import { checkGiven } from "../options/check.ts";
import type { ActivationMode, Precision } from "../selective/gradients.ts";
import type { PositionPolicy } from "../selective/policies.ts";
import type { SelectionSize } from "../selective/positions.ts";
import type { AdamWOptions } from "./adamw.ts";
import type { Clipping } from "./clip.ts";
import { runOptions } from "./config/options.ts";
import { metricNames } from "./evaluate.ts";
import type { TrainEvent } from "./events.ts";
import { checkLossSettings, type LossSettings } from "./loss.ts";
import type { Schedule } from "./schedule.ts";

/** Where a run's checkpoints are, and which. */
export interface CheckpointOptions {
  /** The folder that they are in: `step-120` and so on. Those of another run may not be there. */
  readonly folder: string;
  /** One after each so many steps, and after each evaluation that is the best. Default: by the time alone. */
  readonly saveSteps?: number | undefined;
  /** One after the first step that ends so many minutes after the last one. Default 15; with `saveSteps` none. */
  readonly saveMinutes?: number | undefined;
  /** So many are kept, the newest, and that of the best evaluation besides. Default 2. */
  readonly keep?: number | undefined;
  /** What each holds besides, by name. */
  readonly files?: Readonly<Record<string, string>>;
}

/** How {@linkcode train} trains. */
export interface TrainOptions extends AdamWOptions, LossSettings {
  /** Positions of each sequence that carry gradients: a number of them, a share of them, or `"all"`. Default 16. */
  readonly k?: SelectionSize | undefined;
  /** Which positions they are. Default `random`, the paper's. */
  readonly positions?: PositionPolicy | undefined;
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
  /** How the learning rate falls after the warm-up; see {@linkcode learningRateAt}. Default `linear`. */
  readonly schedule?: Schedule | undefined;
  /** Passes over the examples. Default 3. */
  readonly epochs?: number;
  /** Stop after so many steps; the schedule is laid out for them. Default: what the epochs give. */
  readonly maxSteps?: number;
  /** The part of the steps over which the learning rate rises. Default 0.1. */
  readonly warmupRatio?: number | undefined;
  /** The number of these steps, instead of their part. */
  readonly warmupSteps?: number | undefined;
  /**
   * Whether examples of like length go together, by {@linkcode batchesByLength}. As batches are not padded, that saves no
   * time on a CPU, and the batch of the longest examples takes more memory; attention on a GPU works on padded blocks.
   * Default false.
   */
  readonly groupByLength?: boolean | undefined;
  /** Evaluate after so many steps, again and again, and at the end. Default: after each epoch, and at the end. */
  readonly evalSteps?: number | undefined;
  /**
   * The metric that says which evaluation is the best, as {@linkcode evaluate} names it: the lowest `loss` or
   * `perplexity`, the highest of any other. Default `loss`.
   */
  readonly bestMetric?: string | undefined;
  /**
   * Whether the weights of the best evaluation are the result, and not the last ones. They are kept in the host's
   * memory. When a signal stops training, the last ones stay. Default false.
   */
  readonly keepBest?: boolean | undefined;
  /** Stop after so many evaluations in a row that were no better than the best. Default: go on to the end. */
  readonly patience?: number | undefined;
  /**
   * Stop with an error when the mean loss of about the last 100 steps is above 1, and above so many times the lowest
   * such mean before. Default 3.
   */
  readonly divergenceFactor?: number | undefined;
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
  const { saveSteps, saveMinutes, keep: keepCheckpoints } = options.checkpoints ?? {};
  checkGiven(runOptions, { ...options, saveSteps, saveMinutes, keepCheckpoints });
  checkMemoryBudget(options);
  checkClipping(options);
  checkWarmup(options);
  checkOptimizerInBackward(options);
  checkImportance(options);
}

/**
 * Refuses options that a run on these examples has no use for. Throws {@linkcode OptionError}.
 *
 * @param hasDev whether there are examples to evaluate on
 */
export function checkOptionsFor(options: TrainOptions, target: Target, hasDev: boolean): void {
  checkLossSettings(options, target);
  if (options.positions === "importance" && target === "nextToken") {
    throw new OptionError(
      "positions by importance weigh what a text's head reads: a language model's reads each by itself",
    );
  }
  const { evalSteps, bestMetric, keepBest = false, patience } = options;
  const metrics = metricNames(target);
  if (bestMetric !== undefined && !metrics.includes(bestMetric)) {
    throw new OptionError(`the best metric is ${JSON.stringify(bestMetric)}, it can be ${metrics.join(", ")}`);
  }
  if (hasDev) return;
  const given = Object.entries({ evalSteps, bestMetric, keepBest: keepBest || undefined, patience });
  const [name, value] = given.find(([, each]) => each !== undefined) ?? [];
  if (name !== undefined) throw new OptionError(`${name} is ${value}, but there is no dev data to evaluate on`);
}

function checkWarmup({ warmupRatio, warmupSteps }: TrainOptions): void {
  if (warmupSteps === undefined || warmupRatio === undefined) return;
  throw new OptionError(
    `the warm-up is ${warmupSteps} steps, and it is ${warmupRatio} of all steps: leave out one of the two`,
  );
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

// The correction of `importance` is a further pass, and reads the whole text's one answer.
function checkImportance({ positions, optimizerInBackward = false }: TrainOptions): void {
  if (positions !== "importance" || !optimizerInBackward) return;
  throw new OptionError(
    "positions by importance take several passes whose gradients add up, which the optimizer in backward uses up at once: " +
      "leave out one of the two",
  );
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
