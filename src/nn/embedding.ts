// Embedding: rows of a table by index.

import { embedding, type Generator, narrow, normal_, scope, type Tensor, zero_ } from "../torch/mod.ts";
import { type Module, parameter, type ParameterOptions } from "./module.ts";

/** What an embedding may have besides its size. */
export interface EmbeddingOptions extends ParameterOptions {
  /** The row that gets no gradient and starts as zeros, as in the reference implementation. */
  readonly paddingIndex?: number;
  /** Whether the gradient holds only the rows that were used: for a vocabulary, of which a batch uses little. */
  readonly hasSparseGradient?: boolean;
}

/** A table of `count` rows of `size`; indices `[N]` give rows `[N, size]`. */
export class Embedding implements Module {
  readonly weight: Tensor;
  readonly parameters: Readonly<Record<string, Tensor>>;
  readonly #paddingIndex: number;
  readonly #hasSparseGradient: boolean;

  constructor(readonly count: number, size: number, options: EmbeddingOptions = {}) {
    const { paddingIndex = -1, hasSparseGradient = false, ...where } = options;
    this.weight = parameter([count, size], where);
    this.parameters = { weight: this.weight };
    this.#paddingIndex = paddingIndex;
    this.#hasSparseGradient = hasSparseGradient;
  }

  forward(indices: Tensor): Tensor {
    return embedding(this.weight, indices, this.#paddingIndex, false, this.#hasSparseGradient);
  }

  initialize(random: Generator, std: number): void {
    scope(() => {
      normal_(this.weight, 0, std, { generator: random });
      if (this.#paddingIndex >= 0) zero_(narrow(this.weight, 0, this.#paddingIndex, 1));
    });
  }
}
