// A local server of the repository, as a host from which Fewtune is imported.

/** Serves files until it is disposed. */
export interface RepositoryServer extends AsyncDisposable {
  /** Host and port. */
  readonly host: string;
  /** The paths that were asked for. */
  readonly requests: string[];
}

/** The folder of the repository. */
export const repository = new URL("../../", import.meta.url);

const mediaTypes: Readonly<Record<string, string>> = { ts: "application/typescript", json: "application/json" };

/** Starts a server on a free port of this machine. */
export function serveRepository(): RepositoryServer {
  const requests: string[] = [];
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, async ({ url }) => {
    const { pathname } = new URL(url);
    requests.push(pathname);
    try {
      const content = await Deno.readFile(new URL(`.${pathname}`, repository));
      const type = mediaTypes[pathname.split(".").at(-1) ?? ""] ?? "text/plain";
      return new Response(content, { headers: { "content-type": type } });
    } catch {
      return new Response(null, { status: 404 });
    }
  });
  return {
    host: `127.0.0.1:${server.addr.port}`,
    requests,
    [Symbol.asyncDispose]: () => server.shutdown(),
  };
}
