// Normal numbers, none of them further than two deviations from 0.

import { erfinv_, type Generator, mulScalar_, noGrad, scope, type Tensor, uniform_ } from "../torch/mod.ts";

// The share of normal numbers within two deviations: erf(sqrt(2)).
const within = 0.9544997361036416;

/** Fills a tensor, as `torch.nn.init.trunc_normal_(tensor, std=std, a=-2 * std, b=2 * std)`. */
export function truncatedNormal_(tensor: Tensor, std: number, random: Generator): void {
  noGrad(() =>
    scope(() => {
      mulScalar_(erfinv_(uniform_(tensor, -within, within, { generator: random })), std * Math.SQRT2);
    })
  );
}
