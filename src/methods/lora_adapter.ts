// LoRA beside a linear map (Hu et al. 2022, equation 3), and DoRA, which trains the length of the weight's rows besides.

import { Dropout } from "../nn/dropout.ts";
import type { Linear, LinearAdapter, RowMap } from "../nn/linear.ts";
import { linearMap } from "../nn/linear_map.ts";
import { type Module, parameter } from "../nn/module.ts";
import {
  add_,
  addScalar,
  copy_,
  div,
  type Generator,
  linalgVectorNorm,
  matmul,
  mul,
  mulScalar,
  mulScalar_,
  noGrad,
  scope,
  sub,
  type Tensor,
  to,
  uniform_,
  view,
  zero_,
} from "../torch/mod.ts";

/** The kind of a {@linkcode Lora}. */
export interface LoraShape {
  /** r, the inner width of the product. */
  readonly rank: number;
  /** The product counts `alpha / r` times, rank-stabilised `alpha / sqrt(r)` times. */
  readonly alpha: number;
  readonly isRankStabilised: boolean;
  /** The probability with which an element of the product's input is dropped in training. */
  readonly dropout: number;
  /** Whether it is DoRA. */
  readonly hasMagnitude: boolean;
}

/**
 * W x + b becomes (W + s B A) x + b, with A `[r, inFeatures]`, B `[outFeatures, r]`, and s the scaling; in training A has
 * a dropped x. DoRA (Liu et al. 2024, equation 5) scales each row of W + s B A to a length that is trained, m
 * `[outFeatures]`; the length that it had is a constant for backward (section 4.3).
 */
export class Lora implements LinearAdapter {
  readonly children: Readonly<Record<string, Module>>;
  readonly parameters: Readonly<Record<string, Tensor>>;
  readonly #linear: Linear;
  readonly #dropout: Dropout;
  readonly #scale: number;
  readonly #a: Tensor;
  readonly #b: Tensor;
  readonly #magnitude: Tensor | null;

  /** Uninitialised, in the size, type and place of the linear's weight. */
  constructor(linear: Linear, readonly shape: LoraShape) {
    const { inFeatures, outFeatures, weight: { dtype, device } } = linear;
    const { rank, alpha } = shape;
    this.#linear = linear;
    this.#dropout = new Dropout(shape.dropout);
    this.#scale = alpha / (shape.isRankStabilised ? Math.sqrt(rank) : rank);
    this.#a = parameter([rank, inFeatures], { dtype, device });
    this.#b = parameter([outFeatures, rank], { dtype, device });
    this.#magnitude = shape.hasMagnitude ? parameter([outFeatures], { dtype, device }) : null;
    this.children = { lora_A: { parameters: { weight: this.#a } }, lora_B: { parameters: { weight: this.#b } } };
    this.parameters = this.#magnitude ? { lora_magnitude_vector: this.#magnitude } : {};
  }

  get hasDropout(): boolean {
    return this.shape.dropout > 0;
  }

  forward(input: Tensor, inner: RowMap, random: Generator | null): Tensor {
    const noise = this.#dropout.draw(input, random);
    const dropped = this.#dropout.applyNoise(input, noise);
    if (this.#magnitude === null) return add_(inner(input), this.#product(dropped));
    return this.#scaled(this.#magnitude, inner(input), dropped, noise !== null);
  }

  // (s B A) x.
  #product(input: Tensor): Tensor {
    return scope(() => linearMap(mulScalar_(linearMap(input, this.#a, null), this.#scale), this.#b, null));
  }

  // The output whose rows of the weight have other lengths. Of a dropped input the change counts alone, as in PEFT.
  #scaled(magnitude: Tensor, output: Tensor, dropped: Tensor, isDropped: boolean): Tensor {
    const { weight, bias } = this.#linear;
    const ratio = to(div(magnitude, this.#rowLengths()), { dtype: output.dtype });
    const product = mul(this.#product(dropped), ratio);
    if (!isDropped) {
      const narrow = to(bias, { dtype: output.dtype });
      return add_(add_(mul(sub(output, narrow), ratio), narrow), product);
    }
    return add_(add_(mul(linearMap(dropped, weight, null), addScalar(ratio, -1)), product), output);
  }

  // Of the rows of W + s B A, `[outFeatures]`.
  #rowLengths(): Tensor {
    return noGrad(() => scope(() => linalgVectorNorm(this.#sum(), 2, [1])));
  }

  // W + s B A.
  #sum(): Tensor {
    return scope(() => add_(mulScalar(matmul(this.#b, this.#a), this.#scale), this.#linear.weight));
  }

  /** Changes the linear's weight, so that it computes alone what it does with this. */
  fold(): void {
    noGrad(() =>
      scope(() => {
        const sum = this.#sum();
        if (this.#magnitude === null) return void copy_(this.#linear.weight, sum);
        const ratio = div(this.#magnitude, linalgVectorNorm(sum, 2, [1]));
        copy_(this.#linear.weight, mul(sum, view(ratio, [-1, 1])));
      })
    );
  }

  /**
   * B is zero, so that training starts from the model as it was; A is PEFT's `kaiming_uniform_(a=sqrt(5))`, and m the
   * lengths of the weight's rows.
   */
  initialize(random: Generator): void {
    const bound = 1 / Math.sqrt(this.#a.length(1));
    noGrad(() =>
      scope(() => {
        uniform_(this.#a, -bound, bound, { generator: random });
        zero_(this.#b);
        if (this.#magnitude !== null) copy_(this.#magnitude, linalgVectorNorm(this.#linear.weight, 2, [1]));
      })
    );
  }
}
