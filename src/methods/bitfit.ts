// BitFit (Ben Zaken et al. 2022): of the backbone only biases train.

import type { Insertion } from "../models/adaptation.ts";
import type { TransformerLayer } from "../models/contract.ts";
import { namedParameters } from "../nn/module.ts";
import { OptionError } from "../errors.ts";
import { oneOf } from "../options/values.ts";
import { requiresGrad_, type Tensor } from "../torch/mod.ts";
import type { OpenParts, WeightMethod } from "./contract.ts";

/** Which biases BitFit trains. */
export const biasSets = ["all", "query-intermediate"] as const;

/** What BitFit is told. */
export interface BitfitOptions {
  /**
   * `all`: every bias, those of norms too (table 1). `query-intermediate`: those of the queries and of the feed-forward's
   * first map alone (section 3: b_q and b_m2, "the second MLP layer", where attention's output map is the first).
   * Default `all`.
   */
  readonly bitfitBiases?: typeof biasSets[number] | undefined;
}

const declarations = {
  bitfitBiases: oneOf(biasSets, "which").describe("biases that BitFit trains (default: all)"),
};

export const bitfit = {
  name: "bitfit",
  summary: "biases train (Ben Zaken et al. 2022)",
  options: declarations,
  defaults: { bitfitBiases: "all" },
  saves: "adapter",
  apply({ layers, others }: OpenParts, { bitfitBiases }: BitfitOptions): readonly Insertion[] {
    if (layers.length === 0) throw new OptionError("BitFit has no bias to train: every layer is frozen, freeze fewer");
    const biases = bitfitBiases === "all" ? [...others, ...layers].flatMap(biasesOf) : layers.flatMap(someOf);
    for (const bias of biases) requiresGrad_(bias).dispose();
    return [];
  },
} as const satisfies WeightMethod<BitfitOptions>;

function biasesOf(part: TransformerLayer | OpenParts["others"][number]): Tensor[] {
  return [...namedParameters(part)].filter(([key]) => /(^|\.)bias$/.test(key)).map(([, tensor]) => tensor);
}

function someOf({ linears }: TransformerLayer): Tensor[] {
  return [linears.query.bias, linears.intermediate.bias];
}
