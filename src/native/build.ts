// Builds the shim with the C++ compiler of the machine, once for each LibTorch and each change of its sources.

import { createHash } from "node:crypto";
import { dirname, join } from "node:path";
import { SetupError } from "../errors.ts";
import { cacheFolder } from "./cache.ts";
import { type Finished, run } from "./command.ts";
import type { LibTorch } from "./libtorch.ts";
import { makeOnce } from "./make_once.ts";
import { asStep, type OnProgress } from "./progress.ts";
import { readShimSources, type SourceTexts } from "./shim_sources.ts";

/** How the shim is built. */
export interface BuildOptions {
  readonly onProgress?: OnProgress;
  /** The folder of its sources, a URL that ends in `/`; the one beside this module unless given. */
  readonly sources?: URL;
  /** Ends the build, which then throws the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

const compileTimeout = 900;

/** The C++ compiler and its first arguments: `CXX` split at spaces, else `g++`; needs `--allow-env=CXX`. */
export function compiler(): readonly [string, ...string[]] {
  const [program = "g++", ...args] = (Deno.env.get("CXX") ?? "").split(/\s+/).filter((part) => part !== "");
  return [program, ...args];
}

/**
 * Where the shim for `libtorch` is, or will be when it is built. The path is its key: it changes with the sources, the
 * compile command, and LibTorch's folder, version and C++ ABI.
 *
 * Needs what reading the sources needs, and `--allow-env` for the cache and `CXX`.
 *
 * @throws SetupError when the sources cannot be read.
 */
export async function shimPath(libtorch: LibTorch, options: BuildOptions = {}): Promise<string> {
  return pathFor(libtorch, await readShimSources(options.sources));
}

/**
 * Builds the shim unless it is built, and returns its path. It is put in place whole; a build that fails leaves
 * nothing behind but the compiler's log.
 *
 * Needs what {@link shimPath} needs, `--allow-read` and `--allow-write` of the cache, and `--allow-run=g++` (or what
 * `CXX` names) when it is not built yet.
 *
 * @throws SetupError when the sources cannot be read, without a compiler, when it fails, or after 15 minutes; and the
 * signal's reason when it stopped the build.
 */
export async function buildShim(libtorch: LibTorch, options: BuildOptions = {}): Promise<string> {
  const sources = await readShimSources(options.sources);
  const path = pathFor(libtorch, sources);
  if (await isFile(path)) return path;
  await asStep(`building the shim for LibTorch ${libtorch.version}`, options.onProgress, async (report) => {
    const build = (folder: string): Promise<void> => compileAndLink(libtorch, sources, folder, report, options.signal);
    await makeOnce(dirname(path), build, () => report("waiting for another process that builds it"));
  });
  return path;
}

function pathFor(libtorch: LibTorch, sources: SourceTexts): string {
  const { root, version, cxx11Abi } = libtorch;
  const parts = [root, version, cxx11Abi, compiler(), compileFlags(libtorch), linkFlags(libtorch), [...sources]];
  const key = createHash("sha256").update(JSON.stringify(parts)).digest("hex").slice(0, 16);
  return join(cacheFolder("shim"), key, "libfewtune.so");
}

function compileFlags({ root, version, cxx11Abi }: LibTorch): string[] {
  return [
    ...["-O2", "-std=c++17", "-fPIC", `-D_GLIBCXX_USE_CXX11_ABI=${cxx11Abi ? 1 : 0}`],
    // The loader compares it with the LibTorch that it is about to load.
    `-DFEWTUNE_BUILD_STAMP="${version} cxx11abi=${cxx11Abi ? 1 : 0}"`,
    // As system headers: their warnings are not ours.
    ...["-isystem", join(root, "include"), "-isystem", join(root, "include/torch/csrc/api/include")],
  ];
}

function linkFlags({ root }: LibTorch): string[] {
  const lib = join(root, "lib");
  return ["-L", lib, "-Wl,--no-as-needed", "-ltorch_cpu", "-lc10", "-Xlinker", "-rpath", "-Xlinker", lib];
}

async function compileAndLink(
  libtorch: LibTorch,
  sources: SourceTexts,
  folder: string,
  report: (detail: string) => void,
  stopped?: AbortSignal,
): Promise<void> {
  for (const [name, text] of sources) await Deno.writeTextFile(join(folder, name), text);
  const units = [...sources.keys()].filter((name) => name.endsWith(".cpp"));
  let finished = 0;
  await inParallel(units, stopped, async (unit, signal) => {
    await compile([...compileFlags(libtorch), "-c", unit, "-o", `${unit}.o`], folder, libtorch, signal);
    report(`${unit} (${++finished} of ${units.length})`);
  });
  const objects = units.map((unit) => `${unit}.o`);
  await compile(["-shared", ...objects, ...linkFlags(libtorch), "-o", "libfewtune.so"], folder, libtorch, stopped);
  await Promise.all(objects.map((object) => Deno.remove(join(folder, object))));
}

async function inParallel(
  names: readonly string[],
  stopped: AbortSignal | undefined,
  work: (name: string, signal: AbortSignal) => Promise<void>,
): Promise<void> {
  const waiting = [...names];
  const stop = new AbortController();
  const signal = stopped ? AbortSignal.any([stop.signal, stopped]) : stop.signal;
  const worker = async (): Promise<void> => {
    for (let name = waiting.shift(); name !== undefined && !signal.aborted; name = waiting.shift()) {
      await work(name, signal);
    }
  };
  const workers = Array.from({ length: navigator.hardwareConcurrency }, () => {
    return worker().catch((error) => {
      stop.abort(error);
    });
  });
  await Promise.all(workers);
  signal.throwIfAborted();
}

async function compile(args: string[], folder: string, libtorch: LibTorch, signal?: AbortSignal): Promise<void> {
  const [program, ...first] = compiler();
  let result: Finished;
  try {
    result = await run(program, [...first, ...args], {
      timeout: compileTimeout,
      cwd: folder,
      env: { TMPDIR: folder, LC_ALL: "C" },
      ...(signal ? { signal } : {}),
    });
  } catch (error) {
    throw error instanceof Deno.errors.NotFound ? noCompiler(program) : error;
  }
  // Ctrl-C ends the compiler too, perhaps before it is heard of here.
  if (result.code > 128) await new Promise((done) => setTimeout(done, 100));
  signal?.throwIfAborted();
  if (result.code !== 0 || result.timedOut) throw await compileFailure([program, ...first, ...args], result, libtorch);
}

function noCompiler(program: string): SetupError {
  return new SetupError(
    `the C++ compiler ${program} is not on the PATH: install g++ (Debian, Ubuntu: apt install g++; ` +
      `Fedora: dnf install gcc-c++), or set CXX to the one you have`,
  );
}

async function compileFailure(command: string[], result: Finished, { version }: LibTorch): Promise<SetupError> {
  const { lines, timedOut } = result;
  const log = join(cacheFolder("shim"), "failed_build.log");
  await Deno.writeTextFile(log, [command.join(" "), ...lines, ""].join("\n")).catch(() => {});
  if (lines.some((line) => /no space left on device/i.test(line))) {
    return new SetupError("the disk is full: free some space, or set FEWTUNE_CACHE to a folder on another disk");
  }
  const first = lines.find((line) => /\b(error|undefined reference|cannot find)\b/i.test(line)) ?? lines[0];
  const reason = timedOut ? `no end after ${compileTimeout} seconds` : first ?? `exit code ${result.code}`;
  return new SetupError(`the shim does not build with ${command[0]} for LibTorch ${version}: ${reason} (log: ${log})`);
}

async function isFile(path: string): Promise<boolean> {
  try {
    return (await Deno.stat(path)).isFile;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
