// Copies of checkpoints with something changed: tensors renamed, left out, converted, or fields of the configuration.

import { ops, scope, tensorFrom, toTypedArray } from "../../mod.ts";
import { openSafetensors, type SafetensorsDtype } from "../../src/files/safetensors.ts";
import { type SafetensorsSource, writeSafetensors } from "../../src/files/safetensors_write.ts";

/** What is different in the copy. */
export interface Changes {
  /** The new name of a tensor, or null to leave it out. */
  readonly rename?: (name: string) => string | null;
  /** What becomes of a tensor's entry. */
  readonly change?: (source: SafetensorsSource) => SafetensorsSource;
  /** Further tensors. */
  readonly add?: readonly SafetensorsSource[];
  readonly config?: Readonly<Record<string, unknown>>;
}

/** Writes a changed copy of the checkpoint in `from` to the new folder `to`. */
export function copyCheckpoint(from: string, to: string, changes: Changes = {}): void {
  const { rename = (name) => name, change = (source) => source, add = [], config = {} } = changes;
  Deno.mkdirSync(to);
  const fields = JSON.parse(Deno.readTextFileSync(`${from}/config.json`));
  Deno.writeTextFileSync(`${to}/config.json`, JSON.stringify({ ...fields, ...config }));
  using file = openSafetensors(`${from}/model.safetensors`);
  const sources = [...file.tensors].flatMap(([original, { dtype, shape, byteLength }]) => {
    const name = rename(original);
    const bytes = (): Uint8Array => {
      const target = new Uint8Array(byteLength);
      file.readInto(original, target);
      return target;
    };
    return name === null ? [] : [change({ name, dtype, shape, bytes })];
  });
  writeSafetensors(`${to}/model.safetensors`, [...sources, ...add], { format: "pt" });
}

/** Converts a float32 entry to a half-width float; leaves others as they are. */
export function toHalfWidth(dtype: "F16" | "BF16"): (source: SafetensorsSource) => SafetensorsSource {
  const name = dtype === "F16" ? "float16" : "bfloat16";
  const convert = (bytes: Uint8Array): Uint8Array =>
    scope(() => {
      const floats = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 4);
      return new Uint8Array(toTypedArray(ops.to(tensorFrom(floats), { dtype: name })).buffer);
    });
  return (source) => source.dtype === "F32" ? { ...source, dtype, bytes: () => convert(source.bytes()) } : source;
}

/** The names, types and shapes in a checkpoint, sorted by name. */
export function contentsOf(folder: string): [name: string, dtype: SafetensorsDtype, shape: readonly number[]][] {
  using file = openSafetensors(`${folder}/model.safetensors`);
  const entries = [...file.tensors].map(([name, { dtype, shape }]) => [name, dtype, shape] as const);
  return entries.toSorted(([a], [b]) => a < b ? -1 : 1).map(([...entry]) => entry);
}
