// Where Fewtune keeps what it installs, builds and downloads: one folder per user.

import { join, resolve } from "node:path";
import { SetupError } from "../errors.ts";

/** The parts of the cache, each a folder in {@link cacheFolder}. */
export const cacheParts = ["libtorch", "shim", "models", "datasets", "tokens"] as const;

/** One part of the cache. */
export type CachePart = typeof cacheParts[number];

/**
 * The absolute path of the cache folder, or of one part of it: `FEWTUNE_CACHE`, else `fewtune` in `XDG_CACHE_HOME`,
 * else `HOME/.cache/fewtune`. It need not exist yet.
 *
 * Needs `--allow-env=FEWTUNE_CACHE,XDG_CACHE_HOME,HOME`.
 *
 * @throws SetupError when none of the three variables is set.
 */
export function cacheFolder(part?: CachePart): string {
  const [own, shared, home] = [variable("FEWTUNE_CACHE"), variable("XDG_CACHE_HOME"), variable("HOME")];
  const folder = own ?? (shared ? join(shared, "fewtune") : home && join(home, ".cache", "fewtune"));
  if (!folder) {
    throw new SetupError("no folder for the cache: HOME is not set; set FEWTUNE_CACHE to a folder that you can write");
  }
  return resolve(folder, part ?? "");
}

/**
 * The sizes of all files under `folder`, in bytes; 0 when it does not exist. Links are not followed.
 *
 * Needs `--allow-read` of the folder.
 */
export async function folderBytes(folder: string): Promise<number> {
  let bytes = 0;
  try {
    for await (const entry of Deno.readDir(folder)) {
      const path = join(folder, entry.name);
      if (entry.isDirectory) bytes += await folderBytes(path);
      else if (entry.isFile) bytes += (await Deno.stat(path)).size;
    }
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return bytes;
}

/** Whether `path` is there; needs `--allow-read` of it. */
export async function exists(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) return false;
    if (["EINVAL", "ENAMETOOLONG"].includes(String((error as { readonly code?: unknown }).code))) return false;
    throw error;
  }
}

function variable(name: string): string | undefined {
  return Deno.env.get(name) || undefined;
}
