// The contract of a method: which weights it trains, what it puts into the model, and what is saved of the result.
//
// A method has two halves. The positions that carry gradients are selected ones or all; that is the training loop's
// affair. What trains is decided here: layers may be frozen from below, and weight methods do their part with what is
// left. A weight method is one file and a line in `registry.ts`.

import type { Insertion } from "../models/adaptation.ts";
import type { Backbone, TransformerLayer } from "../models/contract.ts";
import type { Module } from "../nn/module.ts";
import type { Shape } from "../options/check.ts";
import type { Generator } from "../torch/mod.ts";

/** The parts of a backbone that a weight method may train or change: those that are not frozen. */
export interface OpenParts {
  readonly backbone: Backbone;
  /** In the order of the backbone. */
  readonly layers: readonly TransformerLayer[];
  /** The embeddings and the final norm. */
  readonly others: readonly Module[];
}

/** One way to choose what of a backbone is trained. The head is trained with every one. */
export interface WeightMethod<Options extends object = object> {
  /** What `--method` calls it. */
  readonly name: string;
  /** What it is, in one line, and where it is from. */
  readonly summary: string;
  /** The declarations of the options that are its own; with other methods they are refused. */
  readonly options: Shape;
  /** The values of those that are not given. */
  readonly defaults: Partial<Options>;
  /** What is saved after training: the whole model, or what was trained alone. */
  readonly saves: "model" | "adapter";
  /** Methods that it cannot be together with, and why. */
  readonly excludes?: Readonly<Record<string, string>>;
  /** Why there can be no other weight method and no frozen layers beside it, where that is so. */
  readonly standsAlone?: string;
  /** Refuses what the declarations allow and cannot be, before a model is loaded. */
  check?(options: Options): void;
  /**
   * Makes parameters of the open parts trained, or puts trained ones in; on arrival all but the head are frozen.
   *
   * @param options with the defaults filled in
   * @returns what it put in
   */
  apply(open: OpenParts, options: Options, random: Generator): readonly Insertion[];
}

/** What `--method` says: where gradients are, and what they train. Made by `parseMethod`. */
export interface Method {
  /** The canonical name: `selective+freeze+lora`. */
  readonly name: string;
  /** Whether k positions of each sequence carry gradients, or all. */
  readonly isSelective: boolean;
  /** Whether the embeddings and the lowest layers are frozen. */
  readonly isFrozen: boolean;
  /** In the order of the registry. */
  readonly weights: readonly WeightMethod[];
}
