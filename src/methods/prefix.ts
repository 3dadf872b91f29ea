// Prefixes: keys and values that train before those of every sequence, in every layer (Li and Liang 2021).

import { OptionError } from "../errors.ts";
import type { Insertion } from "../models/adaptation.ts";
import type { Backbone, TransformerLayer } from "../models/contract.ts";
import { requireRoom } from "../models/preceding.ts";
import { parameter } from "../nn/module.ts";
import type { PrefixRows } from "../nn/prefix_slot.ts";
import { trueOrFalse, wholeNumber } from "../options/values.ts";
import { type Generator, noGrad, normal_, type Tensor } from "../torch/mod.ts";
import type { OpenParts, WeightMethod } from "./contract.ts";
import { deriveRows, PrefixEncoder } from "./prefix_encoder.ts";

/** What prefixes are told. */
export interface PrefixOptions {
  /** P, the keys and values that stand before each sequence's own, in every layer. Default 20. */
  readonly prefixLength?: number | undefined;
  /**
   * Whether the prefixes are computed by a small network, which trains in their place: an embedding `[P, d]`, a linear
   * map, tanh, and a linear map to all layers' keys and values (Li and Liang 2021, section 4.3). Default false, as in
   * P-tuning v2 (Liu et al. 2022).
   */
  readonly prefixProjection?: boolean | undefined;
  /** The width of that network, between its two maps. Default: the model's hidden size. */
  readonly prefixHiddenSize?: number | undefined;
}

const declarations = {
  prefixLength: wholeNumber({ least: 1 }).describe("keys and values before each text's, in every layer (default: 20)"),
  prefixProjection: trueOrFalse().describe("a small network computes the prefixes, and trains in their place"),
  prefixHiddenSize: wholeNumber({ least: 1 }, "size").describe("its inner width (default: the model's hidden size)"),
};

const defaults = { prefixLength: 20, prefixProjection: false } as const;

/**
 * In every open layer P keys and values, `[P, hiddenSize]` each, stand before those of every sequence; all queries see
 * them, in a causal model too. They begin normal with deviation 1, or as what the network computes at its start, whose
 * embedding is normal and whose maps are uniform: as in PEFT.
 *
 * As in PEFT with transformers, whose BERT and OPT count the keys before a text as positions of it, the text's positions
 * begin at P, so that it can have P tokens fewer.
 */
export const prefix = {
  name: "prefix",
  summary: "keys and values before each text's, in every layer (Li and Liang 2021); P-tuning v2",
  options: declarations,
  defaults,
  saves: "adapter",
  check({ prefixProjection, prefixHiddenSize }: PrefixOptions): void {
    if (prefixProjection || prefixHiddenSize === undefined) return;
    throw new OptionError(
      `prefixHiddenSize is ${prefixHiddenSize}, but no network computes the prefixes: that is for prefixProjection`,
    );
  },
  apply({ backbone, layers }: OpenParts, options: PrefixOptions, random: Generator): readonly Insertion[] {
    if (layers.length === 0) {
      throw new OptionError("prefix has no layer to go into: every layer is frozen, freeze fewer");
    }
    const { prefixLength = defaults.prefixLength, prefixHiddenSize } = options;
    requireRoom(backbone, "prefixLength", prefixLength);
    const { rows, encoder, insertions } = insertPrefixes(backbone, layers, {
      length: prefixLength,
      encoderSize: options.prefixProjection ? prefixHiddenSize ?? backbone.hiddenSize : null,
    });
    if (encoder === null) rows.forEach((each) => initialize(each, random));
    else encoder.initialize(random);
    for (const { derivation } of insertions) derivation?.refresh(null);
    return insertions;
  },
} as const satisfies WeightMethod<PrefixOptions>;

/** The sizes of prefixes. */
export interface PrefixShape {
  /** P. */
  readonly length: number;
  /** The width of the network that computes them; null where there is none. */
  readonly encoderSize: number | null;
}

/** Prefixes in a model. */
export interface Prefixes {
  /** Of each layer. */
  readonly rows: readonly PrefixRows[];
  /** What computes them; null where they train themselves. */
  readonly encoder: PrefixEncoder | null;
  readonly insertions: readonly Insertion[];
}

/** Puts uninitialised prefixes into these layers. */
export function insertPrefixes(
  { hiddenSize, dtype, device }: Backbone,
  layers: readonly TransformerLayer[],
  { length, encoderSize }: PrefixShape,
): Prefixes {
  const empty = (): Tensor => parameter([length, hiddenSize], { dtype, device });
  const inLayers = layers.map((layer) => ({ layer, rows: { key: empty(), value: empty() } }));
  const rows = inLayers.map(({ rows }) => rows);
  const insertions = inLayers.map(({ layer, rows }) => insertPrefix(layer, rows));
  if (encoderSize === null) return { rows, encoder: null, insertions };
  const shape = { length, size: hiddenSize, innerSize: encoderSize, layers: layers.length };
  const encoder = new PrefixEncoder(shape, { dtype, device });
  return { rows, encoder, insertions: [...insertions, deriveRows(encoder, rows)] };
}

function insertPrefix({ prefix }: TransformerLayer, rows: PrefixRows): Insertion {
  prefix.put(rows);
  return {
    module: { parameters: { ...rows } },
    detach: () => prefix.put(null),
    attach: () => prefix.put(rows),
    merging: null,
  };
}

function initialize({ key, value }: PrefixRows, random: Generator): void {
  noGrad(() => [key, value].forEach((each) => normal_(each, 0, 1, { generator: random }).dispose()));
}
