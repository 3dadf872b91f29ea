// A repository on the hub at one commit: which files it has, and where they are on this machine once fetched.

import { HubError } from "../errors.ts";
import { exists } from "../native/cache.ts";
import { CachedRepository } from "./cache_layout.ts";
import { download, refuseWebPage } from "./download.ts";
import { type Asked, refusal } from "./failures.ts";
import { checkRepositoryName, checkRevision, isCommit, isPathInside } from "./names.ts";
import type { HubOptions } from "./options.ts";
import { persistently, request } from "./requests.ts";
import { type HubSettings, hubSettings } from "./settings.ts";

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
  /** Whether the hub was not to be asked, or gave no answer. */
  readonly isOffline: boolean;
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
export async function openRepository(
  kind: RepositoryKind,
  name: string,
  options: HubOptions = {},
): Promise<Repository> {
  checkRepositoryName(name);
  const settings = hubSettings(options);
  checkRevision(settings.revision);
  const cached = new CachedRepository(settings.cacheFolder, kind, name);
  const { revision, endpoint, token } = settings;
  const asked: Asked = { kind, name, revision, endpoint, hasToken: token !== null };
  const known = await cached.commitOf(revision);
  if (settings.offline) return await fromCache(cached, asked, known, `HF_HUB_OFFLINE keeps it off the network`);
  try {
    return online(await listing(asked, settings, known !== null), cached, asked, settings);
  } catch (error) {
    if (known === null || !(error instanceof HubError) || !isOutage(error)) throw error;
    return await fromCache(cached, asked, known, error.message);
  }
}

// Without an answer, or with one that says no more than that the hub is in trouble.
function isOutage({ status }: HubError): boolean {
  return status === null || status === 429 || status >= 500;
}

interface Listing {
  readonly commit: string;
  readonly paths: readonly string[];
}

// Where the cache can stand in for the hub, the hub is asked once.
async function listing(asked: Asked, settings: HubSettings, hasCache: boolean): Promise<Listing> {
  const { kind, name, revision, endpoint } = asked;
  const url = `${endpoint}/api/${kind}s/${name}/revision/${encodeURIComponent(revision)}`;
  const patience = { ...settings.patience, ...(hasCache && { attempts: 1 }) };
  return await persistently(
    { ...settings, patience },
    () =>
      request({ method: "GET", url, follow: () => true }, asked, settings, async ({ headers, body }) => {
        refuseWebPage(headers, asked);
        return parseListing(await textOf(body()), asked);
      }),
  );
}

const mostListingBytes = 256 * 2 ** 20;

async function textOf(body: AsyncIterable<Uint8Array<ArrayBuffer>>): Promise<string> {
  const pieces: Uint8Array<ArrayBuffer>[] = [];
  let bytes = 0;
  for await (const piece of body) {
    pieces.push(piece);
    bytes += piece.length;
    if (bytes > mostListingBytes) {
      throw new HubError(`the hub's list of files is longer than ${mostListingBytes} bytes`);
    }
  }
  return await new Blob(pieces).text();
}

function parseListing(text: string, { endpoint, name }: Asked): Listing {
  const { sha, siblings } = parseObject(text);
  if (!isCommit(sha) || !Array.isArray(siblings)) {
    throw new HubError(`${endpoint} does not answer as a hub does when asked for ${name}: check HF_ENDPOINT`);
  }
  const paths = siblings.map((each: unknown) => Object(each).rfilename).filter((path) => typeof path === "string");
  return { commit: sha, paths: paths.filter(isPathInside) };
}

function parseObject(text: string): { readonly sha?: unknown; readonly siblings?: unknown } {
  try {
    return Object(JSON.parse(text));
  } catch {
    return {};
  }
}

async function online(
  { commit, paths }: Listing,
  cached: CachedRepository,
  asked: Asked,
  settings: HubSettings,
): Promise<Repository> {
  const { kind, name, revision } = asked;
  await cached.remember(revision, commit);
  const listed = new Set(paths);
  const fetch = async (path: string): Promise<string> => {
    const local = cached.pathOf(commit, path);
    if (await exists(local)) return local;
    if (!listed.has(path)) throw refusal(404, "EntryNotFound", { ...asked, path });
    await download({ asked: { ...asked, path }, commit, cached, settings });
    return local;
  };
  return { kind, name, commit, paths, isOffline: false, fetch };
}

async function fromCache(
  cached: CachedRepository,
  { kind, name, revision }: Asked,
  commit: string | null,
  why: string,
): Promise<Repository> {
  const lacks = (what: string): HubError =>
    new HubError(`${what} is not in the cache (${cached.cacheFolder}), and ${why}`);
  if (commit === null) throw lacks(`the ${kind} ${name} at revision ${revision}`);
  const fetch = async (path: string): Promise<string> => {
    const local = cached.pathOf(commit, path);
    if (await exists(local)) return local;
    throw lacks(`${path} of ${name} at revision ${revision}`);
  };
  return { kind, name, commit, paths: await cached.paths(commit), isOffline: true, fetch };
}
