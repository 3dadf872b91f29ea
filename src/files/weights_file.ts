// WeightsFile: named tensors on the disk, whatever the format, each read straight into the memory where it will stay.

import type { SafetensorsDtype } from "./safetensors_header.ts";

/** What a file says of one tensor, whose bytes are little-endian and row-major. */
export interface WeightsEntry {
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
  readonly byteLength: number;
}

/** An open file of weights, or the shards of one. Dispose it to close what is open. */
export interface WeightsFile extends Disposable {
  /** Names the file in errors: its path, of shards their index's. */
  readonly path: string;
  /** The tensors by name, in the order in which they are read fastest. */
  readonly tensors: ReadonlyMap<string, WeightsEntry>;
  /**
   * Fills `target` with the tensor's bytes, beginning `from` bytes into the tensor.
   *
   * @throws {CheckpointError} when there is no such tensor, or the file became shorter since it was opened
   * @throws {RangeError} when the tensor has no such bytes
   */
  readInto(name: string, target: Uint8Array, from?: number): void;
}

/** Opens one file of a format. */
export type WeightsOpener = (path: string) => WeightsFile;
