// Stand-ins for what the native layer finds on a machine: LibTorch, Python with pip, a compiler, the shim's sources.

import { join } from "node:path";
import { shimSources } from "../../src/native/shim_sources.ts";

/** The PATH of the machine on which the tests run. */
export const realPath: string = Deno.env.get("PATH") ?? "";

/** A temporary folder, removed when disposed. */
export function temporaryFolder(): Disposable & { readonly path: string } {
  const path = Deno.makeTempDirSync({ prefix: "fewtune-test-" });
  return { path, [Symbol.dispose]: () => Deno.removeSync(path, { recursive: true }) };
}

/** Sets (or, with `null`, removes) environment variables until disposed. */
export function environment(variables: Record<string, string | null>): Disposable {
  const before = Object.keys(variables).map((name) => [name, Deno.env.get(name) ?? null] as const);
  const apply = ([name, value]: readonly [string, string | null]): void => {
    if (value === null) Deno.env.delete(name);
    else Deno.env.set(name, value);
  };
  Object.entries(variables).forEach(apply);
  return { [Symbol.dispose]: () => before.forEach(apply) };
}

/** A machine of its own: an empty cache, and a PATH with nothing on it but what `addProgram` puts there. */
export interface FakeMachine extends Disposable {
  readonly folder: string;
  readonly cache: string;
  /** Puts a shell script on the PATH. Each start of it is noted. */
  addProgram(name: string, script: string): void;
  /** How often a program from `addProgram` was started. */
  starts(name: string): number;
}

/** Makes a machine on which nothing is installed. */
export function fakeMachine(): FakeMachine {
  const folder = temporaryFolder();
  const bin = join(folder.path, "bin");
  const cache = join(folder.path, "cache");
  Deno.mkdirSync(bin);
  const variables = environment({
    ...{ PATH: bin, PYTHONPATH: null, CXX: null, FEWTUNE_LIBTORCH: null, FEWTUNE_CACHE: cache },
    ...{ PIP_NO_INDEX: null, PIP_FIND_LINKS: null, PIP_INDEX_URL: null, PIP_EXTRA_INDEX_URL: null },
  });
  const log = (name: string): string => join(folder.path, `${name}.starts`);
  return {
    folder: folder.path,
    cache,
    addProgram: (name, script) => {
      const text = `#!/bin/sh\nexport PATH='${realPath}'\necho start "$@" >> '${log(name)}'\n${script}\n`;
      Deno.writeTextFileSync(join(bin, name), text, { mode: 0o755 });
    },
    starts: (name) => {
      try {
        return Deno.readTextFileSync(log(name)).match(/^start /gm)?.length ?? 0;
      } catch {
        return 0;
      }
    },
    [Symbol.dispose]: () => {
      variables[Symbol.dispose]();
      folder[Symbol.dispose]();
    },
  };
}

/** What a fake Python says of itself, and what its pip does. */
export interface FakePython {
  readonly version?: string;
  readonly pip?: string | null;
  readonly torch?: string | null;
  /** Shell commands that `pip install` runs; `$target` is the folder it installs into. */
  readonly install?: string;
}

/** Puts a `python3` on the machine's PATH. */
export function addPython(machine: FakeMachine, python: FakePython = {}): void {
  const { version = "3.11.7", pip = "23.2.1", torch = null, install = "exit 1" } = python;
  machine.addProgram(
    "python3",
    [
      `if [ "$1" = -c ]; then echo '${JSON.stringify({ version, pip, torch })}'; exit 0; fi`,
      `while [ "$1" != --target ]; do shift; done; target=$2`,
      install,
    ].join("\n"),
  );
}

/** Puts the real `g++` on the machine's PATH, so that its starts are counted. */
export function addCompiler(machine: FakeMachine): void {
  machine.addProgram("g++", `exec g++ "$@"`);
}

/** Makes a folder that looks like a LibTorch of the given version, but cannot be linked to. */
export function fakeLibTorch(root: string, version = "2.11.0"): string {
  const headers = join(root, "include/torch/csrc/api/include/torch");
  Deno.mkdirSync(headers, { recursive: true });
  Deno.mkdirSync(join(root, "lib"), { recursive: true });
  const [major, minor, patch] = version.split(".");
  Deno.writeTextFileSync(
    join(headers, "version.h"),
    [
      `#define TORCH_VERSION_MAJOR ${major}`,
      `#define TORCH_VERSION_MINOR ${minor}`,
      `#define TORCH_VERSION_PATCH ${patch}`,
    ].join("\n"),
  );
  for (const library of ["libtorch_cpu.so", "libc10.so"]) Deno.writeTextFileSync(join(root, "lib", library), "");
  return root;
}

/** As {@link fakeLibTorch}, with libraries that can be linked to and that have a symbol with a `std::string`. */
export function linkableLibTorch(root: string, cxx11Abi = true): string {
  fakeLibTorch(root);
  const source = join(root, "c10.cpp");
  const code =
    "namespace c10 { struct Error { void add_context(std::string); }; void Error::add_context(std::string) {} }";
  Deno.writeTextFileSync(source, `#include <string>\n${code}\n`);
  const library = join(root, "lib/libc10.so");
  const flags = ["-shared", "-fPIC", `-D_GLIBCXX_USE_CXX11_ABI=${cxx11Abi ? 1 : 0}`];
  const compiler = new Deno.Command("g++", { args: [...flags, source, "-o", library], env: { PATH: realPath } });
  if (!compiler.outputSync().success) throw new Error(`${source} does not compile`);
  Deno.copyFileSync(library, join(root, "lib/libtorch_cpu.so"));
  return root;
}

/** Writes small sources under the names of the shim's, and returns their folder as a URL that ends in `/`. */
export function standInSources(folder: string): URL {
  Deno.mkdirSync(folder, { recursive: true });
  for (const name of shimSources) Deno.writeTextFileSync(join(folder, name), "");
  Deno.writeTextFileSync(join(folder, "fewtune.h"), "#define ANSWER 42\n");
  Deno.writeTextFileSync(
    join(folder, "tensors.cpp"),
    '#include "fewtune.h"\nextern "C" int ft_answer() { return ANSWER; }\n' +
      'extern "C" const char* ft_build_stamp() { return FEWTUNE_BUILD_STAMP; }\n',
  );
  return new URL(`file://${folder}/`);
}

/** The names in a folder that are neither hidden nor logs, sorted; none when it does not exist. */
export function contents(folder: string): string[] {
  try {
    const names = [...Deno.readDirSync(folder)].map(({ name }) => name);
    return names.filter((name) => name !== ".lock" && !name.endsWith(".log")).sort();
  } catch {
    return [];
  }
}
