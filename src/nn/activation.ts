// Activation functions by the names that configurations use.

import { CheckpointError } from "../errors.ts";
import { gelu, gelu_, isGradEnabled, relu, relu_, type Tensor } from "../torch/mod.ts";

/** Applies the function; where no backward pass will read the input, in the input's own memory. */
export type Activation = (input: Tensor) => Tensor;

const activations: Readonly<Record<string, Activation>> = {
  gelu: (input) => isGradEnabled() ? gelu(input) : gelu_(input),
  gelu_new: geluTanh,
  gelu_pytorch_tanh: geluTanh,
  relu: (input) => isGradEnabled() ? relu(input) : relu_(input),
};

function geluTanh(input: Tensor): Tensor {
  return isGradEnabled() ? gelu(input, { approximate: "tanh" }) : gelu_(input, { approximate: "tanh" });
}

/** The activation that a configuration names, for example `gelu`. */
export function activation(name: string): Activation {
  const known = activations[name];
  if (known === undefined) {
    throw new CheckpointError(
      `the activation ${JSON.stringify(name)} is unknown: known are ${Object.keys(activations).join(", ")}`,
    );
  }
  return known;
}
