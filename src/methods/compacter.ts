// Compacter (Mahabadi et al. 2021): adapters whose maps are sums of Kronecker products, with factors that all share.

import { OptionError } from "../errors.ts";
import type { Insertion } from "../models/adaptation.ts";
import { activation } from "../nn/activation.ts";
import { type Module, parameter } from "../nn/module.ts";
import { wholeNumber } from "../options/values.ts";
import { type Generator, noGrad, normal_, type Tensor } from "../torch/mod.ts";
import { Bottleneck, insertBottleneck, requireRoom, trainNorms } from "./bottleneck.ts";
import type { OpenParts, WeightMethod } from "./contract.ts";
import { KroneckerMap } from "./kronecker_map.ts";

/** What Compacter is told. */
export interface CompacterOptions {
  /** The width of the bottleneck, a multiple of n. Default 24, the paper's for hidden states of 768. */
  readonly compacterSize?: number | undefined;
  /** n: each map is a sum of n products whose first factors are n by n. It divides the hidden states' width. Default 4. */
  readonly compacterN?: number | undefined;
  /** The rank of the products' second factors. Default 1. */
  readonly compacterRank?: number | undefined;
}

const declarations = {
  compacterSize: wholeNumber({ least: 1 }, "width").describe("width of Compacter's bottleneck (default: 24)"),
  compacterN: wholeNumber({ least: 1 }).describe("Compacter's maps are sums of so many products (default: 4)"),
  compacterRank: wholeNumber({ least: 1 }, "rank").describe("of the second factors of those products (default: 1)"),
};

const defaults = { compacterSize: 24, compacterN: 4, compacterRank: 1 } as const;

// Of the shared factors' first values, as in the authors' published runs: a bottleneck begins as nearly nothing.
const initialDeviation = 1e-4;

/**
 * Bottlenecks where {@linkcode adapters} of Houlsby's placement are, with GELU; the norms of their layers train too
 * (Mahabadi et al. 2021, figure 2).
 */
export const compacter = {
  name: "compacter",
  summary: "adapters that are sums of Kronecker products (Mahabadi et al. 2021)",
  options: declarations,
  defaults,
  saves: "adapter",
  excludes: { adapters: "both go where the halves of a layer end, and there is room for one" },
  apply({ backbone, layers }: OpenParts, options: CompacterOptions, random: Generator): readonly Insertion[] {
    const { compacterSize: size = defaults.compacterSize, compacterN: n = defaults.compacterN } = options;
    const { compacterRank: rank = defaults.compacterRank } = options;
    const { hiddenSize, device, dtype } = backbone;
    requireRoom(backbone, layers, "compacterSize", size);
    requireDivisor(n, { compacterSize: size, "the hidden states' width": hiddenSize });
    const slow = parameter([n, n, n], { device, dtype });
    noGrad(() => normal_(slow, 0, initialDeviation, { generator: random }).dispose());
    const map = (inFeatures: number, outFeatures: number): KroneckerMap => {
      const made = new KroneckerMap(slow, { inFeatures, outFeatures, rank }, { device, dtype });
      made.initialize(random);
      return made;
    };
    const make = (): Bottleneck =>
      new Bottleneck({
        down: map(hiddenSize, size),
        activation: activation("gelu"),
        up: map(size, hiddenSize),
        readsNormalised: false,
      });
    const inserted = layers.flatMap(({ ends }) =>
      [ends.attention, ends.feedForward].map((end) => insertBottleneck(end, make()))
    );
    layers.forEach(trainNorms);
    return [shared(slow), ...inserted];
  },
} as const satisfies WeightMethod<CompacterOptions>;

function requireDivisor(n: number, widths: Readonly<Record<string, number>>): void {
  for (const [name, width] of Object.entries(widths)) {
    if (width % n === 0) continue;
    throw new OptionError(`compacterN is ${n}, which does not divide ${name}, ${width}: it has to`);
  }
}

// The factors are in no part of the model: the bottlenecks, which read them, hold them.
function shared(slow: Tensor): Insertion {
  const module: Module = { children: { compacter: { parameters: { A: slow } } } };
  return { module, detach: () => {}, attach: () => {}, merging: null };
}
