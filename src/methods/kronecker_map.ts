// A linear map whose weight is a sum of Kronecker products of a small matrix and one of low rank.

import type { Activation } from "../nn/activation.ts";
import { linearMap } from "../nn/linear_map.ts";
import { parameter, type ParameterOptions } from "../nn/module.ts";
import {
  type Generator,
  matmul,
  noGrad,
  permute,
  reshape,
  scope,
  type Tensor,
  uniform_,
  view,
  zero_,
} from "../torch/mod.ts";
import type { BottleneckMap } from "./bottleneck.ts";

/** The sizes of a {@linkcode KroneckerMap}; the slow weights' n divides both widths. */
export interface KroneckerShape {
  readonly inFeatures: number;
  readonly outFeatures: number;
  /** r, of the second factors. */
  readonly rank: number;
}

/**
 * x W^T + b with W the sum of the Kronecker products of A_i and B_i = s_i t_i^T for i from 1 to n (Mahabadi et al. 2021,
 * section 3). The A_i, `[n, n]` each, are somebody else's, as other maps share them; s_i `[outFeatures / n, r]`, t_i
 * `[inFeatures / n, r]` and b are its own.
 */
export class KroneckerMap implements BottleneckMap {
  readonly parameters: Readonly<Record<"s" | "t" | "bias", Tensor>>;
  readonly inFeatures: number;
  readonly outFeatures: number;
  readonly #slow: Tensor;

  /**
   * Uninitialised.
   *
   * @param slow the A_i, `[n, n, n]`
   */
  constructor(slow: Tensor, shape: KroneckerShape, options: ParameterOptions) {
    const { inFeatures, outFeatures, rank } = shape;
    const n = slow.length(0);
    this.inFeatures = inFeatures;
    this.outFeatures = outFeatures;
    this.#slow = slow;
    this.parameters = {
      s: parameter([n, outFeatures / n, rank], options),
      t: parameter([n, rank, inFeatures / n], options),
      bias: parameter([outFeatures], options),
    };
  }

  forward(input: Tensor): Tensor {
    return scope(() => linearMap(input, this.#weight(), this.parameters.bias));
  }

  forwardActivated(input: Tensor, activation: Activation): Tensor {
    return scope(() => linearMap(input, this.#weight(), this.parameters.bias, activation));
  }

  /** As the authors' code: s_i and t_i uniform by Glorot and Bengio (2010), b zero. */
  initialize(random: Generator): void {
    const { s, t, bias } = this.parameters;
    const fill = (factor: Tensor): void => {
      const bound = Math.sqrt(6 / (factor.length(1) + factor.length(2)));
      uniform_(factor, -bound, bound, { generator: random });
    };
    noGrad(() =>
      scope(() => {
        fill(s);
        fill(t);
        zero_(bias);
      })
    );
  }

  // W's element at row a m + p and column b k + q is the sum over i of A_i[a, b] B_i[p, q], where B_i is `[m, k]`.
  #weight(): Tensor {
    const { s, t } = this.parameters;
    const n = this.#slow.length(0);
    const fast = view(matmul(s, t), [n, -1]);
    const products = matmul(permute(view(this.#slow, [n, n * n]), [1, 0]), fast);
    const blocks = permute(view(products, [n, n, this.outFeatures / n, this.inFeatures / n]), [0, 2, 1, 3]);
    return reshape(blocks, [this.outFeatures, this.inFeatures]);
  }
}
