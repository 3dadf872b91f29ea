// What methods made of a model: what they put in, and what of the model trains.

import type { SafetensorsSource } from "../files/safetensors_write.ts";
import type { WeightsFile } from "../files/weights_file.ts";
import type { Module } from "../nn/module.ts";
import type { Generator, Tensor } from "../torch/mod.ts";

/** Something that a method put into a model. */
export interface Insertion {
  /** Its parameters; with a derivation also what does not train and is kept for it. */
  readonly module: Module;
  /** Takes it out of the model; its parameters stay. */
  detach(): void;
  /** Puts it in again. */
  attach(): void;
  /** How it becomes a part of the base's weights; null where no weights compute what it does. */
  readonly merging: Merging | null;
  /** How parameters of the model are computed from its own. */
  readonly derivation?: Derivation;
  /** How its parameters are in a file of an adapter. Default: as they are. */
  readonly compactForm?: CompactForm;
}

/** How an insertion becomes a part of the base's weights. */
export interface Merging {
  /** The weights that {@linkcode Merging.fold} changes. */
  readonly weights: readonly Tensor[];
  /** Changes the weights, so that without the insertion they compute what they did with it. */
  fold(): void;
}

/**
 * How parameters of the model are computed from an insertion's, which train in their place. Outside of a training step
 * the model has the parameters for evaluation.
 */
export interface Derivation {
  /** The parameters of the model that are computed. */
  readonly derived: readonly Tensor[];
  /** The highest learning rates of parameters that have one of their own; it rises and falls with that of the others. */
  readonly learningRates?: ReadonlyMap<Tensor, number>;
  /** Bytes that it keeps from {@linkcode Derivation.refresh} to {@linkcode Derivation.backward}. Default 0. */
  readonly keptBytes?: number;
  /** Computes them anew, for a step or, without a generator, for evaluation. */
  refresh(random: Generator | null): void;
  /** Turns their gradients, which it takes away, into gradients of the insertion's parameters. */
  backward(): void;
  /** Told before each step of a run how many are done, so that a method of several phases goes on to the next. */
  advance?(done: number, total: number): void;
  /** False in a phase after which the model becomes another: its evaluations cannot be the best. Default true. */
  readonly isSettled?: boolean;
}

/** How an insertion's parameters are in a file of an adapter: fewer bytes, from which the model is the same. */
export interface CompactForm {
  /** Elements of the model that it speaks of, and its bytes. */
  readonly extent: { readonly elements: number; readonly bytes: number };
  /** What is written, by names that the insertion's keys begin. */
  sources(): readonly SafetensorsSource[];
  /** Whether a tensor of a file is of this form. */
  has(name: string): boolean;
  /**
   * Sets the parameters to what the file holds.
   *
   * @throws {CheckpointError} when that is none of it, or of another shape
   */
  read(file: WeightsFile): void;
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
