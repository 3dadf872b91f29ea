// Reading safetensors files: the header at once, each tensor straight into the memory where it will stay.
import { CheckpointError } from "../errors.ts";
import {
  maxHeaderBytes,
  parseSafetensorsHeader,
  prefixBytes,
  quoteName,
  type SafetensorsEntry,
  type SafetensorsHeader,
} from "./safetensors_header.ts";
import type { WeightsFile } from "./weights_file.ts";

export type { SafetensorsDtype, SafetensorsEntry } from "./safetensors_header.ts";

/** An open safetensors file, whose header was found to be sound. Dispose it to close the file. */
export class SafetensorsFile implements WeightsFile {
  /** The file's path, as it was given. */
  readonly path: string;
  /** The free text that the writer left, such as `{ format: "pt" }`. */
  readonly metadata: Readonly<Record<string, string>>;
  /** The tensors by name, in the order of their data. */
  readonly tensors: ReadonlyMap<string, SafetensorsEntry>;
  #file: Deno.FsFile | undefined;

  /** Use {@linkcode openSafetensors}. */
  constructor(path: string, file: Deno.FsFile, header: SafetensorsHeader) {
    this.path = path;
    this.metadata = header.metadata;
    this.tensors = header.tensors;
    this.#file = file;
  }

  /**
   * Fills `target` with the tensor's bytes, beginning `from` bytes into the tensor. Nothing is held in between, so a
   * target that views LibTorch's memory makes the only copy.
   *
   * @throws {CheckpointError} when there is no such tensor, or the file became shorter since it was opened
   * @throws {RangeError} when the tensor has no such bytes
   */
  readInto(name: string, target: Uint8Array, from = 0): void {
    const entry = this.tensors.get(name);
    if (!entry) throw new CheckpointError(`${this.path} has no tensor ${quoteName(name)}`);
    if (!(from >= 0 && from + target.length <= entry.byteLength)) {
      throw new RangeError(
        `bytes ${from} to ${from + target.length} of tensor ${quoteName(name)}, which has ${entry.byteLength}`,
      );
    }
    if (!this.#file) throw new CheckpointError(`${this.path} was closed before ${quoteName(name)} was read`);
    readFully(this.#file, this.path, entry.byteOffset + from, target);
  }

  /** Closes the file; closing twice does nothing. */
  [Symbol.dispose](): void {
    this.#file?.close();
    this.#file = undefined;
  }
}

/**
 * Opens a safetensors file and validates its header: dtypes, shapes, and that the tensors fill the file exactly.
 *
 * @throws {CheckpointError} when the file is missing, is not a file, or is damaged
 */
export function openSafetensors(path: string): SafetensorsFile {
  const file = openFile(path);
  try {
    return new SafetensorsFile(path, file, readHeader(file, path));
  } catch (error) {
    file.close();
    throw error;
  }
}

function openFile(path: string): Deno.FsFile {
  try {
    if (Deno.statSync(path).isFile) return Deno.openSync(path);
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) throw new CheckpointError(`${path} does not exist`, { cause });
    throw new CheckpointError(`${path} cannot be opened: ${reasonOf(cause)}`, { cause });
  }
  throw new CheckpointError(`${path} is not a file`);
}

function readHeader(file: Deno.FsFile, path: string): SafetensorsHeader {
  const fileBytes = file.statSync().size;
  const prefix = new Uint8Array(prefixBytes);
  readFully(file, path, 0, prefix);
  const headerBytes = new DataView(prefix.buffer).getBigUint64(0, true);
  const damaged = `${path} is not a valid safetensors file`;
  if (headerBytes > BigInt(fileBytes - prefixBytes)) {
    throw new CheckpointError(`${damaged}: its header claims ${headerBytes} bytes, the file has ${fileBytes} in all`);
  }
  if (headerBytes > BigInt(maxHeaderBytes)) {
    throw new CheckpointError(`${damaged}: its header claims ${headerBytes} bytes, at most ${maxHeaderBytes} can be`);
  }
  const header = new Uint8Array(Number(headerBytes));
  readFully(file, path, prefixBytes, header);
  return parseSafetensorsHeader(header, fileBytes, path);
}

function readFully(file: Deno.FsFile, path: string, offset: number, target: Uint8Array): void {
  let done = 0;
  try {
    file.seekSync(offset, Deno.SeekMode.Start);
    while (done < target.length) {
      const count = file.readSync(target.subarray(done));
      if (count === null) break;
      done += count;
    }
  } catch (cause) {
    throw new CheckpointError(`${path} cannot be read: ${reasonOf(cause)}`, { cause });
  }
  if (done < target.length) {
    throw new CheckpointError(
      `${path} is truncated: it ends at byte ${offset + done}, ${target.length - done} too soon`,
    );
  }
}

function reasonOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}
