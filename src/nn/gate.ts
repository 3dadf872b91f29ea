// Gate: the share at which two sources of rows are mixed is trained.

import { add, mul, mulScalar, noGrad, scope, sigmoid, sub, type Tensor, to, zero_ } from "../torch/mod.ts";
import { type Module, parameter, type ParameterOptions } from "./module.ts";

/** g a + (1 - g) b with one trained number, g = sigmoid(alpha / temperature); alpha begins at 0, and g at a half. */
export class Gate implements Module {
  readonly parameters: Readonly<Record<string, Tensor>>;
  readonly #alpha: Tensor;

  /** @param temperature the smaller, the faster g changes with alpha */
  constructor(readonly temperature: number, options: ParameterOptions = {}) {
    this.#alpha = parameter([1], options);
    this.parameters = { alpha: this.#alpha };
  }

  /** Rows of the same shape `[N, d]`, mixed. Backward keeps their difference. */
  mix(a: Tensor, b: Tensor): Tensor {
    return scope(() => {
      const share = sigmoid(mulScalar(this.#alpha, 1 / this.temperature));
      return add(b, mul(sub(a, b), to(share, { dtype: a.dtype })));
    });
  }

  initialize(): void {
    noGrad(() => zero_(this.#alpha).dispose());
  }
}
