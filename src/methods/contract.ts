// The contract of a method: which weights it trains, what it puts into the model, and what is saved of the result.
//
// A method has two halves. The positions that carry gradients are selected ones or all; that is the training loop's
// affair. What trains is decided here: layers may be frozen from below, and one weight method does its part with the
// layers that are left. A weight method is one file and a line in `registry.ts`.

import type { Module } from "../nn/module.ts";
import type { TransformerLayer } from "../models/contract.ts";
import type { Generator } from "../torch/mod.ts";

/** The parts of a backbone that a weight method may train or change: those that are not frozen. */
export interface OpenParts {
  /** In the order of the backbone. */
  readonly layers: readonly TransformerLayer[];
  /** The embeddings and the final norm. */
  readonly others: readonly Module[];
}

/** One way to choose what of a backbone is trained. The head is trained with every one. */
export interface WeightMethod<Options = unknown> {
  /** What `--method` calls it. */
  readonly name: string;
  /** The options that are its own, and what a message calls each; with another method they are refused. */
  readonly options: Readonly<Record<string, string>>;
  /** The values of those that are not given. */
  readonly defaults: Partial<Options>;
  /** What is saved after training: the whole model, or what was put into it and its head. */
  readonly saves: "model" | "adapter";
  /** Refuses options that cannot be, before a model is loaded. */
  check(options: Options): void;
  /** Makes parameters of the open parts trained, or puts trained ones in; on arrival all but the head are frozen. */
  apply(open: OpenParts, options: Options, random: Generator): void;
}

/** What `--method` says: where gradients are, and what they train. Made by `parseMethod`. */
export interface Method<Options = unknown> {
  /** The canonical name: `selective+freeze+lora`. */
  readonly name: string;
  /** Whether k positions of each sequence carry gradients, or all. */
  readonly isSelective: boolean;
  /** Whether the embeddings and the lowest layers are frozen. */
  readonly isFrozen: boolean;
  readonly weights: WeightMethod<Options>;
}
