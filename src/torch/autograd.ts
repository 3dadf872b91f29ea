// Autograd: grad mode, backward, and hooks that zero a gradient at masked positions.

import { FewtuneError } from "../errors.ts";
import { check, shim } from "../native/load.ts";
import { input } from "../native/slots.ts";
import { runBackward } from "./ops.ts";
import type { Tensor } from "./tensor.ts";

let enabled = true;

/** Whether operators record what backward needs. */
export function isGradEnabled(): boolean {
  return enabled;
}

function withGradMode<T>(mode: boolean, body: () => T): T {
  const before = enabled;
  setGradMode(mode);
  try {
    const result = body();
    if (result instanceof Promise) {
      throw new FewtuneError(
        "grad mode was set for an asynchronous function: it would change back while that still runs",
      );
    }
    return result;
  } finally {
    setGradMode(before);
  }
}

function setGradMode(mode: boolean): void {
  enabled = mode;
  shim().ft_grad_mode(mode ? 1 : 0);
}

/** Runs `body` without recording anything for backward. Throws {@linkcode FewtuneError} for an asynchronous one. */
export function noGrad<T>(body: () => T): T {
  return withGradMode(false, body);
}

/** Runs `body` with recording on, for use inside {@linkcode noGrad}. */
export function withGrad<T>(body: () => T): T {
  return withGradMode(true, body);
}

/** What {@linkcode backward} may be told. */
export interface BackwardOptions {
  /** The gradient of `output` itself; needed when it has more than one element. */
  readonly gradient?: Tensor;
  /** Accumulate only into these leaves; default: into every leaf that requires gradients. */
  readonly inputs?: readonly Tensor[];
  /** Keep the graph for another backward. */
  readonly retainGraph?: boolean;
}

/**
 * Accumulates into `leaf.grad` the gradient of `output` with respect to each leaf.
 *
 * @example
 * ```ts
 * import { backward, initialize, ops, scope, tensorFrom, toNumbers } from "../../mod.ts";
 * await initialize();
 * scope(() => {
 *   const x = tensorFrom([1, 2, 3], { requiresGrad: true });
 *   backward(ops.sum(ops.mul(x, x)));
 *   console.assert(x.grad !== null && toNumbers(x.grad).join() === "2,4,6");
 * });
 * ```
 */
export function backward(output: Tensor, options: BackwardOptions = {}): void {
  runBackward(output, options.inputs ?? [], options.gradient ?? null, options.retainGraph ?? false);
}

/**
 * Hangs a hook on `tensor`: in backward, its gradient is set to zero wherever `mask` (bool, broadcast to the tensor's
 * shape) is true. The hook lives as long as the graph that it is part of.
 */
export function zeroGradAt(tensor: Tensor, mask: Tensor): void {
  input.rewind().writeInteger(tensor.handle);
  input.writeInteger(mask.handle);
  check(shim().ft_hook_zero_grad_at(input.buffer), "hanging a hook on a tensor");
}
