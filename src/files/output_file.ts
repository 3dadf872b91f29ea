// A file of output: it takes its name when all is written in it.

import { dirname } from "node:path";
import { CheckpointError } from "../errors.ts";
import { writeText } from "./output_folder.ts";

/** Throws {@linkcode CheckpointError} when there is something of this name: what is asked before the work. */
export function refuseExistingFile(path: string): void {
  try {
    Deno.lstatSync(path);
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) return;
    throw unwritable(path, cause);
  }
  throw new CheckpointError(`${path} exists already: choose another place, or remove it`);
}

/**
 * Writes a new file, and its folder where there is none.
 *
 * @throws {CheckpointError} when the file exists or cannot be written
 */
export function writeNewFile(path: string, text: string): void {
  refuseExistingFile(path);
  try {
    Deno.mkdirSync(dirname(path), { recursive: true });
    replaceFile(path, text);
  } catch (cause) {
    throw unwritable(path, cause);
  }
}

/** Writes a file instead of the one that may be there, at once or not at all. Throws the system's error. */
export function replaceFile(path: string, text: string): void {
  const temporary = `${path}.${crypto.randomUUID().slice(0, 8)}.partial`;
  try {
    writeText(temporary, text);
    Deno.renameSync(temporary, path);
  } catch (error) {
    removeIfThere(temporary);
    throw error;
  }
}

function removeIfThere(path: string): void {
  try {
    Deno.removeSync(path);
  } catch {
    // It was never made, or the folder takes no change: the first error says why.
  }
}

function unwritable(path: string, cause: unknown): CheckpointError {
  return new CheckpointError(`${path} cannot be written (${(cause as Error).message})`, { cause });
}
