// The files of a folder, as far as they are asked for, and one digest of all that were read.

import { createHash } from "node:crypto";
import { CheckpointError } from "../../errors.ts";
import type { Fields } from "./fields.ts";

/** Reads files of a folder. */
export class FolderFiles {
  readonly #digests = new Map<string, string>();

  constructor(readonly folder: string) {}

  /** The SHA-256 of the names and contents of all files that were read, in whatever order: 64 hexadecimal digits. */
  get digest(): string {
    const read = [...this.#digests].toSorted(([a], [b]) => a < b ? -1 : 1);
    return createHash("sha256").update(JSON.stringify(read)).digest("hex");
  }

  /** A file's content, or nothing where there is no such file. @throws {CheckpointError} when it cannot be read */
  async read(name: string): Promise<Uint8Array | undefined> {
    try {
      const bytes = await Deno.readFile(`${this.folder}/${name}`);
      this.#digests.set(name, createHash("sha256").update(bytes).digest("hex"));
      return bytes;
    } catch (cause) {
      if (cause instanceof Deno.errors.NotFound) return undefined;
      throw damaged(`${this.folder}/${name}`, cause);
    }
  }

  /** The object in a file of JSON. @throws {CheckpointError} when the file cannot be read, or holds something else */
  async readJson(name: string): Promise<Fields | undefined> {
    const bytes = await this.read(name);
    if (!bytes) return undefined;
    let value: unknown;
    try {
      value = JSON.parse(new TextDecoder().decode(bytes));
    } catch (cause) {
      throw damaged(`${this.folder}/${name}`, cause);
    }
    if (typeof value === "object" && value !== null) return value as Fields;
    throw damaged(`${this.folder}/${name}`, new Error("it is not a JSON object"));
  }
}

/** The error for a file whose content cannot be used. */
export function damaged(path: string, cause: unknown): CheckpointError {
  return new CheckpointError(`${path} cannot be read: ${firstLine(cause)}`, { cause });
}

/** Of an error's message. */
export function firstLine(cause: unknown): string {
  const message = cause instanceof Error ? cause.message : String(cause);
  return message.split("\n")[0] ?? message;
}
