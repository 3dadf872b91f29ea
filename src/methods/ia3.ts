// (IA)^3 (Liu et al. 2022, section 3.3): keys, values and the feed-forward's inner activations are scaled, element by element.

import { OptionError } from "../errors.ts";
import type { Insertion } from "../models/adaptation.ts";
import type { Linear, LinearAdapter, RowMap } from "../nn/linear.ts";
import { parameter } from "../nn/module.ts";
import { nameList } from "../options/values.ts";
import { fill_, mul, mul_, noGrad, scope, type Tensor, to, view } from "../torch/mod.ts";
import type { OpenParts, WeightMethod } from "./contract.ts";
import { linearsAt } from "./sites.ts";

/** What (IA)^3 is told. */
export interface Ia3Options {
  /**
   * The linear maps of each layer that are scaled, named as LoRA's: the feed-forward's second, `output`, in what goes in,
   * and others in what comes out. Default key, value and output.
   */
  readonly ia3Targets?: readonly string[] | undefined;
}

/** Scales what goes into a linear map, or what comes out of it, by a vector l that begins as ones. */
export class Ia3 implements LinearAdapter {
  readonly parameters: Readonly<Record<string, Tensor>>;
  readonly #linear: Linear;
  readonly #scale: Tensor;

  /** Uninitialised. As in PEFT, l is `[1, inFeatures]` for what goes in and `[outFeatures, 1]` for what comes out. */
  constructor(linear: Linear, readonly isOnInput: boolean) {
    const { inFeatures, outFeatures, weight: { dtype, device } } = linear;
    this.#linear = linear;
    this.#scale = parameter(isOnInput ? [1, inFeatures] : [outFeatures, 1], { dtype, device });
    this.parameters = { ia3_l: this.#scale };
  }

  forward(input: Tensor, inner: RowMap): Tensor {
    const scale = to(view(this.#scale, [1, -1]), { dtype: input.dtype });
    return this.isOnInput ? inner(mul(input, scale)) : mul(inner(input), scale);
  }

  initialize(): void {
    noGrad(() => fill_(this.#scale, 1).dispose());
  }

  /** Changes the linear's weights, so that it computes alone what it does with this. */
  fold(): void {
    const { weight, bias } = this.#linear;
    noGrad(() =>
      scope(() => {
        mul_(weight, this.#scale);
        if (!this.isOnInput) mul_(bias, view(this.#scale, [-1]));
      })
    );
  }
}

const defaults = { ia3Targets: ["key", "value", "output"] } as const;

export const ia3 = {
  name: "ia3",
  summary: "keys, values and inner activations scaled by vectors (Liu et al. 2022)",
  options: { ia3Targets: nameList().describe("linear maps that (IA)^3 scales (default: key,value,output)") },
  defaults,
  saves: "adapter",
  apply({ layers }: OpenParts, { ia3Targets = defaults.ia3Targets }: Ia3Options): readonly Insertion[] {
    if (layers.length === 0) {
      throw new OptionError("(IA)^3 has no layer to go into: every layer is frozen, freeze fewer");
    }
    const found = layers.map((layer) => ({ layer, linears: linearsAt("ia3Targets", layer, ia3Targets) }));
    return found.flatMap(({ layer, linears }) =>
      linears.map((linear) => {
        const made = new Ia3(linear, linear === layer.linears.output);
        made.initialize();
        return insertIa3(linear, made);
      })
    );
  },
} as const satisfies WeightMethod<Ia3Options>;

/** Puts (IA)^3 on a linear map. */
export function insertIa3(linear: Linear, ia3: Ia3): Insertion {
  linear.adapt(ia3);
  return {
    module: ia3,
    detach: () => linear.release(ia3),
    attach: () => linear.adapt(ia3),
    merging: { weights: [linear.weight, linear.bias], fold: () => ia3.fold() },
  };
}
