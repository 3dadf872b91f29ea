// A folder of output: it takes its name when all is written in it, or nothing is left.

import { dirname, join, resolve } from "node:path";
import { CheckpointError, FewtuneError } from "../errors.ts";

/**
 * Throws unless a new folder can be made at `folder`: what is asked before hours of training.
 *
 * @throws {CheckpointError} when something exists there, or the place cannot be written
 */
export function checkOutputFolder(folder: string): void {
  refuseExisting(folder);
  const trial = temporaryName(join(existingAncestor(resolve(folder)), "trial"));
  makeFolder(trial, folder);
  Deno.removeSync(trial);
}

function existingAncestor(path: string): string {
  const parent = dirname(path);
  return parent === path || exists(parent) ? parent : existingAncestor(parent);
}

/**
 * Makes a new folder whose content `write` puts into the folder that it is given: one beside it, renamed at the end.
 *
 * @throws {CheckpointError} when the folder exists or cannot be written
 */
export function writeFolder(folder: string, write: (temporary: string) => void): void {
  refuseExisting(folder);
  const temporary = temporaryName(folder);
  makeFolder(temporary, folder);
  try {
    write(temporary);
    Deno.renameSync(temporary, folder);
  } catch (cause) {
    Deno.removeSync(temporary, { recursive: true });
    if (cause instanceof FewtuneError) throw cause;
    throw new CheckpointError(`${folder} cannot be written (${(cause as Error).message})`, { cause });
  }
}

/** Writes a new file of text, onto the disk. */
export function writeText(path: string, text: string): void {
  using file = Deno.openSync(path, { write: true, createNew: true });
  const bytes = new TextEncoder().encode(text);
  for (let written = 0; written < bytes.length;) written += file.writeSync(bytes.subarray(written));
  file.syncDataSync();
}

function refuseExisting(folder: string): void {
  if (exists(folder)) throw new CheckpointError(`${folder} exists already: choose another output folder, or remove it`);
}

function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) throw error;
    return false;
  }
}

function makeFolder(temporary: string, folder: string): void {
  try {
    Deno.mkdirSync(temporary, { recursive: true });
  } catch (cause) {
    throw new CheckpointError(`${folder} cannot be written (${(cause as Error).message})`, { cause });
  }
}

function temporaryName(folder: string): string {
  return `${folder.replace(/\/+$/, "")}.${crypto.randomUUID().slice(0, 8)}.partial`;
}
