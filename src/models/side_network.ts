// What can stand beside a backbone: a network of its own layers, which trains while the backbone stays as it is.

import type { Module } from "../nn/module.ts";
import type { Tensor } from "../torch/mod.ts";
import type { RowModule, TransformerLayer } from "./contract.ts";

/**
 * A network beside a backbone. What it reads of the backbone is constant: backward goes through its own layers alone, and
 * the head reads what it gives.
 */
export interface SideNetwork extends Module {
  /** Makes what the first stage begins from of the embeddings, row by row; null: these are it. */
  readonly start: RowModule | null;
  /** In their order; there is at least one. */
  readonly stages: readonly SideStage[];
  /** Makes, of what the last stage gives and of the backbone's last state, what the head reads: `[N, hiddenSize]`. */
  readonly end: Junction;
}

/** A layer of a side network. */
export interface SideStage {
  /** It has as many heads as the backbone's layers. */
  readonly layer: TransformerLayer;
  /** The index of the backbone's layer beside which it stands. */
  readonly place: number;
  /** Makes the layer's input of what is below and of what the backbone's layer gives; null: what is below is it. */
  readonly junction: Junction | null;
}

/** Where a side network meets the backbone. */
export interface Junction extends Module {
  /**
   * Rows of both, joined one by one.
   *
   * @param side `[N, w]` of the side network
   * @param state `[N, hiddenSize]` of the backbone: a constant
   */
  forward(side: Tensor, state: Tensor): Tensor;
}

/** The place beside a backbone. Its key in the state dict is where a side network's parameters lie. */
export class SidePlace implements Module {
  #network: SideNetwork | null = null;

  get network(): SideNetwork | null {
    return this.#network;
  }

  get children(): Readonly<Record<string, Module>> {
    return this.#network?.children ?? {};
  }

  /** Puts a network there, or with null takes it away; who takes it away disposes it. */
  put(network: SideNetwork | null): void {
    this.#network = network;
  }
}

/** What of a side network is trained together: what stands at each stage, and before the first and after the last. */
export function partsOfSide({ start, stages, end }: SideNetwork): Module[] {
  return [...(start ? [start] : []), ...stages.flatMap(partsOfStage), end];
}

/** The layer, and what its input goes through. */
export function partsOfStage({ layer, junction }: SideStage): Module[] {
  return junction === null ? [layer] : [layer, junction];
}
