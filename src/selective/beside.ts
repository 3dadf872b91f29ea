// A network beside the backbone at work: the backbone runs as in inference, and is read where the two meet.

import type { Backbone } from "../models/contract.ts";
import type { Junction, SideNetwork } from "../models/side_network.ts";
import { sharingCasts } from "../nn/casts.ts";
import { type DType, noGrad, scope, type Tensor, to } from "../torch/mod.ts";
import { type DropoutRandom, type HiddenStates, stopGradients } from "./attend.ts";
import type { PackedBatch } from "./batch.ts";
import { disposeStates, runLayer } from "./run_layer.ts";

/** The parts of a packed batch. */
export type Part = "selected" | "rest";

/** How a frozen backbone runs. */
export interface FrozenOptions {
  /** Of the hidden states. Default: that of the weights. */
  readonly dtype?: DType;
  /** Told after each piece of a layer's work. */
  readonly onWork?: (layer: number) => void;
}

/** A backbone of which nothing trains, without gradients and without dropout; of its states one exists at a time. */
export class FrozenBackbone {
  readonly #backbone: Backbone;
  readonly #batch: PackedBatch;
  readonly #options: FrozenOptions;
  /** Whether its last layer is run for the rest too: where a side network's layer reads it. */
  readonly #givesLastRest: boolean;
  #states: HiddenStates | null = null;
  #done = 0;

  constructor(backbone: Backbone, side: SideNetwork, batch: PackedBatch, options: FrozenOptions = {}) {
    const last = backbone.layers.length - 1;
    this.#backbone = backbone;
    this.#batch = batch;
    this.#options = options;
    this.#givesLastRest = side.stages.some(({ junction, place }) => junction !== null && place === last);
  }

  /** The embeddings of a part's rows, which are the caller's. */
  embed(part: Part): Tensor {
    return noGrad(() =>
      scope(() => {
        const embedded = this.#backbone.embed(this.#batch[part], null);
        return to(embedded, { dtype: this.#options.dtype ?? embedded.dtype });
      })
    );
  }

  /** The states after so many layers, at least as many as before. It frees those before, and with the next call these. */
  after(count: number): HiddenStates {
    let states = this.#states ?? this.#embedAll();
    for (; this.#done < count; this.#done++) {
      const next = this.#runLayer(this.#done, states);
      disposeStates(states);
      states = next;
    }
    this.#states = states;
    return states;
  }

  /** Frees the states. */
  free(): void {
    if (this.#states) disposeStates(this.#states);
  }

  #embedAll(): HiddenStates {
    return { selected: this.embed("selected"), rest: this.#batch.layout.restRows > 0 ? this.embed("rest") : null };
  }

  #runLayer(index: number, states: HiddenStates): HiddenStates {
    const { layers } = this.#backbone;
    const layer = layers[index];
    if (layer === undefined) return states;
    const onWork = (): void => this.#options.onWork?.(index);
    const run = { model: this.#backbone, layer, batch: this.#batch, random: null, onWork };
    const givesRest = index < layers.length - 1 || this.#givesLastRest;
    return noGrad(() => sharingCasts(() => runLayer(run, states, givesRest)));
  }
}

/** What the first stage begins from, at a part's rows. */
export function startOf({ start }: SideNetwork, frozen: FrozenBackbone, part: Part): Tensor {
  return scope(() => {
    const embedded = frozen.embed(part);
    return start?.forward(embedded) ?? embedded;
  });
}

/** Rows of the side network and of the backbone joined: those of the rest without gradients. */
export function join(junction: Junction, side: HiddenStates, state: HiddenStates): HiddenStates {
  return scope(() => ({
    selected: junction.forward(side.selected, state.selected),
    rest: noGrad(() => joinRest(junction, side.rest, state.rest)),
  }));
}

function joinRest(junction: Junction, side: Tensor | null, state: Tensor | null): Tensor | null {
  return side === null || state === null ? null : junction.forward(side, state);
}

/** The states that the head reads, in one graph where gradients are on. */
export function encodeBeside(
  backbone: Backbone,
  side: SideNetwork,
  batch: PackedBatch,
  random: DropoutRandom | null,
): HiddenStates {
  return scope(() => {
    const frozen = new FrozenBackbone(backbone, side, batch);
    const rest = batch.layout.restRows > 0 ? noGrad(() => startOf(side, frozen, "rest")) : null;
    let hidden: HiddenStates = { selected: startOf(side, frozen, "selected"), rest };
    const goOn = (next: HiddenStates): void => {
      disposeStates(hidden);
      hidden = next;
    };
    for (const { layer, junction, place } of side.stages) {
      if (junction) goOn(join(junction, hidden, frozen.after(place + 1)));
      stopGradients(batch, hidden.selected);
      goOn(runLayer({ model: backbone, layer, batch, random }, hidden, layer !== side.stages.at(-1)?.layer));
    }
    const { selected } = frozen.after(backbone.layers.length);
    return { selected: side.end.forward(hidden.selected, selected), rest: null };
  });
}
