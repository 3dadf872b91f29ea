// Hard-concrete gates (Louizos et al. 2018): numbers from 0 to 1 that are often exactly 0 or 1, and still have gradients.
//
// They are as many as parameters have elements: what can be is done in place.

import {
  add_,
  addScalar_,
  clamp_,
  equalScalar,
  logit,
  maskedFill_,
  mul,
  mulScalar,
  mulScalar_,
  scope,
  sigmoid,
  sigmoid_,
  type Tensor,
} from "../torch/mod.ts";

/** Gives numbers drawn uniformly from 0 to 1, in the shape, type and place of a tensor. */
export type Noise = (like: Tensor) => Tensor;

// What samples are stretched to before they are cut to 0 and 1: diff pruning's l and r (Guo et al. 2021, section 3.2).
const [low, high] = [-1.5, 1.5];

/**
 * The samples s = sigmoid(log u - log(1 - u) + alpha) that gates are made of; without noise u is 1/2. Infinite alphas,
 * which make gates that are closed or open for good, may not have noise.
 */
export function samplesOf(alpha: Tensor, noise: Noise | null): Tensor {
  if (noise === null) return sigmoid(alpha);
  return scope(() => sigmoid_(add_(logit(noise(alpha)), alpha)));
}

/** The gates z = min(1, max(0, s (r - l) + l)). */
export function gatesOf(samples: Tensor): Tensor {
  return scope(() => clamp_(addScalar_(mulScalar(samples, high - low), low), 0, 1));
}

/** The gates' gradients by alpha: (r - l) s (1 - s), and 0 where they are cut. */
export function slopesOf(samples: Tensor): Tensor {
  return scope(() => {
    const isCut = scope(() => equalScalar(spreads(gatesOf(samples)), 0));
    return maskedFill_(mulScalar_(spreads(samples), high - low), isCut, 0);
  });
}

/** The probabilities sigmoid(alpha - log(-l / r)) that gates are not 0; with these l and r the logarithm is 0. */
export function openProbabilities(alpha: Tensor): Tensor {
  return sigmoid(alpha);
}

/** p (1 - p): a sigmoid's gradient, where p is the sigmoid. */
export function spreads(p: Tensor): Tensor {
  return scope(() => add_(mulScalar_(mul(p, p), -1), p));
}
