// What methods put before every sequence, and the positions that it leaves to the text.

import { OptionError } from "../errors.ts";
import type { Backbone } from "./contract.ts";

/** What stands before every sequence. Keys and tokens take the model's first positions, in this order. */
export interface Preceding {
  /** The keys and values that are a layer's own (see {@linkcode PrefixSlot}). */
  readonly keys: number;
  /** The ids of virtual tokens: those after the vocabulary's (see {@linkcode Embedding.virtual}). */
  readonly tokenIds: readonly number[];
}

/** What stands before every sequence of this model. */
export function precedingOf({ layers, words }: Pick<Backbone, "layers" | "words">): Preceding {
  const tokens = words.virtual?.length(0) ?? 0;
  return {
    keys: Math.max(0, ...layers.map(({ prefix }) => prefix.length)),
    tokenIds: Array.from({ length: tokens }, (_, index) => words.count + index),
  };
}

/** The most tokens that a text can have: the model's positions less those before it. */
export function longestText(backbone: Pick<Backbone, "layers" | "words" | "maxPositions">): number {
  const { keys, tokenIds } = precedingOf(backbone);
  return backbone.maxPositions - keys - tokenIds.length;
}

/** Throws {@linkcode OptionError} unless a text of one token is possible after so many more keys or tokens. */
export function requireRoom(
  backbone: Pick<Backbone, "layers" | "words" | "maxPositions">,
  option: string,
  count: number,
): void {
  const longest = longestText(backbone);
  if (count < longest) return;
  throw new OptionError(
    `${option} is ${count}, but a text can have ${longest} tokens, and has to have at least one: it can be at most ${
      longest - 1
    }`,
  );
}
