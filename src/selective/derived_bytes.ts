// The bytes that parameters take which others are computed from, and which train in their place.

import type { Adaptation } from "../models/adaptation.ts";
import { derivedOf } from "../models/derivations.ts";
import { parameterBytes } from "../nn/module.ts";
import { sum, trainedBytes } from "./step_shape.ts";

/** What a step takes beside a model of which nothing is derived. */
export interface DerivedBytes {
  /** There all the time, beside the model's parameters and the optimizer's state of those that require a gradient. */
  readonly resting: number;
  /** Of gradients, when those of the derived parameters were turned into them, and what works on that. */
  readonly turned: number;
}

// While one parameter is computed or its gradient is turned, so many others of its size are at work.
const working = 4;

/** The bytes of an adaptation's derivations; null where it has none. */
export function derivedBytes(adaptation: Adaptation | null): DerivedBytes | null {
  const all = derivedOf(adaptation?.insertions);
  if (all.length === 0) return null;
  const derived = all.flatMap(({ derivation }) => derivation.derived.map(({ byteLength }) => byteLength));
  const own = sum(all.map(({ module }) => trainedBytes(module)));
  const kept = sum(all.map(({ derivation: { keptBytes = 0 } }) => keptBytes));
  return {
    resting: sum(all.map(({ module }) => parameterBytes(module))) + 2 * (own - sum(derived)) + kept,
    turned: own - sum(derived) + working * Math.max(...derived),
  };
}
