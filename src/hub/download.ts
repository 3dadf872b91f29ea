// Downloads one file of a commit into the cache: in pieces where the connection breaks, and checked at the end.

import { HubError } from "../errors.ts";
import { exists } from "../native/cache.ts";
import type { CachedRepository } from "./cache_layout.ts";
import { fitsTag } from "./checksum.ts";
import { type Asked, unreachable } from "./failures.ts";
import { contentTag } from "./names.ts";
import { Passing, persistently, request } from "./requests.ts";
import type { HubSettings } from "./settings.ts";

/** A file of a commit, and where it is kept. */
export interface RemoteFile {
  readonly asked: Asked & { readonly path: string };
  readonly commit: string;
  readonly cached: CachedRepository;
  readonly settings: HubSettings;
}

/** What the hub says of a file before it is downloaded. */
interface Announced {
  readonly tag: string;
  /** In bytes; null when the hub does not say. */
  readonly size: number | null;
}

/**
 * Downloads a file. What an earlier attempt left is gone on with, if the hub's tag for the content is still the same.
 *
 * @throws {HubError} when it cannot be had whole and right
 */
export async function download(file: RemoteFile): Promise<void> {
  const { cached, commit, settings, asked } = file;
  const report = progressOf(file);
  let received = 0;
  let damaged = 0;
  await persistently(settings, async () => {
    const announced = await announcement(file);
    const blob = cached.blob(announced.tag);
    await cached.underLock(announced.tag, settings.signal, async () => {
      if (await exists(blob)) return;
      const partial = `${blob}.incomplete`;
      await fill(partial, announced, file, (bytes, done) => {
        received += bytes;
        report(done, announced.size);
      });
      const fault = await faultOf(partial, announced);
      if (fault === null) return await Deno.rename(partial, blob);
      await Deno.remove(partial);
      const error = new HubError(`${asked.path} of ${asked.name} ${fault}: try again, or check the proxy in between`);
      throw damaged++ === 0 ? new Passing(error, 0) : error;
    });
    await cached.link(commit, asked.path, announced.tag);
  }, () => received);
}

// The redirect to where large files are kept says what they are; it is not followed for that.
function announcement({ asked, settings, commit }: RemoteFile): Promise<Announced> {
  const follow = (_from: URL, _to: URL, headers: Headers): boolean => !headers.has("x-linked-etag");
  return request({ method: "HEAD", url: addressOf(asked, commit), follow }, asked, settings, ({ headers }) => {
    const what = `${asked.path} of ${asked.name}`;
    const answered = headers.get("x-repo-commit");
    if (answered !== commit) {
      throw new HubError(
        `${asked.endpoint} answers for ${what} as no hub does (X-Repo-Commit: ${answered}): check HF_ENDPOINT and the proxy`,
      );
    }
    const linked = headers.get("x-linked-etag");
    const size = headers.get(linked === null ? "content-length" : "x-linked-size");
    return Promise.resolve({
      tag: contentTag(linked ?? headers.get("etag"), what),
      size: size !== null && /^\d+$/.test(size) ? Number(size) : null,
    });
  });
}

// Writes what is missing behind what `partial` has. A break in between leaves what came.
async function fill(
  partial: string,
  announced: Announced,
  { asked, settings, commit }: RemoteFile,
  onBytes: (bytes: number, done: number) => void,
): Promise<void> {
  using output = await Deno.open(partial, { read: true, write: true, create: true });
  const from = await keptBytes(output, announced);
  if (from === announced.size) return;
  let isOther = false;
  const follow = (_from: URL, _to: URL, headers: Headers): boolean => {
    const linked = headers.get("x-linked-etag");
    isOther ||= linked !== null && contentTag(linked, asked.path) !== announced.tag;
    return true;
  };
  const headers = from > 0 ? { range: `bytes=${from}-` } : {};
  const wanted = { method: "GET", url: addressOf(asked, commit), headers, follow } as const;
  try {
    await request(wanted, asked, settings, async (response) => {
      refuseWebPage(response.headers, asked);
      if (isOther) throw new Passing(unreachable(asked.endpoint, `${asked.path} changed meanwhile`));
      let done = response.status === 206 ? from : 0;
      if (response.status === 206 && !beginsAt(from, response.headers)) {
        await output.truncate(0);
        throw new Passing(unreachable(asked.endpoint, `another range of ${asked.path} came than was asked for`));
      }
      await output.seek(done, Deno.SeekMode.Start);
      onBytes(0, done);
      for await (const piece of response.body()) {
        for (let written = 0; written < piece.length;) written += await output.write(piece.subarray(written));
        done += piece.length;
        onBytes(piece.length, done);
        if (announced.size !== null && done > announced.size) return;
      }
      if (announced.size !== null && done < announced.size) {
        throw new Passing(unreachable(asked.endpoint, `${asked.path} ended after ${done} of ${announced.size} bytes`));
      }
    });
  } catch (error) {
    if (!(error instanceof HubError && error.status === 416)) throw error;
    // What is there reaches beyond what the server has.
    await output.truncate(0);
    throw new Passing(error);
  }
}

async function keptBytes(output: Deno.FsFile, { size }: Announced): Promise<number> {
  const kept = (await output.stat()).size;
  if (size !== null && kept <= size) return kept;
  await output.truncate(0);
  return 0;
}

// `Content-Range: bytes 100-199/200`
function beginsAt(start: number, headers: Headers): boolean {
  return headers.get("content-range")?.startsWith(`bytes ${start}-`) ?? false;
}

async function faultOf(partial: string, { tag, size }: Announced): Promise<string | null> {
  const found = (await Deno.stat(partial)).size;
  if (size !== null && found !== size) return `came with ${found} bytes, the hub said ${size}`;
  return await fitsTag(partial, tag) ? null : `came damaged: its content does not fit the hub's tag ${tag}`;
}

/** Throws when a web page comes where a file was asked for: a login page, or a proxy's notice. */
export function refuseWebPage(headers: Headers, { endpoint, name, path = "" }: Asked): void {
  if (!/^text\/html\b/i.test(headers.get("content-type") ?? "") || /\.html?$/i.test(path)) return;
  throw new HubError(
    `${endpoint} answers with a web page instead of ${path || "the files"} of ${name}: ` +
      `check HF_ENDPOINT, and whether the network wants a login or a proxy`,
  );
}

function addressOf({ kind, name, endpoint, path }: RemoteFile["asked"], commit: string): string {
  const encoded = path.split("/").map(encodeURIComponent).join("/");
  return `${endpoint}/${kind === "model" ? "" : `${kind}s/`}${name}/resolve/${commit}/${encoded}`;
}

const eventMilliseconds = 100;

function progressOf({ asked, settings }: RemoteFile): (done: number, total: number | null) => void {
  let last = -Infinity;
  return (done, total) => {
    const now = performance.now();
    if (now - last < eventMilliseconds && done !== total) return;
    last = now;
    settings.onProgress?.({ type: "download", repository: asked.name, path: asked.path, done, total });
  };
}
