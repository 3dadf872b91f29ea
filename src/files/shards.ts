// Joins the shards of a checkpoint, which an index names, to one file of weights.

import { dirname } from "node:path";
import { CheckpointError } from "../errors.ts";
import { isObject, readTextUpTo } from "./json_text.ts";
import { findRepeatedKey } from "./repeated_key.ts";
import { maxHeaderBytes } from "./safetensors_header.ts";
import { list, quoteName } from "./shown.ts";
import type { WeightsEntry, WeightsFile, WeightsOpener } from "./weights_file.ts";

/**
 * Opens the shards that an index lists (`weight_map`, tensor to shard) in the folder where it is. Its
 * `metadata.total_size` is not read: the shards say themselves how large they are.
 *
 * @param path of the index
 * @param open opens one shard
 * @throws {CheckpointError} when the index is damaged, names a file elsewhere, or does not list exactly what the shards
 * hold, and when a shard is absent or damaged
 */
export function openShards(path: string, open: WeightsOpener): WeightsFile {
  const shardOf = readWeightMap(path);
  const names = [...new Set(shardOf.values())].sort();
  requirePlainNames(path, names);
  requirePresent(path, names);
  using stack = new DisposableStack();
  const shards = new Map(names.map((name) => [name, stack.use(open(`${dirname(path)}/${name}`))]));
  requireListed(path, shardOf, shards);
  return new Shards(path, shardOf, shards, stack.move());
}

class Shards implements WeightsFile {
  readonly path: string;
  readonly tensors: ReadonlyMap<string, WeightsEntry>;
  readonly #shardOf: ReadonlyMap<string, string>;
  readonly #shards: ReadonlyMap<string, WeightsFile>;
  readonly #open: DisposableStack;

  constructor(
    path: string,
    shardOf: ReadonlyMap<string, string>,
    shards: ReadonlyMap<string, WeightsFile>,
    open: DisposableStack,
  ) {
    this.path = path;
    this.tensors = new Map(shards.values().flatMap(({ tensors }) => tensors));
    this.#shardOf = shardOf;
    this.#shards = shards;
    this.#open = open;
  }

  readInto(name: string, target: Uint8Array, from = 0): void {
    const shard = this.#shards.get(this.#shardOf.get(name) ?? "");
    if (!shard) throw new CheckpointError(`${this.path} has no tensor ${quoteName(name)}`);
    shard.readInto(name, target, from);
  }

  [Symbol.dispose](): void {
    this.#open.dispose();
  }
}

function readWeightMap(path: string): Map<string, string> {
  const text = readTextUpTo(maxHeaderBytes, path);
  const { weight_map: weightMap } = parseObject(path, text);
  if (!isObject(weightMap)) throw new CheckpointError(`${path} has no weight_map of tensors to files`);
  const repeated = findRepeatedKey(text);
  if (repeated !== undefined) throw new CheckpointError(`${path} has the key ${quoteName(repeated)} twice`);
  const entries = Object.entries(weightMap).map(([name, shard]): [string, string] => {
    if (typeof shard === "string") return [name, shard];
    throw new CheckpointError(`${path} names no file for tensor ${quoteName(name)}`);
  });
  if (entries.length === 0) throw new CheckpointError(`${path} lists no tensors`);
  return new Map(entries);
}

function parseObject(path: string, text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    if (isObject(value)) return value;
  } catch (cause) {
    throw new CheckpointError(`${path} is not JSON`, { cause });
  }
  throw new CheckpointError(`${path} holds no JSON object`);
}

// Letters, digits and a few signs: what could lead to another folder, device or stream, or break a message, is refused.
const plainName = /^\w[\w.@+=~ -]{0,199}$/;

function requirePlainNames(path: string, names: readonly string[]): void {
  const odd = names.find((name) => !plainName.test(name));
  if (odd !== undefined) {
    throw new CheckpointError(
      `${path} names ${quoteName(odd)}, a shard has to be a plain file name in the same folder`,
    );
  }
}

function requirePresent(path: string, names: readonly string[]): void {
  const beside = new Set(Deno.readDirSync(dirname(path)).map(({ name }) => name));
  const absent = names.filter((name) => !beside.has(name));
  if (absent.length > 0) {
    throw new CheckpointError(`${path} lists shards that are not beside it: download ${list(absent)} too`);
  }
}

// Every tensor is in the shard that the index says, and nowhere else.
function requireListed(
  path: string,
  shardOf: ReadonlyMap<string, string>,
  shards: ReadonlyMap<string, WeightsFile>,
): void {
  for (const [tensor, name] of shardOf) {
    const shard = shards.get(name);
    if (!shard?.tensors.has(tensor)) {
      throw new CheckpointError(`${shard?.path} has no tensor ${quoteName(tensor)}, which ${path} says it has`);
    }
  }
  for (const [name, shard] of shards) {
    for (const tensor of shard.tensors.keys()) {
      const listed = shardOf.get(tensor);
      if (listed === name) continue;
      throw new CheckpointError(
        listed === undefined
          ? `${shard.path} has a tensor ${quoteName(tensor)}, which ${path} does not list`
          : `${shard.path} has a tensor ${quoteName(tensor)}, which ${path} says is in ${listed}`,
      );
    }
  }
}
