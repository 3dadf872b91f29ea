// Clipping: gradients that are too long together are shortened, all by the same factor.

import {
  coalesce,
  item,
  linalgVectorNorm,
  mulScalar_,
  noGrad,
  scope,
  sparseValues,
  stack,
  type Tensor,
} from "../torch/mod.ts";

/** Of what the length of gradients is taken when they are clipped. */
export const clippings = ["global", "layer"] as const;

/** All gradients together, or each layer's (the head's, the embeddings') by themselves. */
export type Clipping = typeof clippings[number];

/**
 * Scales the gradients of `parameters` so that their common Euclidean norm is at most `maxNorm`, and returns the norm
 * that they had (Pascanu et al. 2013, algorithm 1); equal to `torch.nn.utils.clip_grad_norm_`. Gradients that hold rows
 * count as the dense ones that they stand for. Without a gradient the norm is 0; with a `maxNorm` of Infinity it is only
 * measured.
 */
export function clipGradNorm(parameters: Iterable<Tensor>, maxNorm: number): number {
  return noGrad(() =>
    scope(() => {
      const values = [...parameters].flatMap((parameter) => gradientValues(parameter) ?? []);
      if (values.length === 0) return 0;
      const norm = item(linalgVectorNorm(stack(values.map((each) => linalgVectorNorm(each)))));
      const factor = maxNorm / (norm + 1e-6);
      if (factor < 1) { for (const each of values) mulScalar_(each, factor); }
      return norm;
    })
  );
}

// The memory of a parameter's gradient; of rows, each of which may be there several times, first the sum.
function gradientValues(parameter: Tensor): Tensor | null {
  const gradient = parameter.grad;
  if (gradient === null || !gradient.isSparse) return gradient;
  const merged = coalesce(gradient);
  parameter.grad = merged;
  return sparseValues(merged);
}
