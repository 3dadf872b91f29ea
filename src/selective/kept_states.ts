// Which layers' states of the rest recompute keeps, and which it rebuilds.

import { OptionError } from "../errors.ts";

/**
 * Which layers' inputs are kept for the rest: of the layers from `from` on every `every`-th, the last one among them.
 * The others are rebuilt in backward from the next kept one below, or from the embeddings (the first layer's input is
 * the embeddings, and never kept).
 */
export interface KeptStates {
  readonly from: number;
  readonly every: number;
}

/** All but those of the lowest quarter: they are rebuilt last, when the memory of all others is free. */
export function usualKeptStates(layers: number): KeptStates {
  return { from: Math.floor(layers / 4), every: 1 };
}

/** Refuses what cannot be. Throws {@linkcode OptionError}. */
export function checkKeptStates(states: KeptStates): void {
  for (const [name, value] of Object.entries(states)) {
    const least = name === "every" ? 1 : 0;
    if (!(Number.isInteger(value) && value >= least)) {
      throw new OptionError(`keptStates.${name} is ${value}, it has to be a whole number of at least ${least}`);
    }
  }
}

/**
 * Whether the input of `layer`, one of `layers`, is kept. That of the lowest one that is trained always is, since
 * backward does not rebuild what is below.
 */
export function isStateKept(
  { from, every }: KeptStates,
  layer: number,
  { layers, lowest }: { readonly layers: number; readonly lowest: number },
): boolean {
  return layer > 0 && (layer === lowest || layer >= from && (layers - 1 - layer) % every === 0);
}
