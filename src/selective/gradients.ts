// Gradients of a batch: forward through the layers, and back again from the last to the first.

import type { Module } from "../nn/module.ts";
import type { SequenceClassifier } from "../models/contract.ts";
import { OptionError } from "../errors.ts";
import { noGrad, scope, type Tensor } from "../torch/mod.ts";
import type { DropoutRandom } from "./attend.ts";
import type { PackedBatch } from "./batch.ts";
import { checkKeptStates, type KeptStates } from "./kept_states.ts";
import { Walk } from "./walk.ts";

/** The ways to have activations for backward. */
export const activationModes = ["store", "recompute"] as const;

/**
 * What is kept between forward and backward; on the CPU the gradients are the same to the bit.
 *
 * - `store`: of each layer the keys and values of the rest, and for the selected rows the graph of what follows
 *   attention (the paper keeps the graph of attention too, which costs more memory than it saves time).
 * - `recompute`: of each layer its input (see {@linkcode KeptStates}) and the attention's result at the selected rows;
 *   keys, values and graphs are built when backward reaches the layer.
 *
 * Neither keeps attention's probabilities: backward computes them again.
 */
export type ActivationMode = typeof activationModes[number];

/** What hidden states and activations are kept in. */
export const precisions = ["float32", "bf16"] as const;

/**
 * `float32`: the type of the weights. `bf16`: hidden states, activations and their gradients are bfloat16, which halves
 * them; weights, their gradients, the optimizer's state, the head and the loss stay float32. Products are bfloat16 where
 * the device multiplies it (see {@linkcode hasBfloat16Arithmetic}), else float32 on rounded inputs.
 */
export type Precision = typeof precisions[number];

/**
 * A piece of a step's work: of one of the backbone's layers, or of that of a network beside it; of the embeddings (-1);
 * or of the head (the number of layers).
 */
export interface Work {
  /** The forward pass of the rest, which has no gradients; that of the selected rows; or backward, with its rebuilding. */
  readonly kind: "restForward" | "selectedForward" | "backward";
  readonly layer: number;
}

/** The loss, one element, of logits `[P, numLabels]`, the first of which is that of output `from`. */
export type LossOf = (logits: Tensor, from: number) => Tensor;

/** How {@linkcode accumulateGradients} works. */
export interface GradientOptions {
  /** Null: no dropout. */
  readonly random: DropoutRandom | null;
  /** Default `store`. */
  readonly activations?: ActivationMode;
  /** Which states of the rest `recompute` keeps. Default: all but those of the lowest quarter of the layers. */
  readonly keptStates?: KeptStates;
  /** Of hidden states and activations between layers; see {@linkcode Precision}. Default `float32`. */
  readonly precision?: Precision;
  /**
   * So many rows of logits, and of their gradients, exist at once: the head and the loss work on the outputs in parts,
   * and the parts' losses are added. Default: all.
   */
  readonly rowsPerLogits?: number;
  /** Told the loss before backward begins (of outputs in parts: the loss so far); what it throws stops there. */
  readonly onLoss?: (loss: number) => void;
  /** Told of each part of the model as soon as its gradients are complete: the head's, each layer's, the embeddings'. */
  readonly onComplete?: (part: Module) => void;
  /** Told of each piece of work as it ends, before {@linkcode GradientOptions.onComplete}. */
  readonly onWork?: (work: Work) => void;
}

/**
 * Runs a batch forward and backward, accumulates the gradients at the parameters, and returns the loss.
 *
 * A layer's activations are freed as soon as backward is done with it, and backward stops at the lowest layer that is
 * trained. Where a network stands beside the backbone, backward goes through its layers alone; of the backbone the states
 * that it reads are kept, at the selected rows.
 *
 * @param lossOf the loss, one element, of logits `[P, numLabels]` in the order of {@linkcode forward}; with
 * `rowsPerLogits` the part of it that comes from some of them, the first of which has the number `from`
 * @throws {OptionError} as {@linkcode checkActivations}
 */
export function accumulateGradients(
  model: SequenceClassifier,
  batch: PackedBatch,
  lossOf: LossOf,
  options: GradientOptions,
): number {
  checkActivations(model, options.activations ?? "store");
  if (options.keptStates) checkKeptStates(options.keptStates);
  return noGrad(() => scope(() => new Walk(model, batch, options).run(lossOf)));
}

/**
 * Throws {@linkcode OptionError} when activations shall be computed again of a model with a network beside its backbone:
 * what that reads of the backbone would take a second pass through all of it.
 */
export function checkActivations({ backbone }: SequenceClassifier, activations: ActivationMode): void {
  if (activations === "store" || backbone.side.network === null) return;
  throw new OptionError(
    `activations are ${activations}, but a network beside the backbone stores its own, which are few: use store or auto`,
  );
}
