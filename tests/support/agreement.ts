// How near a model has to come to the reference implementation: relative distances.

import assert from "node:assert/strict";
import type { DType } from "../../mod.ts";
import { distance, norm } from "./numbers.ts";

/** The largest relative distances in an element type; of a gradient that is zero, its largest length. */
export interface Tolerance {
  readonly dtype: DType;
  readonly gradient: number;
  readonly zeroGradient: number;
  readonly loss: number;
  readonly logits: number;
}

/** Asserts that `actual` is at most `tolerance` from `expected`, relative to its length. */
export function assertAgree(
  name: string,
  actual: readonly number[],
  expected: readonly number[],
  tolerance: number,
): void {
  const off = distance(actual, expected) / norm(expected);
  assert.ok(off <= tolerance, `${name}: ${off} off`);
}
