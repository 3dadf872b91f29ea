// Linear: x W^T + b on packed rows.

import { type Generator, isGradEnabled, linear, normal_, operator, scope, type Tensor, zero_ } from "../torch/mod.ts";
import type { Activation } from "./activation.ts";
import { type Module, parameter, type ParameterOptions } from "./module.ts";

const geluLinear = operator(
  "fewtune::gelu_linear(Tensor input, Tensor weight, Tensor? bias, str approximate) -> Tensor",
);

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

  /** The map of `activation(input)`. Where it is GELU, backward keeps the input alone and computes its output again. */
  forwardActivated(input: Tensor, activation: Activation): Tensor {
    if (activation.gelu !== undefined && isGradEnabled()) {
      return geluLinear(input, this.weight, this.bias, activation.gelu);
    }
    return scope(() => this.forward(activation.apply(input)));
  }

  initialize(random: Generator, std: number): void {
    normal_(this.weight, 0, std, { generator: random }).dispose();
    zero_(this.bias).dispose();
  }
}
