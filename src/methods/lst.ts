// Ladder side-tuning (Sung et al. 2022): a narrow network beside the frozen backbone reads what its layers give.

import { OptionError } from "../errors.ts";
import type { Insertion } from "../models/adaptation.ts";
import type { Backbone } from "../models/contract.ts";
import type { Junction, SideNetwork, SideStage } from "../models/side_network.ts";
import { Gate } from "../nn/gate.ts";
import { Linear } from "../nn/linear.ts";
import { initializeParameters, type Module } from "../nn/module.ts";
import { oneOf, wholeNumber } from "../options/values.ts";
import { type Generator, noGrad, scope, type Tensor, uniform_ } from "../torch/mod.ts";
import { nothingElse, placeBeside } from "./beside.ts";
import type { OpenParts, WeightMethod } from "./contract.ts";
import { pruneInto, rowsByMagnitude } from "./pruning.ts";

/** What the side network's layers begin from. */
export const lstInits = ["pruning", "random"] as const;

/** What ladder side-tuning is told. */
export interface LstOptions {
  /** r: the side network is so many times narrower than the backbone. Default 8. */
  readonly lstReduction?: number | undefined;
  /** How many layers of the side network are kept, evenly, the last one among them. Default: as many as the backbone has. */
  readonly lstLayers?: number | undefined;
  /**
   * `pruning`: of the backbone's weights the rows of the largest magnitude (section 3.3; the paper's other measure, Fisher
   * information, would need data). `random`: as BERT starts its own. The maps between the two are random in both. Default
   * `pruning`.
   */
  readonly lstInit?: typeof lstInits[number] | undefined;
}

const defaults = { lstReduction: 8, lstInit: "pruning" } as const;

export const lst = {
  name: "lst",
  summary: "a narrow network beside the frozen backbone, which reads its layers (Sung et al. 2022)",
  options: {
    lstReduction: wholeNumber({ least: 1 }, "r").describe(
      "LST's network is r times narrower than the model (default: 8)",
    ),
    lstLayers: wholeNumber({ least: 1 }).describe("layers that LST's network has (default: as many as the model)"),
    lstInit: oneOf(lstInits, "way").describe("what LST's layers begin from (default: pruning)"),
  },
  defaults,
  saves: "adapter",
  standsAlone: nothingElse,
  apply({ backbone }: OpenParts, options: LstOptions, random: Generator): readonly Insertion[] {
    const { lstReduction = defaults.lstReduction, lstInit } = options;
    const places = evenPlaces(options.lstLayers, backbone);
    requireWidth(backbone, lstReduction);
    const ladder = new Ladder(backbone, lstReduction, places);
    ladder.initialize(random);
    // An outline of a model has no weights to prune.
    const isRandom = lstInit === "random" || backbone.device === "meta";
    if (isRandom) initializeParameters({ children: ladder.layersByIndex }, random, standardDeviation);
    else prune(backbone, ladder, lstReduction);
    return [placeBeside(backbone, ladder)];
  },
} as const satisfies WeightMethod<LstOptions>;

// Of BERT's random weights.
const standardDeviation = 0.02;

// The paper's, section 3.2.
const temperature = 0.1;

/** A rung of the ladder: mu side + (1 - mu) down(state), mu = sigmoid(alpha / 0.1). */
class Rung implements Junction {
  readonly children: Readonly<Record<string, Module>>;
  readonly #down: Linear;
  readonly #gate: Gate;

  constructor({ hiddenSize, dtype, device }: Backbone, reduction: number) {
    this.#down = new Linear(hiddenSize, hiddenSize / reduction, { dtype, device });
    this.#gate = new Gate(temperature, { dtype, device });
    this.children = { down: this.#down, gate: this.#gate };
  }

  forward(side: Tensor, state: Tensor): Tensor {
    return scope(() => this.#gate.mix(side, this.#down.forward(state)));
  }

  initialize(random: Generator): void {
    initializeMap(this.#down, random);
    this.#gate.initialize();
  }
}

/**
 * The side network: the embeddings projected down, layers that each read a rung, and a projection up, which takes the
 * place of the backbone's last state; of that nothing is added.
 */
class Ladder implements SideNetwork {
  readonly start: Linear;
  readonly stages: readonly SideStage[];
  readonly end: Junction;
  readonly children: Readonly<Record<string, Module>>;
  readonly #rungs: readonly Rung[];
  readonly #up: Linear;

  constructor(backbone: Backbone, reduction: number, places: readonly number[]) {
    const { hiddenSize, dtype, device } = backbone;
    const width = hiddenSize / reduction;
    const up = new Linear(width, hiddenSize, { dtype, device });
    this.start = new Linear(hiddenSize, width, { dtype, device });
    this.#rungs = places.map(() => new Rung(backbone, reduction));
    this.stages = places.map((place, index) => ({
      ...{ layer: backbone.createLayer(reduction), place, junction: this.#rungs[index] ?? null },
    }));
    this.end = { children: { up }, forward: (side) => up.forward(side) };
    this.#up = up;
    this.children = {
      down: this.start,
      layer: { children: this.layersByIndex },
      ladder: { children: Object.fromEntries(this.#rungs.entries()) },
      up,
    };
  }

  get layersByIndex(): Readonly<Record<string, Module>> {
    return Object.fromEntries(this.stages.map(({ layer }, index) => [index, layer]));
  }

  /** All but the layers. */
  initialize(random: Generator): void {
    for (const map of [this.start, this.#up]) initializeMap(map, random);
    for (const rung of this.#rungs) rung.initialize(random);
  }
}

// As PyTorch starts a linear map.
function initializeMap({ weight, bias, inFeatures }: Linear, random: Generator): void {
  const most = 1 / Math.sqrt(inFeatures);
  noGrad(() => scope(() => [weight, bias].forEach((each) => uniform_(each, -most, most, { generator: random }))));
}

function prune(backbone: Backbone, { stages }: Ladder, reduction: number): void {
  const rows = rowsByMagnitude(backbone, reduction);
  for (const { layer, place } of stages) {
    const [from, kept] = [backbone.layers[place], rows[place]];
    if (from && kept) pruneInto(layer, from, kept);
  }
}

// The backbone's layers beside which so many stand, the last one among them.
function evenPlaces(count: number | undefined, { layers: { length } }: Backbone): number[] {
  if (count !== undefined && count > length) {
    throw new OptionError(`lstLayers is ${count}, but this model has ${length} layers: it can be at most ${length}`);
  }
  return Array.from(
    { length: count ?? length },
    (_, index) => Math.floor((index + 1) * length / (count ?? length)) - 1,
  );
}

// Every head has to keep a whole number of its features.
function requireWidth({ hiddenSize, numAttentionHeads, intermediateSize }: Backbone, reduction: number): void {
  const perHead = hiddenSize / numAttentionHeads;
  const fits = (each: number): boolean => perHead % each === 0 && intermediateSize % each === 0;
  if (fits(reduction)) return;
  const fitting = Array.from({ length: perHead }, (_, index) => index + 1).filter(fits);
  throw new OptionError(
    `lstReduction is ${reduction}, but each of the ${numAttentionHeads} heads is ${perHead} wide and the feed-forward ` +
      `${intermediateSize}: it can be ${fitting.join(", ")}`,
  );
}
