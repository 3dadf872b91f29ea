// What a training step goes through, forward and back: the backbone's layers, or those of a network beside it.

import type { SequenceClassifier, TransformerLayer } from "../models/contract.ts";
import { partsOfStage, type SideNetwork } from "../models/side_network.ts";
import type { Module } from "../nn/module.ts";
import { backward, detach, type DType, scope, type Tensor, to, withGrad } from "../torch/mod.ts";
import type { HiddenStates } from "./attend.ts";
import type { PackedBatch } from "./batch.ts";
import { FrozenBackbone, join, type Part, startOf } from "./beside.ts";
import type { GradientOptions } from "./gradients.ts";
import { leaf, takeGradient } from "./leaf.ts";
import { disposeStates } from "./run_layer.ts";
import { lowestTrained } from "./step_shape.ts";

/** The layers of a step, and what lies between them. */
export interface Track {
  readonly layers: readonly TransformerLayer[];
  /** The lowest layer that is trained: -1 when what makes the first one's input is, their number when only the head is. */
  readonly lowest: number;
  /** What makes the first layer's input; null: nothing that trains. */
  readonly start: Module | null;
  /** The index of the backbone's layer that a layer is, or stands beside. */
  placeOf(index: number): number;
  /** What is complete when backward has left a layer, or what follows the last one. */
  partsAt(index: number): readonly Module[];
  /** The first layer's input at a part's rows. */
  embed(part: Part): Tensor;
  /** A layer's input, and after the last one what the head reads, from what is below, which it takes over. */
  enter(index: number, below: HiddenStates): HiddenStates;
  /** The gradient at what is below from that at the input, which it takes over. */
  leave(index: number, gradient: Tensor): Tensor | null;
}

/** The track of a model's step. */
export function trackOf(model: SequenceClassifier, batch: PackedBatch, options: GradientOptions): Track {
  const { network } = model.backbone.side;
  return network === null ? alongBackbone(model, batch, options) : new SideTrack(model, network, batch, options);
}

function alongBackbone({ backbone }: SequenceClassifier, batch: PackedBatch, options: GradientOptions): Track {
  const { layers, embeddings } = backbone;
  return {
    layers,
    lowest: lowestTrained(backbone),
    start: embeddings,
    placeOf: (index) => index,
    partsAt: (index) => layers.slice(index, index + 1),
    embed: (part) =>
      scope(() => {
        const embedded = backbone.embed(batch[part], options.random?.[part] ?? null);
        return to(embedded, { dtype: hiddenType(embedded.dtype, options) });
      }),
    enter: (_, below) => below,
    leave: (_, gradient) => gradient,
  };
}

function hiddenType(dtype: DType, { precision }: GradientOptions): DType {
  return precision === "bf16" ? "bfloat16" : dtype;
}

// Where the two meet in a step: a leaf below, and what was made of it and of the backbone's state.
interface Meeting {
  readonly below: Tensor;
  readonly joined: Tensor;
}

class SideTrack implements Track {
  readonly layers: readonly TransformerLayer[];
  readonly lowest: number;
  readonly start: Module | null;
  readonly #side: SideNetwork;
  readonly #frozen: FrozenBackbone;
  readonly #backboneLayers: number;
  readonly #meetings = new Map<number, Meeting>();

  constructor({ backbone }: SequenceClassifier, side: SideNetwork, batch: PackedBatch, options: GradientOptions) {
    this.layers = side.stages.map(({ layer }) => layer);
    this.lowest = side.start === null ? 0 : -1;
    this.start = side.start;
    this.#side = side;
    this.#backboneLayers = backbone.layers.length;
    this.#frozen = new FrozenBackbone(backbone, side, batch, {
      dtype: hiddenType(backbone.dtype, options),
      onWork: (layer) => options.onWork?.({ kind: "restForward", layer }),
    });
  }

  placeOf(index: number): number {
    return this.#side.stages[index]?.place ?? this.#backboneLayers;
  }

  partsAt(index: number): readonly Module[] {
    const stage = this.#side.stages[index];
    return stage ? partsOfStage(stage) : [this.#side.end];
  }

  embed(part: Part): Tensor {
    return startOf(this.#side, this.#frozen, part);
  }

  enter(index: number, below: HiddenStates): HiddenStates {
    const stage = this.#side.stages[index];
    if (stage) return stage.junction ? this.#meet(index, below, this.#frozen.after(stage.place + 1)) : below;
    const last = this.#meet(index, below, this.#frozen.after(this.#backboneLayers));
    this.#frozen.free();
    return last;
  }

  leave(index: number, gradient: Tensor): Tensor | null {
    const meeting = this.#meetings.get(index);
    if (meeting === undefined) return gradient;
    this.#meetings.delete(index);
    return scope(() => {
      backward(meeting.joined, { gradient });
      gradient.dispose();
      meeting.joined.dispose();
      return takeGradient(meeting.below);
    });
  }

  #meet(index: number, below: HiddenStates, state: HiddenStates): HiddenStates {
    const junction = this.#side.stages[index]?.junction ?? this.#side.end;
    const selected = leaf(below.selected);
    const joined = withGrad(() => join(junction, { selected, rest: below.rest }, state));
    disposeStates(below);
    this.#meetings.set(index, { below: selected, joined: joined.selected });
    return { selected: detach(joined.selected), rest: joined.rest };
  }
}
