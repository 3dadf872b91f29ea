// What the tests of the hub share: a hub and an empty cache, and faults.

import { openRepository, type Repository } from "../../src/hub/repository.ts";
import type { HubOptions } from "../../src/hub/options.ts";
import { type FakeHub, type Fault, serveHub } from "./server.ts";

/** A hub, and a cache that goes with the test. */
export interface HubPlace extends AsyncDisposable {
  readonly hub: FakeHub;
  readonly cacheFolder: string;
  /** How the hub is spoken to: without a token, and without long pauses. */
  readonly options: HubOptions;
  /** Opens the model `org/name`. */
  readonly open: (options?: HubOptions) => Promise<Repository>;
}

/** Starts a hub beside an empty cache. */
export function hubPlace(): HubPlace {
  const hub = serveHub();
  const cacheFolder = Deno.makeTempDirSync();
  const patience = { firstPause: 1, idle: 10_000 };
  const options = { endpoint: hub.endpoint, token: "", cacheFolder, offline: false, patience };
  return {
    hub,
    cacheFolder,
    options,
    open: (more = {}) => openRepository("model", "org/name", { ...options, ...more }),
    [Symbol.asyncDispose]: async () => {
      await hub[Symbol.asyncDispose]();
      Deno.removeSync(cacheFolder, { recursive: true });
    },
  };
}

/** An address at which nobody listens. */
export function nobody(): string {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return `http://127.0.0.1:${(listener.addr as Deno.NetAddr).port}`;
}

/** Lets a fault happen at the requests whose method and path fit, so many times. */
export function sometimes(pattern: RegExp, times: number, fault: Fault): Fault {
  return (request, answer) => {
    const { pathname } = new URL(request.url);
    if (times === 0 || !pattern.test(`${request.method} ${pathname}`)) return null;
    times--;
    return fault(request, answer);
  };
}

/** An answer whose connection breaks after so many bytes. */
export function cutAfter(bytes: number): Fault {
  return async (_request, answer) => {
    const { status, headers, body } = await answer();
    const content = await new Response(body).bytes();
    const pieces = new ReadableStream({
      start: (controller) => controller.enqueue(content.slice(0, bytes)),
      // Fewer bytes than were announced: the server closes the connection.
      pull: (controller) => controller.close(),
    });
    return new Response(pieces, { status, headers });
  };
}

/** An answer of nothing but a status. */
export function status(code: number, headers: Record<string, string> = {}): Fault {
  return () => new Response("trouble", { status: code, headers });
}

/** An answer with other content or headers. */
export function changed(
  change: (content: Uint8Array<ArrayBuffer>, headers: Headers) => Uint8Array<ArrayBuffer>,
  code?: number,
): Fault {
  return async (_request, answer) => {
    const response = await answer();
    const headers = new Headers(response.headers);
    const content = change(await response.bytes(), headers);
    const hasBody = response.status === 200 || response.status === 206;
    if (hasBody && headers.has("content-length")) headers.set("content-length", String(content.length));
    return new Response(hasBody ? content : null, { status: code ?? response.status, headers });
  };
}

/** All files and links under a folder, with the targets of the links. */
export function everythingUnder(folder: string, prefix = ""): Record<string, string> {
  const entries = Deno.readDirSync(folder).toArray().flatMap(({ name, isDirectory, isSymlink }) => {
    const path = `${folder}/${name}`;
    if (isDirectory) return Object.entries(everythingUnder(path, `${prefix}${name}/`));
    return [[prefix + name, isSymlink ? Deno.readLinkSync(path) : "file"] as const];
  });
  return Object.fromEntries(entries);
}
