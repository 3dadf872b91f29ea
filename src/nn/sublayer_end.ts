// How each half of a layer ends: dropout, what an adapter makes of it, the residual added, and LayerNorm where it follows.

import { add_, type Generator, scope, type Tensor } from "../torch/mod.ts";
import type { Dropout } from "./dropout.ts";
import type { LayerNorm } from "./layer_norm.ts";
import type { Module } from "./module.ts";

/** What is put where half of a layer ends. */
export interface EndAdapter extends Module {
  /** Elements of each row that it keeps for backward. */
  readonly keptElements: number;
  /**
   * What is added to the residual instead.
   *
   * @param rows what attention or the feed-forward gave, after dropout, `[N, hiddenSize]`
   * @param residual what the half of the layer began from, `[N, hiddenSize]`
   * @param norm that follows the sum; null in a layer whose norms come first
   */
  forward(rows: Tensor, residual: Tensor, norm: LayerNorm | null): Tensor;
}

/** The end of half a layer. Its key in the state dict is where an adapter's parameters lie, and it has no others. */
export class SublayerEnd implements Module {
  readonly #dropout: Dropout;
  readonly #norm: LayerNorm | null;
  #adapter: EndAdapter | null = null;

  /** @param norm is a part of the layer; null in one whose norms come first */
  constructor(dropout: Dropout, norm: LayerNorm | null) {
    this.#dropout = dropout;
    this.#norm = norm;
  }

  get adapter(): EndAdapter | null {
    return this.#adapter;
  }

  get children(): Readonly<Record<string, Module>> {
    return this.#adapter === null ? {} : { adapter: this.#adapter };
  }

  /** Puts an adapter there, or with null takes it away; who takes it away disposes it. */
  adapt(adapter: EndAdapter | null): void {
    this.#adapter = adapter;
  }

  /** `rows`, whose memory is used, with dropout and the residual. */
  forward(rows: Tensor, residual: Tensor, random: Generator | null): Tensor {
    return scope(() => {
      const dropped = this.#dropout.applyInPlace(rows, random);
      const sum = add_(this.#adapter?.forward(dropped, residual, this.#norm) ?? dropped, residual);
      return this.#norm?.forward(sum) ?? sum;
    });
  }
}
