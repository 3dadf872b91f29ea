// The network that computes prefixes (Li and Liang 2021, section 4.3): it trains in their place.

import type { Insertion } from "../models/adaptation.ts";
import { Linear } from "../nn/linear.ts";
import { type Module, parameter, type ParameterOptions } from "../nn/module.ts";
import type { PrefixRows } from "../nn/prefix_slot.ts";
import {
  backward,
  cat,
  type Generator,
  noGrad,
  normal_,
  scope,
  tanh,
  type Tensor,
  uniform_,
  withGrad,
  zerosLike,
} from "../torch/mod.ts";
import { splitInto } from "./side_by_side.ts";

/** The sizes of the network. */
export interface EncoderShape {
  /** P. */
  readonly length: number;
  /** Of the embedding, and of each key and value. */
  readonly size: number;
  /** Between the two maps. */
  readonly innerSize: number;
  /** How many layers have a prefix. */
  readonly layers: number;
}

/** An embedding `[P, size]`, a linear map, tanh, and a linear map; PEFT's `PrefixEncoder` with its projection. */
export class PrefixEncoder implements Module {
  readonly children: Readonly<Record<string, Module>>;
  readonly #embedding: Tensor;
  readonly #maps: readonly [Linear, Linear];

  /** Uninitialised. */
  constructor({ length, size, innerSize, layers }: EncoderShape, options: ParameterOptions) {
    this.#embedding = parameter([length, size], options);
    this.#maps = [new Linear(size, innerSize, options), new Linear(innerSize, 2 * layers * size, options)];
    const [inner, output] = this.#maps;
    this.children = {
      embedding: { parameters: { weight: this.#embedding } },
      transform: { children: { 0: inner, 2: output } },
    };
  }

  /** `[P, 2 layers size]`: of each layer the keys, then the values. */
  forward(): Tensor {
    const [inner, output] = this.#maps;
    return scope(() => output.forward(tanh(inner.forward(this.#embedding))));
  }

  /** PEFT's first values: the embedding is normal, and the maps are uniform up to 1 / sqrt(inFeatures). */
  initialize(random: Generator): void {
    noGrad(() =>
      scope(() => {
        normal_(this.#embedding, 0, 1, { generator: random });
        for (const { weight, bias, inFeatures } of this.#maps) {
          for (const each of [weight, bias]) {
            uniform_(each, -(inFeatures ** -0.5), inFeatures ** -0.5, { generator: random });
          }
        }
      })
    );
  }
}

/** Lets the encoder compute the prefixes of layers, which are in the model, in their order. */
export function deriveRows(encoder: PrefixEncoder, rows: readonly PrefixRows[]): Insertion {
  const derived = rows.flatMap(({ key, value }) => [key, value]);
  return {
    module: { children: { prefix_encoder: encoder } },
    // The prefixes are taken out and put in by themselves.
    ...{ detach: () => {}, attach: () => {}, merging: null },
    derivation: {
      derived,
      refresh: () => noGrad(() => scope(() => splitInto(derived, encoder.forward()))),
      backward: () => withGrad(() => scope(() => gatherGradients(encoder, derived))),
    },
  };
}

function gatherGradients(encoder: PrefixEncoder, derived: readonly Tensor[]): void {
  const gradient = cat(derived.map((each) => each.grad ?? zerosLike(each)), 1);
  backward(encoder.forward(), { gradient });
  for (const each of derived) each.grad = null;
}
