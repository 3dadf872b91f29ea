// A slot of a layer's attention for keys and values before those of every sequence; it is empty unless a method fills it.

import type { Tensor } from "../torch/mod.ts";
import type { Module } from "./module.ts";

/** Keys and values that are rows of their own, `[P, hiddenSize]` each: parameters. */
export interface PrefixRows {
  readonly key: Tensor;
  readonly value: Tensor;
}

/** The keys and values that all queries of a layer see first. Its key in the state dict is where their parameters lie. */
export class PrefixSlot implements Module {
  #rows: PrefixRows | null = null;

  get rows(): PrefixRows | null {
    return this.#rows;
  }

  /** How many keys stand before each sequence's own. */
  get length(): number {
    return this.#rows?.key.length(0) ?? 0;
  }

  get parameters(): Readonly<Record<string, Tensor>> {
    return { ...this.#rows };
  }

  /** Puts rows there, or with null takes them away; who takes them away disposes them. */
  put(rows: PrefixRows | null): void {
    this.#rows = rows;
  }
}
