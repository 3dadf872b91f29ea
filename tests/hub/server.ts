// A server that behaves like the hub, with a second one in the part of its storage for large files; faults by script.

import { createHash } from "node:crypto";

/** A repository on the server, which tests may change at will. */
export interface ServedRepository {
  readonly kind: "model" | "dataset";
  readonly name: string;
  /** What each branch, tag and commit holds. */
  readonly revisions: Map<string, Commit>;
  /** `gated` and `private` need the token; `closed` is not open to it either. */
  access: "public" | "private" | "gated" | "closed";
}

/** The files of a repository at a commit. */
export interface Commit {
  readonly id: string;
  readonly files: Map<string, Uint8Array<ArrayBuffer>>;
}

/** What came, in the order in which it came. */
export interface Received {
  readonly server: "hub" | "storage";
  readonly method: string;
  /** Without host. */
  readonly path: string;
  readonly headers: Headers;
}

/** Answers instead of the server, or does something with its answer; null lets the server answer. */
export type Fault = (request: Request, answer: () => Promise<Response>) => Promise<Response | null> | Response | null;

/** The token that the hub knows. */
export const knownToken = "hf_known";

/** From so many bytes on a file is kept in the storage, as with LFS. */
export const largeFrom = 1000;

/** A hub for a test; see {@linkcode serveHub}. */
export class FakeHub implements AsyncDisposable {
  readonly repositories: ServedRepository[] = [];
  readonly received: Received[] = [];
  /** What is put in the storage by uploads, by SHA-256. */
  readonly uploads = new Map<string, Uint8Array<ArrayBuffer>>();
  /** The summaries of the commits that were made. */
  readonly commits: { readonly repository: string; readonly branch: string; readonly summary: string }[] = [];
  /** Each is asked in turn until one answers. */
  readonly faults: Fault[] = [];
  /** Names that lead to others. */
  readonly moved = new Map<string, string>();
  readonly #end = new AbortController();
  readonly #hub: Deno.HttpServer<Deno.NetAddr>;
  readonly #storage: Deno.HttpServer<Deno.NetAddr>;

  constructor() {
    const serve = (server: Received["server"], answer: (request: Request) => Promise<Response>) =>
      Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {}, signal: this.#end.signal }, async (request) => {
        const { pathname, search } = new URL(request.url);
        this.received.push({ server, method: request.method, path: pathname + search, headers: request.headers });
        for (const fault of this.faults) {
          const response = await fault(request, () => answer(request));
          if (response) return response;
        }
        return await answer(request);
      });
    this.#hub = serve("hub", (request) => this.#answer(request));
    this.#storage = serve("storage", (request) => this.#store(request));
  }

  get endpoint(): string {
    return `http://127.0.0.1:${this.#hub.addr.port}`;
  }

  /** On another host than the hub. */
  get storage(): string {
    return `http://localhost:${this.#storage.addr.port}`;
  }

  /** Adds a repository whose branch `main` has these files. */
  add(
    kind: ServedRepository["kind"],
    name: string,
    files: Readonly<Record<string, string | Uint8Array<ArrayBuffer>>>,
  ): ServedRepository {
    const repository: ServedRepository = { kind, name, revisions: new Map(), access: "public" };
    this.repositories.push(repository);
    commitTo(repository, "main", files);
    return repository;
  }

  /** The paths that were asked for with that method. */
  asked(method: string, server?: Received["server"]): string[] {
    return this.received.filter((each) => each.method === method && (!server || each.server === server))
      .map(({ path }) => path);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    // Connections that are open, with answers that never come, are closed too.
    this.#end.abort();
    await Promise.all([this.#hub.finished, this.#storage.finished]);
  }

  async #answer(request: Request): Promise<Response> {
    const path = decodeURIComponent(new URL(request.url).pathname);
    for (const [old, name] of this.moved) {
      if (path.includes(`/${old}/`)) {
        return new Response(null, { status: 307, headers: { location: path.replace(old, name) } });
      }
    }
    if (path === "/api/repos/create") return await this.#create(request);
    if (request.headers.has("authorization") && !isKnown(request)) {
      return refuse(401, null, "Invalid credentials in Authorization header");
    }
    const [, kinds = "models", name = "", action = "", rest = ""] =
      /^\/(?:api\/)?(?:(models|datasets)\/)?([^/]+(?:\/[^/]+)?)\/(revision|resolve|tree|preupload|commit|branch)\/(.*)$/
        .exec(path) ?? /^\/()(.+)\.git\/(info)\/lfs\/objects\/batch$/.exec(path) ?? [];
    const kind = kinds === "datasets" ? "dataset" : "model";
    const repository = this.repositories.find((each) => each.kind === kind && each.name === name);
    const refusal = accessRefusal(repository, request);
    if (refusal || !repository) return refusal ?? refuse(404, "RepoNotFound");
    if (action === "preupload") return await preupload(request);
    if (action === "commit") return await this.#commit(request, repository, rest);
    if (action === "branch") return createBranch(repository, rest);
    if (action === "info") return await this.#batch(request);
    return this.#read(action, rest, repository);
  }

  #read(action: string, rest: string, repository: ServedRepository): Response {
    const revision = [...repository.revisions.keys()].find((each) => rest === each || rest.startsWith(`${each}/`));
    const commit = repository.revisions.get(revision ?? "");
    if (revision === undefined || !commit) return refuse(404, "RevisionNotFound");
    if (action === "resolve") return this.#resolve(commit, rest.slice(revision.length + 1));
    const files = [...commit.files];
    if (action === "tree") {
      return Response.json(files.map(([path, content]) => ({
        ...{ type: "file", path, oid: gitTag(content), size: content.length },
        ...(content.length >= largeFrom && { lfs: { oid: sha256(content), size: content.length, pointerSize: 130 } }),
      })));
    }
    const siblings = files.map(([rfilename]) => ({ rfilename }));
    return Response.json({ id: repository.name, sha: commit.id, siblings });
  }

  #resolve({ id, files }: Commit, path: string): Response {
    const content = files.get(path);
    if (!content) return refuse(404, "EntryNotFound");
    const headers = { "x-repo-commit": id };
    if (content.length < largeFrom) {
      return new Response(content, {
        headers: { ...headers, etag: `"${gitTag(content)}"`, "content-length": String(content.length) },
      });
    }
    const tag = sha256(content);
    this.uploads.set(tag, content);
    return new Response(null, {
      status: 302,
      headers: {
        ...headers,
        "etag": `"${gitTag(content)}"`,
        "x-linked-etag": `"${tag}"`,
        "x-linked-size": String(content.length),
        "location": `${this.storage}/${tag}?signature=${crypto.randomUUID()}`,
      },
    });
  }

  async #store(request: Request): Promise<Response> {
    const tag = new URL(request.url).pathname.slice(1);
    if (request.method === "PUT") {
      if (!request.headers.has("content-length")) return new Response("MissingContentLength", { status: 411 });
      const content = await request.bytes();
      if (sha256(content) !== tag) return new Response("wrong content", { status: 400 });
      this.uploads.set(tag, content);
      return new Response(null, { status: 200, headers: { etag: `"${tag}"` } });
    }
    const content = this.uploads.get(tag);
    if (!content) return new Response("NoSuchKey", { status: 404 });
    const wanted = /^bytes=(\d+)-$/.exec(request.headers.get("range") ?? "")?.[1];
    const start = Number(wanted ?? 0);
    if (start >= content.length && start > 0) return new Response(null, { status: 416 });
    const part = content.slice(start);
    return new Response(part, {
      status: wanted === undefined ? 200 : 206,
      headers: {
        "etag": '"of-the-storage"',
        "content-length": String(part.length),
        ...(wanted !== undefined && { "content-range": `bytes ${start}-${content.length - 1}/${content.length}` }),
      },
    });
  }

  async #create(request: Request): Promise<Response> {
    if (!isKnown(request)) return refuse(401, null);
    const { organization, name, type, visibility } = await request.json();
    const id = `${organization}/${name}`;
    if (this.repositories.some((each) => each.name === id)) return refuse(409, null);
    const repository = this.add(type, id, {});
    if (visibility === "private") repository.access = "private";
    return Response.json({ url: `${this.endpoint}/${id}`, id });
  }

  async #batch(request: Request): Promise<Response> {
    const { objects } = await request.json() as { objects: { oid: string; size: number }[] };
    const upload = (oid: string) => this.uploads.has(oid) ? {} : { upload: { href: `${this.storage}/${oid}` } };
    return Response.json({
      transfer: "basic",
      objects: objects.map(({ oid, size }) => ({ oid, size, authenticated: true, actions: upload(oid) })),
    });
  }

  async #commit(request: Request, repository: ServedRepository, branch: string): Promise<Response> {
    const lines = (await request.text()).split("\n").map((line) => JSON.parse(line));
    const before = repository.revisions.get(branch);
    if (!before) return refuse(404, "RevisionNotFound");
    const files = Object.fromEntries(before.files);
    for (const { key, value } of lines) {
      if (key === "header") this.commits.push({ repository: repository.name, branch, summary: value.summary });
      else if (key === "file") files[value.path] = Uint8Array.fromBase64(value.content);
      else if (key === "lfsFile") files[value.path] = this.uploads.get(value.oid) ?? new Uint8Array();
      else return refuse(400, null, `what is ${key}?`);
    }
    const { id } = commitTo(repository, branch, files);
    return Response.json({
      success: true,
      commitOid: id,
      commitUrl: `${this.endpoint}/${repository.name}/commit/${id}`,
    });
  }
}

/** Starts a hub on free ports of this machine. */
export function serveHub(): FakeHub {
  return new FakeHub();
}

/** Lets a branch have exactly these files, in a new commit. */
export function commitTo(
  { revisions }: ServedRepository,
  branch: string,
  files: Readonly<Record<string, string | Uint8Array<ArrayBuffer>>>,
): Commit {
  const encoder = new TextEncoder();
  const contents = new Map(
    Object.entries(files).map((
      [path, content],
    ) => [path, typeof content === "string" ? encoder.encode(content) : content]),
  );
  const id = createHash("sha1").update(crypto.randomUUID()).digest("hex");
  const commit = { id, files: contents };
  revisions.set(branch, commit);
  revisions.set(id, commit);
  return commit;
}

/** Bytes that no part of is like another. */
export function noise(length: number, seed = 1): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(length);
  for (let index = 0, state = seed; index < length; index++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[index] = state >>> 24;
  }
  return bytes;
}

/** The SHA-256 of bytes, in hexadecimal digits. */
export function sha256(content: Uint8Array): string {
  return createHash("sha256").update(content).digest("hex");
}

/** The name that git gives a file's content. */
export function gitTag(content: Uint8Array): string {
  return createHash("sha1").update(`blob ${content.length}\0`).update(content).digest("hex");
}

function isKnown(request: Request): boolean {
  return request.headers.get("authorization") === `Bearer ${knownToken}`;
}

function accessRefusal(repository: ServedRepository | undefined, request: Request): Response | null {
  const known = isKnown(request);
  if (!repository) return refuse(known ? 404 : 401, "RepoNotFound");
  if (repository.access === "private" && !known) return refuse(401, "RepoNotFound");
  if (repository.access === "gated" && !known) return refuse(401, "GatedRepo");
  return repository.access === "closed" ? refuse(403, known ? "GatedRepo" : null) : null;
}

function refuse(status: number, code: string | null, message = "no"): Response {
  const headers = { ...(code !== null && { "x-error-code": code }), "x-error-message": message };
  return Response.json({ error: message }, { status, headers });
}

async function preupload(request: Request): Promise<Response> {
  const { files } = await request.json() as { files: { path: string; size: number }[] };
  const uploadMode = (size: number): string => size >= largeFrom ? "lfs" : "regular";
  return Response.json({ files: files.map(({ path, size }) => ({ path, uploadMode: uploadMode(size) })) });
}

function createBranch(repository: ServedRepository, branch: string): Response {
  if (repository.revisions.has(branch)) return refuse(409, null);
  commitTo(repository, branch, Object.fromEntries(repository.revisions.get("main")?.files ?? []));
  return Response.json({});
}
