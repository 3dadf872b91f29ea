// A sweep's folder: sweep.json, which says what it is and how far, and a folder for each run.

import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { CheckpointError, OptionError } from "../../errors.ts";
import { isObject, readTextUpTo } from "../../files/json_text.ts";
import { checkOutputFolder, removePartial, writeIntoFolder, writeText } from "../../files/output_folder.ts";
import { changeable } from "../config/resume.ts";
import { combinationName, combinations, type Grid, shown } from "./grid.ts";

/** The name of the file in a sweep's folder. */
export const sweepFileName = "sweep.json";

/** What makes a sweep this one and no other. */
export interface SweepIdentity {
  /** What all runs share. */
  readonly options: Readonly<Record<string, unknown>>;
  readonly grid: Grid;
}

/**
 * Refuses a folder that holds something else than this sweep. Its grid may have got more values since; one of which no
 * run has begun may become any other.
 *
 * @throws {CheckpointError} when it cannot be written, holds something else, or a damaged sweep.json
 * @throws {OptionError} when it holds another sweep
 */
export function checkSweepFolder(folder: string, sweep: SweepIdentity): void {
  const names = namesIn(folder);
  if (names === null) return checkOutputFolder(folder);
  if (names.every((name) => name.startsWith("."))) return;
  if (!names.includes(sweepFileName)) {
    throw new CheckpointError(`${folder} exists already and holds no sweep: choose another output folder`);
  }
  const stored = readIdentity(join(folder, sweepFileName));
  const hasBegun = combinations(stored.grid).some((one) => names.includes(combinationName(one)));
  const difference = differenceOf(stored, sweep);
  if (hasBegun && difference !== null) {
    throw new OptionError(`${folder} holds another sweep, in which ${difference}: choose another output folder`);
  }
}

const lockName = ".lock";

/**
 * Makes the folder where it is not there, and keeps other processes out of it until it is disposed.
 *
 * @throws {CheckpointError} when another process runs a sweep there, or it cannot be written
 */
export function lockSweepFolder(folder: string): Disposable {
  let lock: Deno.FsFile | null = null;
  try {
    Deno.mkdirSync(folder, { recursive: true });
    lock = Deno.openSync(join(folder, lockName), { write: true, create: true });
    if (lock.tryLockSync(true)) {
      removePartial(folder);
      return lock;
    }
  } catch (cause) {
    lock?.close();
    throw new CheckpointError(`${folder} cannot be written (${(cause as Error).message})`, { cause });
  }
  lock.close();
  throw new CheckpointError(`another process runs the sweep in ${folder}: wait for it, or stop it`);
}

/** Writes sweep.json, whole or not at all. Throws {@linkcode CheckpointError} when it cannot be written. */
export function writeSweepFile(folder: string, content: SweepIdentity): void {
  const text = JSON.stringify(content, null, 2) + "\n";
  writeIntoFolder(folder, sweepFileName, (temporary) => writeText(join(temporary, sweepFileName), text));
}

function namesIn(folder: string): string[] | null {
  try {
    return [...Deno.readDirSync(folder)].map(({ name }) => name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw new CheckpointError(`${folder} cannot be read (${(error as Error).message})`, { cause: error });
  }
}

const largestFile = 2 ** 26;

function readIdentity(path: string): SweepIdentity {
  try {
    const { options, grid } = JSON.parse(readTextUpTo(largestFile, path));
    if (isObject(options) && isObject(grid) && Object.values(grid).every(Array.isArray)) return { options, grid };
  } catch (cause) {
    throw new CheckpointError(`${path} is damaged (${(cause as Error).message})`, { cause });
  }
  throw new CheckpointError(`${path} is no sweep's: it has no options and grid`);
}

function differenceOf(stored: SweepIdentity, given: SweepIdentity): string | null {
  const now: SweepIdentity = JSON.parse(JSON.stringify(given));
  const names = new Set([...Object.keys(stored.options), ...Object.keys(now.options)]);
  for (const name of names.difference(new Set<string>(changeable))) {
    const [before, after] = [stored.options[name], now.options[name]];
    if (!isDeepStrictEqual(before, after)) return `${name} is ${described(before)} and not ${described(after)}`;
  }
  const grids = [stored.grid, now.grid] as Readonly<Record<string, readonly unknown[]>>[];
  for (const name of new Set(grids.flatMap(Object.keys))) {
    const [before, after] = grids.map((grid) => grid[name]);
    if (before === undefined || after === undefined) return `${name} ${before ? "varies" : "does not vary"}`;
    const lost = before.find((value) => !after.some((other) => isDeepStrictEqual(other, value)));
    if (lost !== undefined) return `the grid of ${name} has ${shown(lost)}`;
  }
  return null;
}

function described(value: unknown): string {
  return value === undefined ? "not given" : shown(value);
}
