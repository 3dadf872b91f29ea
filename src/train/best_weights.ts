// The weights of the best evaluation, kept as a copy in the host's memory.

import { copy_, detachFromScope, emptyLike, noGrad, scope, type Tensor } from "../torch/mod.ts";

/** A copy of parameters, to go back to. Dispose it to free the copy. */
export class WeightsCopy implements Disposable {
  readonly #parameters: ReadonlyMap<string, Tensor>;
  #copies: ReadonlyMap<string, Tensor> = new Map();

  /** @param parameters by their keys */
  constructor(parameters: ReadonlyMap<string, Tensor>) {
    this.#parameters = parameters;
  }

  /** The copy by the parameters' keys; empty as long as nothing was kept. */
  get copies(): ReadonlyMap<string, Tensor> {
    return this.#copies;
  }

  /** Copies the parameters as they are now, over the copy before. */
  keep(): void {
    if (this.#copies.size === 0) {
      const made = [...this.#parameters].map(([key, each]) => [key, emptyOnHost(each)] as const);
      this.#copies = new Map(made);
    }
    copyAll(this.#copies, this.#parameters);
  }

  /** Gives the parameters the values of the copy, where there is one. */
  restore(): void {
    if (this.#copies.size > 0) copyAll(this.#parameters, this.#copies);
  }

  [Symbol.dispose](): void {
    for (const copy of this.#copies.values()) copy.dispose();
    this.#copies = new Map();
  }
}

function emptyOnHost(like: Tensor): Tensor {
  return scope(() => detachFromScope(emptyLike(like, { device: "cpu" })));
}

function copyAll(into: ReadonlyMap<string, Tensor>, from: ReadonlyMap<string, Tensor>): void {
  noGrad(() =>
    scope(() =>
      into.forEach((target, key) => {
        const source = from.get(key);
        if (source) copy_(target, source);
      })
    )
  );
}
