// Writes a checkpoint's weights: one safetensors file, or shards of at most some size and their index.
//
// The reference implementation is Hugging Face's (`save_pretrained` of transformers, and the splitting of a state dict
// in huggingface_hub): the same names, order and index.

import { OptionError } from "../errors.ts";
import { writeText } from "./output_folder.ts";
import { countElements, dtypeSizes } from "./safetensors_header.ts";
import { type SafetensorsSource, writeSafetensors } from "./safetensors_write.ts";

/** What transformers 5 takes for `max_shard_size`: 50 GB. */
export const defaultShardBytes = 50e9;

/**
 * Writes model.safetensors into `folder`, or model-00001-of-0000N.safetensors and so on with
 * model.safetensors.index.json when the tensors take more than `maxShardBytes`. A tensor that alone takes more has a
 * shard of its own.
 *
 * @throws {CheckpointError} when a file cannot be written
 * @throws {OptionError} when `maxShardBytes` is not above 0
 */
export function writeShards(
  folder: string,
  sources: readonly SafetensorsSource[],
  maxShardBytes: number = defaultShardBytes,
): void {
  if (!(maxShardBytes > 0)) throw new OptionError(`maxShardBytes is ${maxShardBytes}, it has to be above 0`);
  const shards = split(sources.toSorted((a, b) => compareKeys(a.name, b.name)), maxShardBytes);
  const names = shards.map((_, index) => shardName(index, shards.length));
  for (const [index, shard] of shards.entries()) {
    writeSafetensors(`${folder}/${names[index]}`, shard, { format: "pt" });
  }
  if (shards.length > 1) writeText(`${folder}/model.safetensors.index.json`, indexOf(shards, names));
}

// In the order given; a shard ends where the next tensor would not fit.
function split(sources: readonly SafetensorsSource[], maxBytes: number): SafetensorsSource[][] {
  const shards: SafetensorsSource[][] = [];
  let current: SafetensorsSource[] = [];
  let currentBytes = 0;
  for (const source of sources) {
    const bytes = byteLength(source);
    if (bytes > maxBytes) shards.push([source]);
    else {
      if (currentBytes + bytes > maxBytes) {
        shards.push(current);
        [current, currentBytes] = [[], 0];
      }
      current.push(source);
      currentBytes += bytes;
    }
  }
  return current.length > 0 || shards.length === 0 ? [...shards, current] : shards;
}

// By the parts of the keys: numbers first and by their value, then text; digits that end a text are a number too.
function compareKeys(a: string, b: string): number {
  const [left, right] = [a, b].map(sortParts);
  for (const [index, part] of (left ?? []).entries()) {
    const other = right?.[index];
    if (other === undefined) return 1;
    for (const [place, value] of part.entries()) {
      const compared = other[place] ?? 0;
      if (value !== compared) return value < compared ? -1 : 1;
    }
  }
  return (left?.length ?? 0) - (right?.length ?? 0);
}

function sortParts(key: string): (readonly [isText: number, text: string, number: number])[] {
  return key.split(".").map((part) => {
    const [, text = "", digits = ""] = /^(.*?)(\d*)$/s.exec(part) ?? [];
    return [part === digits && part !== "" ? 0 : 1, text, digits === "" ? -1 : Number(digits)];
  });
}

function shardName(index: number, count: number): string {
  const digits = (value: number): string => `${value}`.padStart(5, "0");
  return count === 1 ? "model.safetensors" : `model-${digits(index + 1)}-of-${digits(count)}.safetensors`;
}

function indexOf(shards: readonly SafetensorsSource[][], names: readonly string[]): string {
  const entries = shards.flatMap((shard, index) => shard.map(({ name }) => [name, names[index]] as const));
  const sources = shards.flat();
  const index = {
    metadata: { total_parameters: sum(sources.map(elements)), total_size: sum(sources.map(byteLength)) },
    weight_map: Object.fromEntries(entries.toSorted(([a], [b]) => a < b ? -1 : 1)),
  };
  return JSON.stringify(index, null, 2) + "\n";
}

function elements({ shape }: SafetensorsSource): number {
  return countElements(shape) ?? NaN;
}

function byteLength(source: SafetensorsSource): number {
  return elements(source) * dtypeSizes[source.dtype];
}

function sum(values: readonly number[]): number {
  return values.reduce((total, value) => total + value, 0);
}
