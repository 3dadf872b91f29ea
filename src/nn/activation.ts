// Activation functions by the names that configurations use.

import { CheckpointError } from "../errors.ts";
import { gelu, gelu_, isGradEnabled, relu, relu_, type Tensor } from "../torch/mod.ts";

/** An activation function. */
export interface Activation {
  /** Applies it; where no backward pass will read the input, in the input's own memory. */
  readonly apply: (input: Tensor) => Tensor;
  /** Which GELU it is, if it is one: a linear map after it then need not keep its output. */
  readonly gelu?: "none" | "tanh";
}

const geluTanh: Activation = geluActivation("tanh");

const activations: Readonly<Record<string, Activation>> = {
  gelu: geluActivation("none"),
  gelu_new: geluTanh,
  gelu_pytorch_tanh: geluTanh,
  relu: { apply: (input) => isGradEnabled() ? relu(input) : relu_(input) },
};

function geluActivation(approximate: "none" | "tanh"): Activation {
  return {
    apply: (input) => isGradEnabled() ? gelu(input, { approximate }) : gelu_(input, { approximate }),
    gelu: approximate,
  };
}

/** The activation that a configuration names, for example `gelu`. */
export function activation(name: string): Activation {
  const known = Object.hasOwn(activations, name) ? activations[name] : undefined;
  if (known === undefined) {
    throw new CheckpointError(
      `the activation ${JSON.stringify(name.slice(0, 80))} is unknown: known are ${
        Object.keys(activations).join(", ")
      }`,
    );
  }
  return known;
}
