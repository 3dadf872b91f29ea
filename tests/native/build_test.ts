// Building the shim: its key in the cache, its failures, and sources that come from a server.

import assert from "node:assert/strict";
import { join } from "node:path";
import { buildShim, shimPath } from "../../src/native/build.ts";
import { inspectLibTorch, type LibTorch } from "../../src/native/libtorch.ts";
import type { SetupEvent } from "../../src/native/progress.ts";
import {
  addCompiler,
  contents,
  environment,
  type FakeMachine,
  fakeMachine,
  linkableLibTorch,
  standInSources,
} from "./fakes.ts";

async function parts(machine: FakeMachine): Promise<{ libtorch: LibTorch; sources: URL }> {
  const libtorch = await inspectLibTorch(linkableLibTorch(join(machine.folder, "libtorch")), "environment");
  return { libtorch, sources: standInSources(join(machine.folder, "native")) };
}

function shims(machine: FakeMachine): string[] {
  return contents(join(machine.cache, "shim"));
}

Deno.test("the shim is built once, and can be loaded", async () => {
  using machine = fakeMachine();
  const { libtorch, sources } = await parts(machine);
  addCompiler(machine);
  const events: SetupEvent[] = [];
  const path = await buildShim(libtorch, { sources, onProgress: (event) => events.push(event) });
  assert.equal(path, await shimPath(libtorch, { sources }));
  assert.deepEqual([events[0]?.status, events.at(-1)?.status], ["started", "done"]);

  const starts = machine.starts("g++");
  assert.equal(await buildShim(libtorch, { sources, onProgress: () => assert.fail("nothing to do") }), path);
  assert.equal(machine.starts("g++"), starts);

  const library = Deno.dlopen(path, {
    ft_answer: { parameters: [], result: "i32" },
    ft_build_stamp: { parameters: [], result: "pointer" },
  });
  assert.equal(library.symbols.ft_answer(), 42);
  const stamp = library.symbols.ft_build_stamp();
  assert.equal(stamp && Deno.UnsafePointerView.getCString(stamp), "2.11.0 cxx11abi=1");
  library.close();
});

Deno.test("the key changes with a source, a header, the compiler, and LibTorch's version, ABI and folder", async () => {
  using machine = fakeMachine();
  const { libtorch, sources } = await parts(machine);
  const keys = [await shimPath(libtorch, { sources })];
  keys.push(await shimPath({ ...libtorch, version: "2.11.1" }, { sources }));
  keys.push(await shimPath({ ...libtorch, cxx11Abi: false }, { sources }));
  keys.push(await shimPath({ ...libtorch, root: "/elsewhere" }, { sources }));
  using _ = environment({ CXX: "ccache clang++" });
  keys.push(await shimPath(libtorch, { sources }));
  for (const name of ["tensors.cpp", "fewtune.h"]) {
    Deno.writeTextFileSync(new URL(name, sources), "// changed", { append: true });
    keys.push(await shimPath(libtorch, { sources }));
  }
  assert.equal(new Set(keys).size, keys.length);
});

Deno.test("no compiler is one line that says how to get one, and leaves nothing behind", async () => {
  using machine = fakeMachine();
  const { libtorch, sources } = await parts(machine);
  await assert.rejects(buildShim(libtorch, { sources }), {
    name: "SetupError",
    message: /g\+\+ is not on the PATH: install/,
  });
  using _ = environment({ CXX: "no-such-compiler -m64" });
  await assert.rejects(buildShim(libtorch, { sources }), { message: /no-such-compiler is not on the PATH/ });
  assert.deepEqual(shims(machine), []);
});

Deno.test("a broken build is one line with the first error and the log, and leaves nothing else behind", async () => {
  using machine = fakeMachine();
  const { libtorch, sources } = await parts(machine);
  addCompiler(machine);
  Deno.writeTextFileSync(new URL("memory.cpp", sources), "int broken() { return absent; }\n");
  const log = join(machine.cache, "shim/failed_build.log");
  await assert.rejects(buildShim(libtorch, { sources }), (error: Error) => {
    assert.equal(error.name, "SetupError");
    assert.match(error.message, /memory\.cpp:1:23: error: .*absent.* \(log: /);
    assert.ok(error.message.includes(log) && !error.message.includes("\n"));
    return true;
  });
  assert.deepEqual(shims(machine), []);
  assert.match(Deno.readTextFileSync(log), /g\+\+ .*-c memory\.cpp/);

  Deno.writeTextFileSync(new URL("memory.cpp", sources), "");
  await buildShim(libtorch, { sources });
  assert.equal(shims(machine).length, 1);
});

Deno.test("a LibTorch that cannot be linked to is a broken build", async () => {
  using machine = fakeMachine();
  const { libtorch, sources } = await parts(machine);
  addCompiler(machine);
  Deno.writeTextFileSync(join(libtorch.root, "lib/libc10.so"), "not a library");
  await assert.rejects(buildShim(libtorch, { sources }), {
    name: "SetupError",
    message: /for LibTorch 2\.11\.0: .*libc10/,
  });
  assert.deepEqual(shims(machine), []);
});

/** Serves the repository's modules, with the stand-in sources in the place of `native`. */
function serve(sources: URL): Deno.HttpServer<Deno.NetAddr> & { readonly url: string } {
  const root = new URL("../../", import.meta.url);
  const handler = async (request: Request): Promise<Response> => {
    const { pathname } = new URL(request.url);
    const native = "/native/";
    const file = pathname.startsWith(native)
      ? new URL(pathname.slice(native.length), sources)
      : new URL(`.${pathname}`, root);
    const type = pathname.endsWith(".ts") ? "application/typescript" : "text/plain";
    try {
      return new Response(await Deno.readTextFile(file), { headers: { "content-type": type } });
    } catch {
      return new Response(null, { status: 404 });
    }
  };
  const server = Deno.serve({ hostname: "127.0.0.1", port: 0, onListen: () => {} }, handler);
  return Object.assign(server, { url: `http://127.0.0.1:${server.addr.port}/` });
}

Deno.test("sources from a server are built as those from the disk, and once more when it is gone", async () => {
  using machine = fakeMachine();
  const { libtorch, sources } = await parts(machine);
  addCompiler(machine);
  const server = serve(sources);
  const remote = new URL("native/", server.url);
  const path = await buildShim(libtorch, { sources: remote });
  assert.equal(path, await shimPath(libtorch, { sources }));
  await server.shutdown();
  assert.equal(await buildShim(libtorch, { sources: remote }), path);
  await assert.rejects(buildShim(libtorch, { sources: new URL("other/", remote) }), {
    name: "SetupError",
    message: /the shim's source http:\S+ could not be read: check the network/,
  });
});

Deno.test("a source that the server does not have is named", async () => {
  using machine = fakeMachine();
  const { libtorch, sources } = await parts(machine);
  await using server = serve(sources);
  await assert.rejects(shimPath(libtorch, { sources: new URL("nowhere/", server.url) }), {
    name: "SetupError",
    message: /nowhere\/\S+ could not be fetched \(HTTP 404\)/,
  });
});

Deno.test("a module imported from a server finds the sources beside it, with few permissions", async () => {
  using machine = fakeMachine();
  const { libtorch, sources } = await parts(machine);
  addCompiler(machine);
  await using server = serve(sources);
  const program = join(machine.folder, "program.ts");
  Deno.writeTextFileSync(
    program,
    `import { buildShim } from "${server.url}src/native/build.ts";\n` +
      `console.log(await buildShim(${JSON.stringify(libtorch)} as const));\n`,
  );
  const host = new URL(server.url).host;
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: [
      ...["run", "--no-config", `--allow-import=${host}`, `--allow-net=${host}`, "--allow-env", "--allow-run=g++"],
      ...[`--allow-read=${machine.cache}`, `--allow-write=${machine.cache}`, program],
    ],
    cwd: machine.folder,
    env: { NO_COLOR: "1" },
  }).output();
  assert.ok(success, new TextDecoder().decode(stderr));
  assert.equal(new TextDecoder().decode(stdout).trim(), await shimPath(libtorch, { sources }));
});
