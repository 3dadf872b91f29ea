// Linear: x W^T + b on packed rows.

import { type Generator, normal_, type Tensor, zero_ } from "../torch/mod.ts";
import type { Activation } from "./activation.ts";
import { linearMap } from "./linear_map.ts";
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
    return linearMap(input, this.weight, this.bias);
  }

  /** The map of `activation(input)`; see {@linkcode linearMap} for what backward keeps. */
  forwardActivated(input: Tensor, activation: Activation): Tensor {
    return linearMap(input, this.weight, this.bias, activation);
  }

  initialize(random: Generator, std: number): void {
    normal_(this.weight, 0, std, { generator: random }).dispose();
    zero_(this.bias).dispose();
  }
}
