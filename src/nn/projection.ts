// Projection: x W^T on packed rows, a linear map without a bias.

import { type Generator, normal_, type Tensor } from "../torch/mod.ts";
import { linearMap } from "./linear_map.ts";
import { type Module, parameter, type ParameterOptions } from "./module.ts";

/** A linear map of rows `[N, inFeatures]` to `[N, outFeatures]` that takes 0 to 0. */
export class Projection implements Module {
  readonly parameters: Readonly<Record<string, Tensor>>;
  readonly #weight: Tensor;

  constructor(inFeatures: number, outFeatures: number, options: ParameterOptions = {}) {
    this.#weight = parameter([outFeatures, inFeatures], options);
    this.parameters = { weight: this.#weight };
  }

  forward(input: Tensor): Tensor {
    return linearMap(input, this.#weight, null);
  }

  initialize(random: Generator, std: number): void {
    normal_(this.#weight, 0, std, { generator: random }).dispose();
  }
}
