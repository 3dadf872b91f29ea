// The tiny OPTs of the fixtures: their checkpoints, their sequences, and what transformers computes of them.

import { type Classifier, type DType, loadClassifier, type Sequence } from "../../mod.ts";
import type { Case } from "./small_bert.ts";
import { numbersIn } from "./fixture_files.ts";

const fixtures = new URL("../fixtures/", import.meta.url).pathname;

/** The folder of the tiny OPT with three labels, of the shape that most sizes have. */
export const smallOptFolder = `${fixtures}small_opt`;

/** The sequences of all cases, and the cases. */
export const { sequences, cases }: { readonly sequences: readonly Sequence[]; readonly cases: readonly Case[] } = JSON
  .parse(Deno.readTextFileSync(`${smallOptFolder}/cases.json`));

/** The model of a case. */
export function loadCase({ checkpoint, pooling }: Case, dtype: DType = "float32"): Promise<Classifier> {
  return loadClassifier(fixtures + checkpoint, { pooling, dtype });
}

/** The reference gradients of a case, all that the file has, by key. */
export function referenceGradients({ gradients }: Case): Map<string, number[]> {
  return numbersIn(`${smallOptFolder}/${gradients}`);
}
