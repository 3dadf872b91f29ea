// LayerNorm over the last dimension.

import { fill_, type Generator, layerNorm, scope, type Tensor, to, zero_ } from "../torch/mod.ts";
import { type Module, parameter, type ParameterOptions } from "./module.ts";

/** Normalises each row to mean 0 and variance 1, then scales and shifts it (Ba et al. 2016, equation 4). */
export class LayerNorm implements Module {
  readonly parameters: Readonly<Record<string, Tensor>>;
  readonly #weight: Tensor;
  readonly #bias: Tensor;

  constructor(readonly size: number, readonly eps: number, options: ParameterOptions = {}) {
    this.#weight = parameter([size], options);
    this.#bias = parameter([size], options);
    this.parameters = { weight: this.#weight, bias: this.#bias };
  }

  forward(input: Tensor): Tensor {
    const norm = (rows: Tensor): Tensor => layerNorm(rows, [this.size], this.#weight, this.#bias, this.eps);
    // LibTorch's norm takes rows of a narrower type than the weights on the CPU, and not on a GPU.
    if (input.dtype === this.#weight.dtype || input.device === "cpu") return norm(input);
    return scope(() => to(norm(to(input, { dtype: this.#weight.dtype })), { dtype: input.dtype }));
  }

  initialize(_random: Generator, _std: number): void {
    fill_(this.#weight, 1).dispose();
    zero_(this.#bias).dispose();
  }
}
