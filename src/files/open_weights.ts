// Finds the weights in a checkpoint's folder: one file or the index of its shards, in the first format that is there.

import { CheckpointError } from "../errors.ts";
import { openSafetensors } from "./safetensors.ts";
import { openShards } from "./shards.ts";
import { openTorchWeights } from "./torch_weights.ts";
import type { WeightsFile, WeightsOpener } from "./weights_file.ts";

// In the order of preference; a format's index has the name of its file with ".index.json".
const formats: Readonly<Record<string, WeightsOpener>> = {
  "model.safetensors": openSafetensors,
  "pytorch_model.bin": openTorchWeights,
};

/**
 * Opens the weights of the checkpoint in `folder`.
 *
 * @throws {CheckpointError} when there are none, or they are damaged
 */
export function openWeights(folder: string): WeightsFile {
  for (const [name, open] of Object.entries(formats)) {
    const [whole, index] = namesOf(name).map((file) => `${folder}/${file}`);
    if (whole !== undefined && exists(whole)) return open(whole);
    if (index !== undefined && exists(index)) return openShards(index, open);
  }
  const names = Object.keys(formats).flatMap(namesOf);
  throw new CheckpointError(`${folder} has no weights: there is no ${names.join(", no ")}`);
}

function namesOf(name: string): string[] {
  return [name, `${name}.index.json`];
}

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch (error) {
    return !(error instanceof Deno.errors.NotFound);
  }
}
