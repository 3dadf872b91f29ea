// Adapters: bottlenecks between the parts of frozen layers train (Houlsby et al. 2019), in Pfeiffer's placement too.

import { OptionError } from "../errors.ts";
import type { Insertion } from "../models/adaptation.ts";
import type { TransformerLayer } from "../models/contract.ts";
import { activation } from "../nn/activation.ts";
import { Linear } from "../nn/linear.ts";
import type { ParameterOptions } from "../nn/module.ts";
import { truncatedNormal_ } from "../nn/truncated_normal.ts";
import { oneOf, wholeNumber } from "../options/values.ts";
import { type Generator, noGrad, zero_ } from "../torch/mod.ts";
import { Bottleneck, insertBottleneck, requireRoom, trainNorms } from "./bottleneck.ts";
import type { OpenParts, WeightMethod } from "./contract.ts";

/** Where adapters are. */
export const adapterPlacements = ["houlsby", "pfeiffer"] as const;

/** What can stand between an adapter's two maps. */
export const adapterActivations = ["gelu", "relu"] as const;

/** What adapters are told. */
export interface AdapterOptions {
  /** The width of the bottleneck. Default 64. */
  readonly adapterSize?: number | undefined;
  /**
   * Where adapters are, and what trains beside them and the head. Default `houlsby`.
   *
   * - `houlsby` (Houlsby et al. 2019, figure 2): where attention and where the feed-forward end, after dropout and before
   *   the residual x is added: h + up(f(down(h))). The norms of the layers that have adapters train too; that of the
   *   embeddings and one after the last layer stay as they are.
   * - `pfeiffer` (MAD-X, Pfeiffer et al. 2020, equation 1): where the feed-forward ends alone. The adapter reads what the
   *   layer's last norm gives without it, and is added to what the feed-forward gave; the same norm follows:
   *   LayerNorm(h + up(f(down(LayerNorm(h + x)))) + x). In a layer whose norms come first no norm follows, and the
   *   adapter reads h + x. Norms stay as they are.
   */
  readonly adapterPlacement?: typeof adapterPlacements[number] | undefined;
  /** f: `gelu`, as Houlsby et al. have it, or `relu`, as Pfeiffer et al. Default `gelu`. */
  readonly adapterActivation?: typeof adapterActivations[number] | undefined;
  /**
   * AdapterDrop (Rücklé et al. 2021), for a fixed n: so many of the lowest layers have no adapter and train nothing, in
   * training as after it, so that backward stops above them. Default 0.
   */
  readonly adapterDrop?: number | undefined;
}

const declarations = {
  adapterSize: wholeNumber({ least: 1 }, "width").describe("width of adapters' bottleneck (default: 64)"),
  adapterPlacement: oneOf(adapterPlacements, "which").describe("where adapters are (default: houlsby)"),
  adapterActivation: oneOf(adapterActivations, "which").describe("between an adapter's two maps (default: gelu)"),
  adapterDrop: wholeNumber({ least: 0 }).describe("lowest layers that have no adapter (default: 0)"),
};

const defaults = {
  adapterSize: 64,
  adapterPlacement: "houlsby",
  adapterActivation: "gelu",
  adapterDrop: 0,
} as const;

// Of the first weights (Houlsby et al. 2019, section 3.6): nearly 0, so that an adapter begins as nearly nothing.
const initialDeviation = 1e-2;

export const adapters = {
  name: "adapters",
  summary: "bottlenecks between the parts of frozen layers (Houlsby et al. 2019); Pfeiffer's placement, AdapterDrop",
  options: declarations,
  defaults,
  saves: "adapter",
  apply({ backbone, layers }: OpenParts, options: AdapterOptions, random: Generator): readonly Insertion[] {
    const { adapterSize = defaults.adapterSize, adapterPlacement = defaults.adapterPlacement } = options;
    const { adapterActivation = defaults.adapterActivation, adapterDrop = defaults.adapterDrop } = options;
    requireRoom(backbone, layers, "adapterSize", adapterSize);
    requireLayerAbove(adapterDrop, backbone.layers.length);
    const above = new Set(backbone.layers.slice(adapterDrop));
    const { hiddenSize, device, dtype } = backbone;
    const isAfterBoth = adapterPlacement === "houlsby";
    const make = (): Bottleneck =>
      new Bottleneck({
        down: initialMap([hiddenSize, adapterSize], { device, dtype }, random),
        activation: activation(adapterActivation),
        up: initialMap([adapterSize, hiddenSize], { device, dtype }, random),
        readsNormalised: !isAfterBoth,
      });
    return layers.filter((layer) => above.has(layer)).flatMap((layer) => {
      if (isAfterBoth) trainNorms(layer);
      return endsOf(layer, isAfterBoth).map((end) => insertBottleneck(end, make()));
    });
  },
} as const satisfies WeightMethod<AdapterOptions>;

function requireLayerAbove(adapterDrop: number, layers: number): void {
  if (adapterDrop < layers) return;
  throw new OptionError(
    `adapterDrop is ${adapterDrop}, but this model has ${layers} layers, of which at least one has to have adapters`,
  );
}

function endsOf({ ends }: TransformerLayer, isAfterBoth: boolean): TransformerLayer["ends"]["attention"][] {
  return isAfterBoth ? [ends.attention, ends.feedForward] : [ends.feedForward];
}

function initialMap(
  [inFeatures, outFeatures]: readonly [number, number],
  options: ParameterOptions,
  random: Generator,
): Linear {
  const made = new Linear(inFeatures, outFeatures, options);
  truncatedNormal_(made.weight, initialDeviation, random);
  noGrad(() => zero_(made.bias).dispose());
  return made;
}
