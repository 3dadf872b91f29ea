// A bottleneck where half of a layer ends: down to a few features, an activation, up again, and added to what went in.

import { OptionError } from "../errors.ts";
import type { Insertion } from "../models/adaptation.ts";
import type { Backbone, TransformerLayer } from "../models/contract.ts";
import type { Activation } from "../nn/activation.ts";
import { LayerNorm } from "../nn/layer_norm.ts";
import { type Module, namedModules, setTrained } from "../nn/module.ts";
import type { EndAdapter, SublayerEnd } from "../nn/sublayer_end.ts";
import { add, add_, scope, type Tensor } from "../torch/mod.ts";

/** One of its two linear maps, of rows `[N, inFeatures]` to `[N, outFeatures]`. */
export interface BottleneckMap extends Module {
  readonly inFeatures: number;
  readonly outFeatures: number;
  forward(input: Tensor): Tensor;
  /** The map of `activation(input)`. */
  forwardActivated(input: Tensor, activation: Activation): Tensor;
}

/** What a {@linkcode Bottleneck} is made of. */
export interface BottleneckParts {
  /** hiddenSize to the bottleneck's width. */
  readonly down: BottleneckMap;
  readonly activation: Activation;
  /** And back. */
  readonly up: BottleneckMap;
  /** Whether it reads what the norm makes of the sum with the residual, and not the rows alone. */
  readonly readsNormalised: boolean;
}

/**
 * h becomes h + up(f(down(h))) before the residual x is added and LayerNorm follows (Houlsby et al. 2019, section 2.1),
 * or h + up(f(down(LayerNorm(h + x)))) (Pfeiffer et al. 2020, equation 1). Where no norm follows, that reads h + x.
 */
export class Bottleneck implements EndAdapter {
  readonly children: Readonly<Record<string, Module>>;
  readonly #parts: BottleneckParts;

  constructor(parts: BottleneckParts) {
    this.#parts = parts;
    this.children = { down: parts.down, up: parts.up };
  }

  /** What down and up read, and the norm. */
  get keptElements(): number {
    const { down, readsNormalised } = this.#parts;
    return down.inFeatures * (readsNormalised ? 2 : 1) + down.outFeatures;
  }

  forward(rows: Tensor, residual: Tensor, norm: LayerNorm | null): Tensor {
    const { down, activation, up, readsNormalised } = this.#parts;
    return scope(() => {
      const read = readsNormalised ? normalised(add(rows, residual), norm) : rows;
      return add_(up.forwardActivated(down.forward(read), activation), rows);
    });
  }
}

function normalised(sum: Tensor, norm: LayerNorm | null): Tensor {
  return norm?.forward(sum) ?? sum;
}

/** Puts a bottleneck at the end of half a layer. No weights compute what it does. */
export function insertBottleneck(end: SublayerEnd, bottleneck: Bottleneck): Insertion {
  end.adapt(bottleneck);
  return {
    module: bottleneck,
    detach: () => end.adapt(null),
    attach: () => end.adapt(bottleneck),
    merging: null,
  };
}

/** Has the norms of a layer train: those around its two halves. */
export function trainNorms(layer: TransformerLayer): void {
  for (const part of namedModules(layer).values()) if (part instanceof LayerNorm) setTrained(part, true);
}

/**
 * Refuses a bottleneck for which there is no room.
 *
 * @param option names the bottleneck's width in the error
 * @throws {OptionError} when it is wider than the hidden states, or every layer is frozen
 */
export function requireRoom(
  { hiddenSize }: Backbone,
  layers: readonly TransformerLayer[],
  option: string,
  width: number,
): void {
  if (layers.length === 0) {
    throw new OptionError("there is no layer for a bottleneck to go into: every layer is frozen, freeze fewer");
  }
  if (width > hiddenSize) {
    throw new OptionError(
      `${option} is ${width}, but the hidden states are ${hiddenSize} wide: it can be at most that`,
    );
  }
}
