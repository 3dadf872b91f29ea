// Makes a folder of the cache whole or not at all, and only once, whichever of several processes comes first.

import { basename, dirname, join } from "node:path";
import { SetupError } from "../errors.ts";
import { exists } from "./cache.ts";

const partialPrefix = ".partial-";

/**
 * Makes the folder `target` unless it is there: `make` fills an empty folder beside it, which is renamed to `target`
 * when `make` returns and removed when it throws. Other processes that make a folder beside it wait their turn.
 *
 * Needs `--allow-read` and `--allow-write` of the folder that holds `target`.
 *
 * @param onWait called when another process is at work there, before waiting for it.
 * @throws SetupError when the folder cannot be written or the disk is full, and what `make` throws.
 */
export async function makeOnce(
  target: string,
  make: (partial: string) => Promise<void>,
  onWait?: () => void,
): Promise<void> {
  if (await exists(target)) return;
  try {
    await underLock(dirname(target), async () => {
      if (!await exists(target)) await makeWhole(target, make);
    }, onWait);
  } catch (error) {
    throw explained(error, dirname(target));
  }
}

async function underLock(folder: string, work: () => Promise<void>, onWait?: () => void): Promise<void> {
  await Deno.mkdir(folder, { recursive: true });
  // Closing the file frees the lock, and so does the end of the process, however it ends.
  using lock = await Deno.open(join(folder, ".lock"), { write: true, create: true });
  if (!await lock.tryLock(true)) {
    onWait?.();
    await lock.lock(true);
  }
  await work();
}

async function makeWhole(target: string, make: (partial: string) => Promise<void>): Promise<void> {
  const folder = dirname(target);
  await removePartial(folder);
  const partial = join(folder, partialPrefix + basename(target));
  await Deno.mkdir(partial);
  try {
    await make(partial);
    await Deno.rename(partial, target);
  } catch (error) {
    await removePartial(folder);
    throw error;
  }
}

/** Also what a process that was killed left behind: whoever holds the lock is alone here. */
async function removePartial(folder: string): Promise<void> {
  for await (const entry of Deno.readDir(folder)) {
    if (entry.name.startsWith(partialPrefix)) await Deno.remove(join(folder, entry.name), { recursive: true });
  }
}

function explained(error: unknown, folder: string): unknown {
  if (!(error instanceof Error)) return error;
  const code = "code" in error ? error.code : undefined;
  if (code === "ENOSPC" || code === "EDQUOT") {
    return new SetupError(`no space left on the disk of ${folder}: free some, or set FEWTUNE_CACHE to another disk`);
  }
  const { PermissionDenied, AlreadyExists, NotADirectory } = Deno.errors;
  const unwritable = [PermissionDenied, AlreadyExists, NotADirectory].some((kind) => error instanceof kind);
  if (unwritable || code === "EROFS") {
    return new SetupError(
      `${folder} is no folder that can be written: set FEWTUNE_CACHE to a folder that you can write`,
    );
  }
  return error;
}
