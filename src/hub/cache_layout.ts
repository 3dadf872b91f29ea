// The cache on disk, as Python's huggingface_hub lays it out: what either of the two has fetched, both find.
//
//   models--org--name/refs/main                      the commit that a branch meant when it was last asked for
//   models--org--name/blobs/<etag>                   contents
//   models--org--name/snapshots/<commit>/<path>      links to them
//   .locks/models--org--name/<etag>.lock             who fetches one

import { dirname, join, relative } from "node:path";
import { HubError } from "../errors.ts";
import { exists } from "../native/cache.ts";
import { isCommit, isPathInside } from "./names.ts";
import type { RepositoryKind } from "./repository.ts";
import { pause } from "./requests.ts";

/** The folder of one repository in the cache. */
export class CachedRepository {
  readonly #folder: string;
  readonly #locks: string;

  constructor(readonly cacheFolder: string, kind: RepositoryKind, name: string) {
    const own = [`${kind}s`, ...name.split("/")].join("--");
    this.#folder = join(cacheFolder, own);
    this.#locks = join(cacheFolder, ".locks", own);
  }

  /** The commit that `revision` was when the hub was last asked; null when it never was. */
  async commitOf(revision: string): Promise<string | null> {
    if (isCommit(revision)) return await exists(this.snapshot(revision)) ? revision : null;
    try {
      const commit = (await Deno.readTextFile(join(this.#folder, "refs", revision))).trim();
      return isCommit(commit) ? commit : null;
    } catch (error) {
      if (isAbsence(error)) return null;
      throw error;
    }
  }

  /** Notes which commit `revision` is. */
  async remember(revision: string, commit: string): Promise<void> {
    if (revision === commit || await this.commitOf(revision) === commit) return;
    const path = join(this.#folder, "refs", revision);
    await this.#writing(async () => {
      await Deno.mkdir(dirname(path), { recursive: true });
      const temporary = `${path}.${crypto.randomUUID().slice(0, 8)}.tmp`;
      await Deno.writeTextFile(temporary, commit);
      await Deno.rename(temporary, path);
    });
  }

  /** The folder of a commit's files. */
  snapshot(commit: string): string {
    return join(this.#folder, "snapshots", commit);
  }

  /** Where the file `path` of a commit is found. Throws {@linkcode HubError} when that were outside the snapshot. */
  pathOf(commit: string, path: string): string {
    if (isPathInside(path)) return join(this.snapshot(commit), path);
    throw new HubError(`${JSON.stringify(path)} is no path inside a repository: nothing is fetched for it`);
  }

  /** The files of a commit that are here. */
  async paths(commit: string): Promise<string[]> {
    return (await filesUnder(this.snapshot(commit))).toSorted();
  }

  /** Where the content with a tag is kept. */
  blob(tag: string): string {
    return join(this.#folder, "blobs", tag);
  }

  /** Lets a commit's `path` point to the content with a tag. */
  async link(commit: string, path: string, tag: string): Promise<void> {
    const pointer = this.pathOf(commit, path);
    await this.#writing(async () => {
      await Deno.mkdir(dirname(pointer), { recursive: true });
      const temporary = join(dirname(pointer), `.${crypto.randomUUID().slice(0, 8)}.link`);
      await nameAlso(this.blob(tag), temporary);
      await Deno.rename(temporary, pointer);
    });
  }

  /**
   * Runs `work` while no other process, of Python's either, fetches the content with that tag.
   *
   * The lock is `flock` on the file that Python's library locks. Two that fetch in spite of it, as on a file system
   * without locks, write the same bytes to the same places, and what they wrote is checked before it gets its name.
   */
  async underLock(tag: string, signal: AbortSignal | undefined, work: () => Promise<void>): Promise<void> {
    await this.#writing(async () => {
      await Deno.mkdir(this.#locks, { recursive: true });
      await Deno.mkdir(join(this.#folder, "blobs"), { recursive: true });
      using lock = await Deno.open(join(this.#locks, `${tag}.lock`), { write: true, create: true, mode: 0o664 });
      while (!await lock.tryLock(true)) await pause(100, signal);
      await work();
    });
  }

  async #writing(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      throw explained(error, this.cacheFolder);
    }
  }
}

/** Of a commit's folder in a cache: the model's name on the hub and the commit; null for any other folder. */
export function hubModelOf(folder: string): { readonly name: string; readonly commit: string } | null {
  const [, own = "", commit = ""] = /\/models--([^/]+)\/snapshots\/([0-9a-f]{40})\/*$/.exec(folder) ?? [];
  return own === "" ? null : { name: own.replace("--", "/"), commit };
}

const temporaryLink = /^\.[0-9a-f]{8}\.link$/;

async function filesUnder(folder: string, prefix = ""): Promise<string[]> {
  const found: string[] = [];
  try {
    for await (const { name, isDirectory } of Deno.readDir(folder)) {
      const path = prefix + name;
      if (isDirectory) found.push(...await filesUnder(join(folder, name), `${path}/`));
      else if (!temporaryLink.test(name) && await exists(join(folder, name))) found.push(path);
    }
  } catch (error) {
    if (!isAbsence(error)) throw error;
  }
  return found;
}

function isAbsence(error: unknown): boolean {
  return error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory ||
    error instanceof Deno.errors.IsADirectory;
}

function explained(error: unknown, folder: string): unknown {
  if (!(error instanceof Error)) return error;
  const code = "code" in error ? error.code : undefined;
  if (code === "ENOSPC" || code === "EDQUOT") {
    return new HubError(`no space left on the disk of ${folder}: free some, or set HF_HOME to another disk`);
  }
  const { PermissionDenied, AlreadyExists, NotADirectory, IsADirectory } = Deno.errors;
  const isUnwritable = [PermissionDenied, AlreadyExists, NotADirectory, IsADirectory].some((kind) =>
    error instanceof kind
  );
  if (!isUnwritable && code !== "EROFS") return error;
  return new HubError(
    `${folder} cannot be written (${error.message}): set HF_HOME to a folder that you can write`,
    null,
    {
      cause: error,
    },
  );
}

// Deno makes symbolic links only for who may read and write everywhere; a second name for the file serves as well.
async function nameAlso(content: string, path: string): Promise<void> {
  try {
    await Deno.symlink(relative(dirname(path), content), path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotCapable)) throw error;
    await Deno.link(content, path);
  }
}
