// Embedding: rows of a table by index.

import {
  addScalar,
  embedding,
  type Generator,
  lessThanScalar,
  logicalNot,
  mul,
  narrow,
  normal_,
  scope,
  type Tensor,
  unsqueeze,
  where,
  zero_,
} from "../torch/mod.ts";
import { type Module, parameter, type ParameterOptions } from "./module.ts";

/** What an embedding may have besides its size. */
export interface EmbeddingOptions extends ParameterOptions {
  /** The row that gets no gradient and starts as zeros, as in the reference implementation. */
  readonly paddingIndex?: number;
  /** Whether the gradient holds only the rows that were used: for a vocabulary, of which a batch uses little. */
  readonly hasSparseGradient?: boolean;
}

/**
 * A table of `count` rows of `size`; indices `[N]` give rows `[N, size]`. Indices from `count` on are those of virtual
 * rows, `[P, size]`, where a method put some.
 */
export class Embedding implements Module {
  readonly weight: Tensor;
  readonly #paddingIndex: number;
  readonly #hasSparseGradient: boolean;
  #virtual: Tensor | null = null;

  constructor(readonly count: number, readonly size: number, options: EmbeddingOptions = {}) {
    const { paddingIndex = -1, hasSparseGradient = false, ...where } = options;
    this.weight = parameter([count, size], where);
    this.#paddingIndex = paddingIndex;
    this.#hasSparseGradient = hasSparseGradient;
  }

  get parameters(): Readonly<Record<string, Tensor>> {
    return { weight: this.weight, ...(this.#virtual && { virtual: this.#virtual }) };
  }

  /** The virtual rows, `[P, size]`, a parameter; null where there are none. */
  get virtual(): Tensor | null {
    return this.#virtual;
  }

  /** Puts virtual rows there, or with null takes them away; who takes them away disposes them. */
  extend(virtual: Tensor | null): void {
    this.#virtual = virtual;
  }

  forward(indices: Tensor): Tensor {
    const virtual = this.#virtual;
    if (virtual === null) return this.#rows(indices);
    return scope(() => {
      const isOwn = lessThanScalar(indices, this.count);
      const others = mul(addScalar(indices, -this.count), logicalNot(isOwn));
      return where(unsqueeze(isOwn, 1), this.#rows(mul(indices, isOwn)), embedding(virtual, others));
    });
  }

  initialize(random: Generator, std: number): void {
    scope(() => {
      normal_(this.weight, 0, std, { generator: random });
      if (this.#paddingIndex >= 0) zero_(narrow(this.weight, 0, this.#paddingIndex, 1));
    });
  }

  #rows(indices: Tensor): Tensor {
    return embedding(this.weight, indices, this.#paddingIndex, false, this.#hasSparseGradient);
  }
}
