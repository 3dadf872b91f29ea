// Looks at all that Fewtune needs of a machine, and names what is wrong and what to do about it.

import { SetupError } from "../errors.ts";
import { version } from "../version.ts";
import { compiler, shimPath } from "./build.ts";
import { cacheFolder, type CachePart, cacheParts, exists, folderBytes } from "./cache.ts";
import { runIfPresent } from "./command.ts";
import { cudaVersion, nvidiaDriver, whyNoCuda } from "./cuda.ts";
import { findLibTorch, type LibTorch, versionNote } from "./libtorch.ts";
import { describeMachine, type Machine } from "./machine.ts";
import type { Native } from "./prepare.ts";
import { findPythons, type Python } from "./python.ts";

/** Something that does not work, or not as well as it could. */
export interface Problem {
  readonly what: string;
  /** What to do about it; `null` where `what` ends in that. */
  readonly remedy: string | null;
  /** Whether Fewtune cannot run because of it. */
  readonly fatal: boolean;
}

/** What only the loaded shim can tell. */
export interface Runtime {
  /** Threads that LibTorch computes with. */
  readonly threads: number;
  readonly cudaDeviceCount: number;
  /** Why the CUDA half did not load, in one line; `null` when it did, or is not there. */
  readonly cudaError: string | null;
}

/** How to diagnose. */
export interface DiagnoseOptions {
  /** Loads the shim and asks it; called only when LibTorch is there and the shim is built. */
  readonly load?: (native: Native) => Promise<Runtime>;
  /** The folder of the shim's sources; the one beside this module unless given. */
  readonly sources?: URL;
}

/** All that was found. */
export interface Diagnosis {
  readonly versions: Readonly<Record<"fewtune" | "deno" | "v8" | "typescript", string>>;
  readonly machine: Machine;
  /** The C++ compiler, with the first line of its own description; `null` when it does not start. */
  readonly compiler: { readonly command: string; readonly version: string } | null;
  readonly python: Omit<Python, "torch"> | null;
  readonly libtorch: LibTorch | null;
  readonly shim: { readonly path: string; readonly built: boolean } | null;
  /** Paths of the libraries of LibTorch, CUDA and OpenMP in this process. */
  readonly loadedLibraries: readonly string[];
  readonly cuda: {
    readonly works: boolean;
    readonly reason: string | null;
    /** The driver's version; `null` without a driver, or when it cannot be read. */
    readonly driver: string | null;
    readonly devices: number;
  };
  /** Threads that LibTorch computes with; `null` when it was not loaded. */
  readonly threads: number | null;
  readonly cache: { readonly folder: string; readonly bytes: Readonly<Record<CachePart, number>> };
  readonly problems: readonly Problem[];
}

/**
 * Diagnoses this machine; what is wrong is in `problems` and is not thrown. It installs and builds nothing.
 *
 * Needs all permissions (`-A`): it reads `/proc`.
 *
 * @throws SetupError when there is no folder for the cache.
 */
export async function diagnose(options: DiagnoseOptions = {}): Promise<Diagnosis> {
  const problems: Problem[] = [];
  const [machine, compilerFound, pythons, driver] = await Promise.all([
    describeMachine(),
    findCompiler(),
    findPythons(),
    nvidiaDriver(),
  ]);
  const libtorch = await attempt(problems, "LibTorch", findLibTorch);
  const shim = await attempt(problems, "the shim", () => findShim(libtorch, options.sources));
  const runtime = await attempt(problems, "the shim", () => loadRuntime(libtorch, shim, options.load));
  const reason = whyNoCuda({ driver, libtorch, runtime, cudaVersion: libtorch && await cudaVersion(libtorch) });
  const python = pythons.find(({ pip }) => pip !== null) ?? pythons[0] ?? null;
  const diagnosis = {
    versions: { fewtune: version, deno: Deno.version.deno, v8: Deno.version.v8, typescript: Deno.version.typescript },
    machine,
    compiler: compilerFound,
    python: python && { command: python.command, version: python.version, pip: python.pip },
    libtorch,
    shim,
    loadedLibraries: await loadedLibraries(),
    cuda: { works: reason === null, reason, driver: driver?.version ?? null, devices: runtime?.cudaDeviceCount ?? 0 },
    threads: runtime?.threads ?? null,
    cache: { folder: cacheFolder(), bytes: await cacheBytes() },
  };
  return { ...diagnosis, problems: [...problems, ...findProblems(diagnosis, driver !== null, problems.length > 0)] };
}

/** Runs `look`; what it throws becomes a fatal problem, since nothing after it can work. */
async function attempt<T>(problems: Problem[], part: string, look: () => Promise<T | null>): Promise<T | null> {
  try {
    return await look();
  } catch (error) {
    const what = error instanceof Error ? error.message : String(error);
    const remedy = error instanceof SetupError ? null : `run "fewtune setup" to make ${part} anew`;
    problems.push({ what, remedy, fatal: true });
    return null;
  }
}

type Found = Omit<Diagnosis, "problems">;

function findProblems(found: Found, hasDriver: boolean, explained: boolean): Problem[] {
  const { libtorch, shim, compiler, python, cuda } = found;
  const problems: Problem[] = [];
  const needsInstall = !libtorch && !explained;
  const needsBuild = libtorch !== null && !shim?.built && !explained;
  if (needsInstall) problems.push({ what: "LibTorch was not found", remedy: `run "fewtune setup"`, fatal: true });
  if (needsBuild) problems.push({ what: "the shim is not built", remedy: `run "fewtune setup"`, fatal: true });
  if (!compiler && !shim?.built) {
    problems.push({ what: "no C++ compiler", remedy: "install g++ (apt install g++), or set CXX", fatal: true });
  }
  if (!python?.pip && needsInstall) {
    problems.push({
      what: python ? `Python ${python.version} has no pip` : "no Python on the PATH",
      remedy: "install Python 3.10 or newer with pip, or set FEWTUNE_LIBTORCH",
      fatal: true,
    });
  }
  const note = libtorch && versionNote(libtorch);
  if (note) {
    problems.push({ what: note, remedy: `if something fails, run "fewtune setup --variant cpu"`, fatal: false });
  }
  if (hasDriver && !cuda.works) problems.push({ what: `no CUDA: ${cuda.reason}`, remedy: cudaRemedy, fatal: false });
  return problems;
}

const cudaRemedy = `run "fewtune setup --variant cuda", or update the NVIDIA driver if it is too old`;

async function findCompiler(): Promise<Diagnosis["compiler"]> {
  const [program, ...args] = compiler();
  const answer = await runIfPresent(program, [...args, "--version"], { timeout: 30 });
  return answer?.code === 0 ? { command: [program, ...args].join(" "), version: answer.lines[0] ?? "" } : null;
}

async function findShim(libtorch: LibTorch | null, sources: URL | undefined): Promise<Diagnosis["shim"]> {
  if (!libtorch) return null;
  const path = await shimPath(libtorch, sources ? { sources } : {});
  return { path, built: await exists(path) };
}

async function loadRuntime(
  libtorch: LibTorch | null,
  shim: Diagnosis["shim"],
  load: DiagnoseOptions["load"],
): Promise<Runtime | null> {
  return libtorch && shim?.built && load ? await load({ libtorch, shim: shim.path }) : null;
}

const notableLibrary = /\/lib(fewtune|torch|c10|cuda|cudart|cublas|cudnn|cupti|nccl|mkl|gomp|iomp|openblas)[^/]*$/;

async function loadedLibraries(): Promise<string[]> {
  const maps = await Deno.readTextFile("/proc/self/maps").catch(() => "");
  const paths = maps.split("\n").map((line) => line.split(/\s+/, 6)[5] ?? "");
  return [...new Set(paths.filter((path) => notableLibrary.test(path)))].sort();
}

async function cacheBytes(): Promise<Record<CachePart, number>> {
  const sizes = await Promise.all(cacheParts.map((part) => folderBytes(cacheFolder(part))));
  return Object.fromEntries(cacheParts.map((part, index) => [part, sizes[index] ?? 0])) as Record<CachePart, number>;
}
