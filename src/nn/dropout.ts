// Dropout whose random numbers are drawn eight to a generator word and whose mask takes one byte an element.

import { OptionError } from "../errors.ts";
import {
  empty,
  type Generator,
  isGradEnabled,
  narrow,
  operator,
  random_,
  scope,
  type Tensor,
  viewDtype,
} from "../torch/mod.ts";

const byteDropout = operator("fewtune::byte_dropout(Tensor input, Tensor noise, int threshold) -> Tensor");
const byteDropout_ = operator(
  "fewtune::byte_dropout_(Tensor(a!) input, Tensor noise, int threshold) -> Tensor(a!)",
);

const fullRange = -(2n ** 63n);

/**
 * Dropout (Srivastava et al. 2014, section 4) with its probability rounded to a multiple of 1/256, so that one random
 * byte decides an element: on a CPU, drawing a Bernoulli number each takes longer than the layer's matrix products.
 * What is kept is scaled by 1 / (1 - p) with the rounded p, so the expectation is exact.
 */
export class Dropout {
  readonly #threshold: number;

  constructor(readonly probability: number) {
    if (!(probability >= 0 && probability < 1)) {
      throw new OptionError(`dropout probability must be at least 0 and below 1, not ${probability}`);
    }
    this.#threshold = Math.min(Math.round(probability * 256), 255);
  }

  /** Whether {@linkcode Dropout.apply} changes anything. */
  isActive(random: Generator | null): random is Generator {
    return random !== null && this.#threshold > 0;
  }

  /** A tensor with dropped elements; without a generator (evaluation) the input itself. */
  apply(input: Tensor, random: Generator | null): Tensor {
    if (!this.isActive(random)) return input;
    if (!isGradEnabled()) return this.applyInPlace(input, random);
    return scope(() => byteDropout(input, drawNoise(input, random), this.#threshold));
  }

  /** The same in the input's own memory: for what no backward pass reads. */
  applyInPlace(input: Tensor, random: Generator | null): Tensor {
    if (!this.isActive(random)) return input;
    return scope(() => byteDropout_(input, drawNoise(input, random), this.#threshold));
  }

  /** What {@linkcode Dropout.applyNoise} decides by, for a tensor of `like`'s size; null: nothing is dropped. */
  draw(like: Tensor, random: Generator | null): Tensor | null {
    return this.isActive(random) ? scope(() => drawNoise(like, random)) : null;
  }

  /** A tensor with the elements dropped that the noise decides: in forward and backward the same ones. */
  applyNoise(input: Tensor, noise: Tensor | null): Tensor {
    return noise === null ? input : byteDropout(input, noise, this.#threshold);
  }

  /** The same in the input's own memory. */
  applyNoiseInPlace(input: Tensor, noise: Tensor | null): Tensor {
    return noise === null ? input : byteDropout_(input, noise, this.#threshold);
  }
}

// A random byte for each element, eight drawn at a time.
function drawNoise({ device, size }: Tensor, random: Generator): Tensor {
  const words = random_(empty([Math.ceil(size / 8)], { dtype: "int64", device }), fullRange, null, {
    generator: random,
  });
  return narrow(viewDtype(words, "uint8"), 0, 0, size);
}
