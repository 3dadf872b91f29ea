// A folder of output: it takes its name when all in it is on the disk, or nothing is left.

import { basename, dirname, join, resolve } from "node:path";
import { CheckpointError, FewtuneError } from "../errors.ts";
import { exists } from "./presence.ts";
import { reasonOf } from "./shown.ts";

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
 * Makes a new folder whose content `write` puts into the folder that it is given: a hidden one beside it, renamed when
 * all of it is on the disk.
 *
 * @throws {CheckpointError} when the folder exists or cannot be written
 */
export function writeFolder(folder: string, write: (temporary: string) => void): void {
  refuseExisting(folder);
  writeAside(folder, temporaryName(folder), write, (temporary) => {
    Deno.renameSync(temporary, folder);
    syncEntry(dirname(resolve(folder)));
  });
}

/**
 * Makes a folder as {@linkcode writeFolder} does, instead of the one that may be there: that has its name until all of
 * the new one is on the disk.
 *
 * @throws {CheckpointError} when the folder cannot be written; the old one stays then
 */
export function replaceFolder(folder: string, write: (temporary: string) => void): void {
  writeAside(folder, temporaryName(folder), write, (temporary) => {
    const nameless = temporaryName(folder);
    const isThere = exists(folder);
    if (isThere) Deno.renameSync(folder, nameless);
    Deno.renameSync(temporary, folder);
    syncEntry(dirname(resolve(folder)));
    if (isThere) Deno.removeSync(nameless, { recursive: true });
  });
}

/**
 * Adds to a folder what `write` puts into the folder that it is given: a hidden one in it, whose entries take their names
 * one by one when all are on the disk, instead of those that have them. The one named `last` does so last: where it is,
 * all are.
 *
 * @throws {CheckpointError} when the folder cannot be written
 */
export function writeIntoFolder(folder: string, last: string, write: (temporary: string) => void): void {
  writeAside(folder, temporaryName(join(folder, "new")), write, (temporary) => {
    const names = [...Deno.readDirSync(temporary)].map(({ name }) => name);
    for (const name of names) if (name !== last) Deno.renameSync(join(temporary, name), join(folder, name));
    syncEntry(folder);
    Deno.renameSync(join(temporary, last), join(folder, last));
    Deno.removeSync(temporary);
    syncEntry(folder);
  });
}

/** Removes what a process that was killed has left of the hidden folders that were written in `folder`, if it is there. */
export function removePartial(folder: string): void {
  if (!exists(folder)) return;
  for (const { name } of [...Deno.readDirSync(folder)]) {
    if (/^\..*\.[0-9a-f]{8}\.partial$/.test(name)) Deno.removeSync(join(folder, name), { recursive: true });
  }
}

/**
 * Removes a folder. It loses its name first, so that nobody takes what is left of it for the whole.
 *
 * @throws {CheckpointError} when it cannot be removed
 */
export function removeFolder(folder: string): void {
  const nameless = temporaryName(folder);
  try {
    Deno.renameSync(folder, nameless);
    Deno.removeSync(nameless, { recursive: true });
  } catch (cause) {
    throw new CheckpointError(`${folder} cannot be removed (${reasonOf(cause)})`, { cause });
  }
}

function writeAside(
  folder: string,
  temporary: string,
  write: (temporary: string) => void,
  take: (temporary: string) => void,
): void {
  makeFolder(temporary, folder);
  try {
    write(temporary);
    syncTree(temporary);
    take(temporary);
  } catch (cause) {
    if (exists(temporary)) Deno.removeSync(temporary, { recursive: true });
    if (!(cause instanceof FewtuneError)) throw notWritten(folder, cause);
    cause.message = cause.message.replaceAll(temporary, folder);
    throw cause;
  }
}

// Onto the disk, from the files up to the folder itself.
function syncTree(folder: string): void {
  for (const { name, isDirectory } of Deno.readDirSync(folder)) {
    if (isDirectory) syncTree(join(folder, name));
    else syncEntry(join(folder, name));
  }
  syncEntry(folder);
}

function syncEntry(path: string): void {
  using entry = Deno.openSync(path);
  entry.syncSync();
}

function notWritten(folder: string, cause: unknown): CheckpointError {
  return new CheckpointError(`${folder} cannot be written (${reasonOf(cause)})`, { cause });
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

function makeFolder(temporary: string, folder: string): void {
  try {
    Deno.mkdirSync(temporary, { recursive: true });
  } catch (cause) {
    throw notWritten(folder, cause);
  }
}

function temporaryName(folder: string): string {
  const path = resolve(folder);
  return join(dirname(path), `.${basename(path)}.${crypto.randomUUID().slice(0, 8)}.partial`);
}
