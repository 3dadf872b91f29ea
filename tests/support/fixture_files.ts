// The fixtures of methods: what a reference computed, and the numbers of files of tensors.

import type { Sequence } from "../../mod.ts";
import { openSafetensors } from "../../src/files/safetensors.ts";

/** What a reference was given. */
export interface TrainingFixture {
  readonly sequences: readonly Sequence[];
  readonly labels: readonly number[];
  readonly learningRate: number;
  readonly weightDecay: number;
}

/** What it computed in float64, the losses of some steps included. */
export interface ComputedFixture {
  readonly logits64: readonly (readonly number[])[];
  readonly loss64: number;
  readonly losses64: readonly number[];
}

/** The numbers of a file of float32 and int32, by its keys. */
export function numbersIn(path: string): Map<string, number[]> {
  using file = openSafetensors(path);
  return new Map([...file.tensors].map(([key, { dtype, byteLength }]) => {
    const numbers = dtype === "I32" ? new Int32Array(byteLength / 4) : new Float32Array(byteLength / 4);
    file.readInto(key, new Uint8Array(numbers.buffer));
    return [key, [...numbers]];
  }));
}
