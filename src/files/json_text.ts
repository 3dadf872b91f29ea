// JSON files that nobody has checked: read up to a size, and told apart from what is no object.

import { CheckpointError } from "../errors.ts";
import { reasonOf } from "./shown.ts";

/** The text of a file. Throws {@linkcode CheckpointError} when it cannot be read, or is larger than `maxBytes`. */
export function readTextUpTo(maxBytes: number, path: string): string {
  try {
    const { isFile, size } = Deno.statSync(path);
    if (isFile && size <= maxBytes) return Deno.readTextFileSync(path);
  } catch (cause) {
    throw new CheckpointError(`${path} cannot be read (${reasonOf(cause)})`, { cause });
  }
  throw new CheckpointError(`${path} is not a file of at most ${maxBytes} bytes`);
}

/** Whether a value of JSON is an object and no list. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
