// Which files of a model's repository a model here is read from.

import { CheckpointError, HubError } from "../errors.ts";
import { tokenizerFileNames } from "../files/tokenizer_names.ts";
import { isPathInside } from "./names.ts";
import type { Repository } from "./repository.ts";

const described = ["config.json", "training.json"];
// Adapters in PEFT's format and in Fewtune's own.
const adapters = [
  ["adapter_config.json", "adapter_model.safetensors"],
  ["fewtune_adapter.json", "fewtune_adapter.safetensors"],
];
// The first that is there, alone or as an index of its shards.
const weights = ["model.safetensors", "pytorch_model.bin"];

/**
 * Fetches what a model is read from: its configuration, its tokenizer, and its weights in one format, or what an
 * adapter has instead. Weights of other frameworks stay where they are.
 *
 * @throws {HubError} when the repository holds neither a model nor an adapter that can be read here
 */
export async function fetchModel(repository: Repository): Promise<void> {
  const listed = new Set(repository.paths);
  const adapter = adapters.find((files) => files.every((path) => listed.has(path)));
  if (!adapter && !listed.has("config.json")) {
    throw lacks(repository, "config.json", "it is in no format of transformers");
  }
  const small = [...described, ...tokenizerFileNames].filter((path) => listed.has(path));
  const large = adapter ?? await weightFiles(repository, listed);
  for (const path of [...small, ...large]) await repository.fetch(path);
}

async function weightFiles(repository: Repository, listed: ReadonlySet<string>): Promise<string[]> {
  for (const name of weights) {
    if (listed.has(name)) return [name];
    const index = `${name}.index.json`;
    if (listed.has(index)) return shardsOf(index, await Deno.readTextFile(await repository.fetch(index)), repository);
  }
  throw lacks(repository, weights.join(" or "), "no others can be read here");
}

function lacks({ name, isOffline }: Repository, what: string, why: string): HubError {
  if (!isOffline) return new HubError(`the model ${name} has no ${what}: ${why}`);
  return new HubError(`of the model ${name} the cache has no ${what}: fetch it once where there is a network`);
}

function shardsOf(index: string, text: string, { name }: Repository): string[] {
  const names = [...new Set(Object.values(weightMap(text)))];
  if (names.length > 0 && names.every((each): each is string => typeof each === "string" && isPathInside(each))) {
    return names;
  }
  throw new CheckpointError(`${index} of ${name} is damaged: weight_map has to name the file of each tensor`);
}

function weightMap(text: string): Record<string, unknown> {
  try {
    return Object(Object(JSON.parse(text)).weight_map);
  } catch {
    return {};
  }
}
