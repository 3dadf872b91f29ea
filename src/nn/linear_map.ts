// The linear map itself, for inputs of the weight's type or of a narrower one.

import { hasBfloat16Arithmetic, isGradEnabled, linear, operator, scope, type Tensor } from "../torch/mod.ts";
import type { Activation } from "./activation.ts";
import { castOf } from "./casts.ts";

const frugalLinear = operator(
  "fewtune::linear(Tensor input, Tensor weight, Tensor? bias, Tensor? cast, str gelu) -> Tensor",
);

/**
 * x W^T + b, or with an activation f: f(x) W^T + b.
 *
 * Backward keeps x alone: where f is GELU, f(x) is computed again. Where x is bfloat16 and W is not, the result is
 * bfloat16; products are too where the device multiplies bfloat16, and float32 elsewhere. W's gradient has W's type.
 *
 * @param input `[N, inFeatures]`
 * @param weight `[outFeatures, inFeatures]`
 */
export function linearMap(
  input: Tensor,
  weight: Tensor,
  bias: Tensor | null,
  activation: Activation | null = null,
): Tensor {
  return scope(() => {
    const gelu = isGradEnabled() ? activation?.gelu : undefined;
    const rows = gelu === undefined && activation ? activation.apply(input) : input;
    const isNarrow = input.dtype !== weight.dtype;
    if (!isNarrow && gelu === undefined) return linear(rows, weight, bias);
    const cast = isNarrow && hasBfloat16Arithmetic(input.device) ? castOf(weight, input.dtype) : null;
    return frugalLinear(rows, weight, bias, cast, gelu ?? "");
  });
}
