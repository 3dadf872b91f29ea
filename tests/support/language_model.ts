// The tiny OPTs of tests/reference/language_model.py, which is run when this is loaded, and what it says of them.

import type { Sequence } from "../../mod.ts";
import { runPython } from "./python.ts";
import { numbersIn } from "./fixture_files.ts";

/** What transformers and PyTorch compute with one of the checkpoints. */
export interface LanguageCase {
  readonly name: "tied" | "untied" | "post_norm";
  /** At every position but the last of each text. */
  readonly logits64: readonly (readonly number[])[];
  readonly full: { readonly loss64: number };
  readonly selective: { readonly loss64: number };
  /** Of each step of training. */
  readonly losses64: readonly number[];
  readonly norms64: readonly number[];
}

/** What the script writes. */
export interface LanguageReference {
  readonly texts: readonly Sequence[];
  /** The positions of the selective cases, and of each step of training. */
  readonly selected: readonly (readonly number[])[];
  readonly selections: readonly (readonly (readonly number[])[])[];
  readonly learningRate: number;
  readonly weightDecay: number;
  readonly cases: readonly LanguageCase[];
  /** The logits of the tied one with PEFT's adapter. */
  readonly peft64: readonly (readonly number[])[];
}

/** Where the checkpoints are: `tied`, `untied`, `post_norm`, and the adapter `peft` of the first. */
export const referenceFolder: string = Deno.makeTempDirSync({ prefix: "fewtune-language-model-" });
globalThis.addEventListener("unload", () => Deno.removeSync(referenceFolder, { recursive: true }));
await runPython("language_model.py", ["make", referenceFolder]);

export const reference: LanguageReference = JSON.parse(Deno.readTextFileSync(`${referenceFolder}/cases.json`));

/** The numbers in one of the script's files, such as `tied_full`, by the model's keys. */
export function referenceNumbers(name: string): Map<string, number[]> {
  return numbersIn(`${referenceFolder}/${name}.safetensors`);
}

/** What transformers and PEFT say of saved folders: the logits at every position, by the folder. */
export async function logitsOfSaved(folders: readonly string[]): Promise<Record<string, readonly number[][]>> {
  return JSON.parse(await runPython("language_model.py", ["load", `${referenceFolder}/cases.json`, ...folders]));
}
