// What methods made of a model: what they put in, and what of the model trains.

import type { Module } from "../nn/module.ts";
import type { Generator, Tensor } from "../torch/mod.ts";

/** Something that a method put into a model. */
export interface Insertion {
  /** Its parameters. */
  readonly module: Module;
  /** Takes it out of the model; its parameters stay. */
  detach(): void;
  /** Puts it in again. */
  attach(): void;
  /** How it becomes a part of the base's weights; null where no weights compute what it does. */
  readonly merging: Merging | null;
  /** How parameters of the model are computed from its own. */
  readonly derivation?: Derivation;
}

/** How an insertion becomes a part of the base's weights. */
export interface Merging {
  /** The weights that {@linkcode Merging.fold} changes. */
  readonly weights: readonly Tensor[];
  /** Changes the weights, so that without the insertion they compute what they did with it. */
  fold(): void;
}

/** How parameters of the model are computed from an insertion's, which train in their place. */
export interface Derivation {
  /** The parameters of the model that are computed. */
  readonly derived: readonly Tensor[];
  /** Computes them anew, for a step or, without a generator, for evaluation. */
  refresh(random: Generator | null): void;
  /** Turns their gradients, which it takes away, into gradients of the insertion's parameters. */
  backward(): void;
}

/** What methods made of a model that is not trained whole. */
export interface Adaptation {
  /** The methods' names, in the order of the registry. */
  readonly methods: readonly string[];
  /** All options that say what was put in, with the values of those that were not given. */
  readonly options: Readonly<Record<string, unknown>>;
  /** What trains and what is saved, by its keys: the methods' parameters, and the head. */
  readonly trained: ReadonlyMap<string, Tensor>;
  readonly insertions: readonly Insertion[];
}
