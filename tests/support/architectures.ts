// Tiny checkpoints of every architecture that transformers saved, and what it computes with them: made once.

import type { Pooling, Sequence } from "../../mod.ts";
import { runPython } from "./python.ts";

/** A checkpoint and a choice of positions (null: all), with the reference's logits and loss. */
export interface ArchitectureCase {
  readonly name: string;
  readonly folder: string;
  readonly pooling: Pooling;
  readonly selected: readonly (readonly number[])[] | null;
  readonly labels: readonly number[];
  readonly logits: readonly (readonly number[])[];
  readonly loss: number;
}

/** What the first weights of a parameter are like: all of one value, or normal with some rows that are zero. */
export type StartingWeights =
  | { readonly constant: number }
  | { readonly deviation: number; readonly mean: number; readonly zeroRows: readonly number[] };

/** What `architectures.py` says of an architecture. */
export interface ReferenceArchitecture {
  readonly name: string;
  readonly sequences: readonly Sequence[];
  readonly cases: readonly ArchitectureCase[];
  /** Probability and number of elements of each dropout in a step with the standard head and ten tokens. */
  readonly dropout: readonly (readonly [probability: number, count: number])[];
  readonly start: {
    readonly config: Readonly<Record<string, unknown>>;
    readonly weights: Readonly<Record<string, StartingWeights>>;
  };
}

/** All of them, with the folder that their own folders are in; removed when the tests of the file are done. */
export async function makeArchitectures(): Promise<[out: string, architectures: readonly ReferenceArchitecture[]]> {
  const out = Deno.makeTempDirSync({ prefix: "fewtune-test-" });
  addEventListener("unload", () => Deno.removeSync(out, { recursive: true }));
  await runPython("architectures.py", [out]);
  return [out, JSON.parse(Deno.readTextFileSync(`${out}/architectures.json`))];
}
