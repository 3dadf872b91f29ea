// Linear: x W^T + b on packed rows.

import { type Generator, linear, normal_, type Tensor, zero_ } from "../torch/mod.ts";
import { type Module, parameter, type ParameterOptions } from "./module.ts";

/** A linear map of rows `[N, inFeatures]` to `[N, outFeatures]`. */
export class Linear implements Module {
  readonly weight: Tensor;
  readonly bias: Tensor;
  readonly parameters: Readonly<Record<string, Tensor>>;

  constructor(inFeatures: number, outFeatures: number, options: ParameterOptions = {}) {
    this.weight = parameter([outFeatures, inFeatures], options);
    this.bias = parameter([outFeatures], options);
    this.parameters = { weight: this.weight, bias: this.bias };
  }

  forward(input: Tensor): Tensor {
    return linear(input, this.weight, this.bias);
  }

  initialize(random: Generator, std: number): void {
    normal_(this.weight, 0, std, { generator: random }).dispose();
    zero_(this.bias).dispose();
  }
}
