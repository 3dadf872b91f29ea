// The weights of the best evaluation, kept as a copy in the host's memory.

import { copy_, detachFromScope, emptyLike, noGrad, scope, type Tensor } from "../torch/mod.ts";

/** A copy of parameters, to go back to. Dispose it to free the copy. */
export class WeightsCopy implements Disposable {
  readonly #parameters: readonly Tensor[];
  #copies: readonly Tensor[] = [];

  constructor(parameters: readonly Tensor[]) {
    this.#parameters = parameters;
  }

  /** Copies the parameters as they are now, over the copy before. */
  keep(): void {
    if (this.#copies.length === 0) {
      this.#copies = scope(() => detachFromScope(this.#parameters.map((each) => emptyLike(each, { device: "cpu" }))));
    }
    copyAll(this.#copies, this.#parameters);
  }

  /** Gives the parameters the values of the copy, where there is one. */
  restore(): void {
    if (this.#copies.length > 0) copyAll(this.#parameters, this.#copies);
  }

  [Symbol.dispose](): void {
    for (const copy of this.#copies) copy.dispose();
    this.#copies = [];
  }
}

function copyAll(into: readonly Tensor[], from: readonly Tensor[]): void {
  noGrad(() =>
    scope(() =>
      into.forEach((target, index) => {
        const source = from[index];
        if (source) copy_(target, source);
      })
    )
  );
}
