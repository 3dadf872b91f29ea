// Dropout whose random numbers are drawn eight to a generator word and whose mask takes one byte an element.

import { OptionError } from "../errors.ts";
import {
  empty,
  type Generator,
  isGradEnabled,
  lessThanScalar,
  maskedFill,
  maskedFill_,
  mulScalar_,
  narrow,
  random_,
  scope,
  type Tensor,
  view,
  viewDtype,
} from "../torch/mod.ts";

const fullRange = -(2n ** 63n);

/**
 * Dropout (Srivastava et al. 2014, section 4) with its probability rounded to a multiple of 1/256, so that one random
 * byte decides an element: on a CPU, drawing a Bernoulli number each takes longer than the layer's matrix products.
 * What is kept is scaled by 1 / (1 - p) with the rounded p, so the expectation is exact.
 */
export class Dropout {
  readonly #threshold: number;
  readonly #scale: number;

  constructor(readonly probability: number) {
    if (!(probability >= 0 && probability < 1)) {
      throw new OptionError(`dropout probability must be at least 0 and below 1, not ${probability}`);
    }
    this.#threshold = Math.min(Math.round(probability * 256), 255);
    this.#scale = 1 / (1 - this.#threshold / 256);
  }

  /** Whether {@linkcode Dropout.apply} changes anything. */
  isActive(random: Generator | null): random is Generator {
    return random !== null && this.#threshold > 0;
  }

  /** A tensor with dropped elements; without a generator (evaluation) the input itself. */
  apply(input: Tensor, random: Generator | null): Tensor {
    if (!this.isActive(random)) return input;
    if (!isGradEnabled()) return this.applyInPlace(input, random);
    return scope(() => mulScalar_(maskedFill(input, this.#drawMask(input, random), 0), this.#scale));
  }

  /** The same in the input's own memory: for what no backward pass reads. */
  applyInPlace(input: Tensor, random: Generator | null): Tensor {
    if (!this.isActive(random)) return input;
    return scope(() => mulScalar_(maskedFill_(input, this.#drawMask(input, random), 0), this.#scale));
  }

  #drawMask(input: Tensor, random: Generator): Tensor {
    const { size, device, shape } = input;
    const words = random_(empty([Math.ceil(size / 8)], { dtype: "int64", device }), fullRange, null, {
      generator: random,
    });
    return view(lessThanScalar(narrow(viewDtype(words, "uint8"), 0, 0, size), this.#threshold), shape);
  }
}
