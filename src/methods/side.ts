// Side-tuning (Zhang et al. 2020): a smaller network beside the frozen backbone, whose output is mixed with its own.

import { OptionError } from "../errors.ts";
import type { Insertion } from "../models/adaptation.ts";
import type { Backbone, TransformerLayer } from "../models/contract.ts";
import type { Junction, SideNetwork, SideStage } from "../models/side_network.ts";
import { Gate } from "../nn/gate.ts";
import { type Module, namedParameters } from "../nn/module.ts";
import { wholeNumber } from "../options/values.ts";
import { copy_, noGrad, scope } from "../torch/mod.ts";
import { nothingElse, placeBeside } from "./beside.ts";
import type { OpenParts, WeightMethod } from "./contract.ts";

/** What side-tuning is told. */
export interface SideOptions {
  /** The side network's layers, which begin as copies of the backbone's lowest. Default: a quarter of them. */
  readonly sideLayers?: number | undefined;
}

export const side = {
  name: "side",
  summary: "a smaller network beside the frozen backbone, mixed with it (Zhang et al. 2020)",
  options: {
    sideLayers: wholeNumber({ least: 1 }).describe(
      "layers of the network beside the model (default: a quarter of its)",
    ),
  },
  defaults: {},
  saves: "adapter",
  standsAlone: nothingElse,
  apply({ backbone }: OpenParts, { sideLayers }: SideOptions): readonly Insertion[] {
    const { layers } = backbone;
    const count = sideLayers ?? Math.ceil(layers.length / 4);
    if (count > layers.length) {
      throw new OptionError(
        `sideLayers is ${count}, but this model has ${layers.length} layers: it can be at most ${layers.length}`,
      );
    }
    return [placeBeside(backbone, new LowestLayers(backbone, count))];
  },
} as const satisfies WeightMethod<SideOptions>;

/**
 * S of alpha B(x) + (1 - alpha) S(x): copies of the lowest layers, which read the backbone's embeddings. B(x) and S(x)
 * are what the layers give; a final norm, where there is one, follows their sum.
 */
class LowestLayers implements SideNetwork {
  readonly start = null;
  readonly stages: readonly SideStage[];
  readonly end: Junction;
  readonly children: Readonly<Record<string, Module>>;

  constructor(backbone: Backbone, count: number) {
    const { dtype, device } = backbone;
    const gate = new Gate(1, { dtype, device });
    gate.initialize();
    const layers = backbone.layers.slice(0, count).map((layer) => copyOf(layer, backbone));
    this.stages = layers.map((layer, place) => ({ layer, place, junction: null }));
    this.end = { children: { gate }, forward: (side, state) => gate.mix(state, side) };
    this.children = { layer: { children: Object.fromEntries(layers.entries()) }, gate };
  }
}

function copyOf(layer: TransformerLayer, backbone: Backbone): TransformerLayer {
  const copy = backbone.createLayer(1);
  const sources = namedParameters(layer);
  noGrad(() =>
    scope(() => {
      for (const [key, to] of namedParameters(copy)) {
        const from = sources.get(key);
        if (from) copy_(to, from);
      }
    })
  );
  return copy;
}
