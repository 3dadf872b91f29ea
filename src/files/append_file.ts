// A file that grows by whole records: one that cannot be written leaves no part of itself.

/** A file to append to, made by the first record. */
export class AppendFile implements Disposable {
  readonly #path: string;
  readonly #header: Uint8Array;
  #file: Deno.FsFile | null = null;
  #length = 0;

  /** @param header what a new or empty file begins with */
  constructor(path: string, header: Uint8Array = new Uint8Array()) {
    this.#path = path;
    this.#header = header;
  }

  /** Adds a record. Throws the system's error when that fails; the file is as it was, and the next record may succeed. */
  append(record: Uint8Array): void {
    const file = this.#file ??= this.#open();
    const bytes = this.#length === 0 ? joined(this.#header, record) : record;
    try {
      for (let written = 0; written < bytes.length;) written += file.writeSync(bytes.subarray(written));
      this.#length += bytes.length;
    } catch (error) {
      this.#cut(file);
      throw error;
    }
  }

  /** Closes the file. */
  [Symbol.dispose](): void {
    this.#file?.close();
    this.#file = null;
  }

  #open(): Deno.FsFile {
    const file = Deno.openSync(this.#path, { append: true, create: true });
    this.#length = file.statSync().size;
    return file;
  }

  // What cannot be cut, a device, holds nothing that could be torn.
  #cut(file: Deno.FsFile): void {
    try {
      file.truncateSync(this.#length);
    } catch {
      return;
    }
  }
}

function joined(first: Uint8Array, second: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(first.length + second.length);
  bytes.set(first);
  bytes.set(second, first.length);
  return bytes;
}
