// Parameters in a narrower type, made once for all that uses them together.

import { detachFromScope, type DType, noGrad, scope, type Tensor, to } from "../torch/mod.ts";

let casts: Map<Tensor, Tensor> | null = null;

/** Runs `body`, in which each parameter is cast once, and frees what was cast. */
export function sharingCasts<T>(body: () => T): T {
  if (casts !== null) return body();
  const shared = casts = new Map<Tensor, Tensor>();
  try {
    return body();
  } finally {
    casts = null;
    for (const cast of shared.values()) cast.dispose();
  }
}

/** The parameter in another type, without gradients. Inside {@linkcode sharingCasts} it is not the caller's to free. */
export function castOf(parameter: Tensor, dtype: DType): Tensor {
  const known = casts?.get(parameter);
  if (known !== undefined) return known;
  const cast = noGrad(() => to(parameter, { dtype }));
  casts?.set(parameter, scope(() => detachFromScope(cast)));
  return cast;
}
