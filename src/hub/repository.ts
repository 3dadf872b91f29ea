// A repository on the hub at one commit: which files it has, and where they are on this machine once fetched.

import type { HubOptions } from "./options.ts";

/** What a repository on the hub holds. */
export type RepositoryKind = "model" | "dataset";

/** A repository at one commit; made by {@linkcode openRepository}. */
export interface Repository {
  readonly kind: RepositoryKind;
  /** `org/name`, or the one word of the hub's first years. */
  readonly name: string;
  /** The commit that the revision meant when it was opened: 40 hexadecimal digits. */
  readonly commit: string;
  /** The files at that commit, such as `data/train.parquet`; offline, those of them that are in the cache. */
  readonly paths: readonly string[];
  /**
   * Downloads a file unless the cache has it, and gives its path on this machine.
   *
   * @throws {HubError} when it is not there, or cannot be downloaded whole and right
   */
  fetch(path: string): Promise<string>;
}

/**
 * Asks the hub which files a repository has at a revision. Without a network, what the cache knows of it.
 *
 * Needs `--allow-net` of the endpoint and where it redirects to, `--allow-env`, and `--allow-read` and `--allow-write`
 * of the cache.
 *
 * @throws {HubError} when there is no such repository or revision, or it may not be read, or the hub cannot be asked
 */
export function openRepository(
  _kind: RepositoryKind,
  _name: string,
  _options: HubOptions = {},
): Promise<Repository> {
  throw new Error("not yet");
}
