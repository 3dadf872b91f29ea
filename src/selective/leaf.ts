// Leaves: where a graph begins, so that backward can stop there and go on with the gradient that it leaves.

import { detach, requiresGrad_, scope, type Tensor } from "../torch/mod.ts";

/** The same values without the graph before them, at which backward leaves a gradient. */
export function leaf(tensor: Tensor): Tensor {
  return scope(() => requiresGrad_(detach(tensor)));
}

/** The gradient that backward left at a leaf, which is done with; null when none reached it. */
export function takeGradient(leaf: Tensor): Tensor | null {
  const gradient = leaf.grad;
  leaf.dispose();
  return gradient;
}
