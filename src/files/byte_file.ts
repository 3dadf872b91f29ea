// A file read at given places: every byte that was asked for, or an error that names the file.

import { CheckpointError } from "../errors.ts";
import { reasonOf } from "./shown.ts";

/** A regular file open for reading. Dispose it to close it. */
export class ByteFile implements Disposable {
  /** The file's path, as it was given. */
  readonly path: string;
  /** Bytes of the file when it was opened. */
  readonly size: number;
  #file: Deno.FsFile | undefined;

  /** Opens the file. Throws {@linkcode CheckpointError} when it is missing or is not a file. */
  constructor(path: string) {
    this.path = path;
    this.#file = openFile(path);
    this.size = this.#file.statSync().size;
  }

  /**
   * Fills `target` from the file's byte `offset` on. Nothing is held in between.
   *
   * @throws {CheckpointError} when the file was closed, became shorter, or cannot be read
   */
  readInto(offset: number, target: Uint8Array): void {
    const file = this.#file;
    if (!file) throw new CheckpointError(`${this.path} was closed before it was read`);
    let done = 0;
    try {
      file.seekSync(offset, Deno.SeekMode.Start);
      while (done < target.length) {
        const count = file.readSync(target.subarray(done));
        if (count === null) break;
        done += count;
      }
    } catch (cause) {
      throw new CheckpointError(`${this.path} cannot be read: ${reasonOf(cause)}`, { cause });
    }
    if (done < target.length) {
      throw new CheckpointError(
        `${this.path} is truncated: it ends at byte ${offset + done}, ${target.length - done} too soon`,
      );
    }
  }

  /** The bytes from `offset` on, at most `length` and no more than the file has. */
  bytes(offset: number, length: number): Uint8Array {
    const bytes = new Uint8Array(Math.max(0, Math.min(length, this.size - offset)));
    this.readInto(offset, bytes);
    return bytes;
  }

  /** Closes the file; closing twice does nothing. */
  [Symbol.dispose](): void {
    this.#file?.close();
    this.#file = undefined;
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
