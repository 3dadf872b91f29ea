// Reading safetensors files: the header at once, each tensor straight into the memory where it will stay.
import { CheckpointError } from "../errors.ts";
import { ByteFile } from "./byte_file.ts";
import {
  maxHeaderBytes,
  parseSafetensorsHeader,
  prefixBytes,
  type SafetensorsEntry,
  type SafetensorsHeader,
} from "./safetensors_header.ts";
import { quoteName } from "./shown.ts";
import type { WeightsFile } from "./weights_file.ts";

export type { SafetensorsDtype, SafetensorsEntry } from "./safetensors_header.ts";

/** An open safetensors file, whose header was found to be sound. Dispose it to close the file. */
export class SafetensorsFile implements WeightsFile {
  /** The free text that the writer left, such as `{ format: "pt" }`. */
  readonly metadata: Readonly<Record<string, string>>;
  /** The tensors by name, in the order of their data. */
  readonly tensors: ReadonlyMap<string, SafetensorsEntry>;
  readonly #file: ByteFile;

  /** Use {@linkcode openSafetensors}. */
  constructor(file: ByteFile, header: SafetensorsHeader) {
    this.metadata = header.metadata;
    this.tensors = header.tensors;
    this.#file = file;
  }

  /** The file's path, as it was given. */
  get path(): string {
    return this.#file.path;
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
    this.#file.readInto(entry.byteOffset + from, target);
  }

  /** Closes the file; closing twice does nothing. */
  [Symbol.dispose](): void {
    this.#file[Symbol.dispose]();
  }
}

/**
 * Opens a safetensors file and validates its header: dtypes, shapes, and that the tensors fill the file exactly.
 *
 * @throws {CheckpointError} when the file is missing, is not a file, or is damaged
 */
export function openSafetensors(path: string): SafetensorsFile {
  const file = new ByteFile(path);
  try {
    return new SafetensorsFile(file, readHeader(file));
  } catch (error) {
    file[Symbol.dispose]();
    throw error;
  }
}

function readHeader(file: ByteFile): SafetensorsHeader {
  const { path, size: fileBytes } = file;
  const prefix = new Uint8Array(prefixBytes);
  file.readInto(0, prefix);
  const headerBytes = new DataView(prefix.buffer).getBigUint64(0, true);
  const damaged = `${path} is not a valid safetensors file`;
  if (headerBytes > BigInt(fileBytes - prefixBytes)) {
    throw new CheckpointError(`${damaged}: its header claims ${headerBytes} bytes, the file has ${fileBytes} in all`);
  }
  if (headerBytes > BigInt(maxHeaderBytes)) {
    throw new CheckpointError(`${damaged}: its header claims ${headerBytes} bytes, at most ${maxHeaderBytes} can be`);
  }
  const header = new Uint8Array(Number(headerBytes));
  file.readInto(prefixBytes, header);
  return parseSafetensorsHeader(header, fileBytes, path);
}
