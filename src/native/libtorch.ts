// Finds a LibTorch to work with: the user's own, the one in Fewtune's cache, or the one inside PyTorch.

import { join, resolve } from "node:path";
import { SetupError } from "../errors.ts";
import { cacheFolder, exists } from "./cache.ts";
import { nvidiaDriver } from "./cuda.ts";
import { findPythons } from "./python.ts";

/** The version of LibTorch that Fewtune is built and tested against, and installs. */
export const testedVersion = "2.11.0";

/** The first and last minor versions that are accepted. */
export const acceptedVersions = { first: "2.9", last: "2.12" } as const;

/** Which packages an installed LibTorch consists of: for the CPU alone (small), or with all of CUDA's libraries. */
export type PackageSet = "cpu" | "cuda";

/** A LibTorch that was found, whose version is accepted. */
export interface LibTorch {
  /** The absolute path of the folder that holds `lib/` and `include/`. */
  readonly root: string;
  /** For example `2.11.0`. */
  readonly version: string;
  /** Whether it was compiled with the C++11 ABI of libstdc++ (`_GLIBCXX_USE_CXX11_ABI=1`). */
  readonly cxx11Abi: boolean;
  readonly source: "environment" | "cache" | "python";
  /** Whether `lib/libtorch_cuda.so` is there; what it needs in turn may not be. */
  readonly hasCuda: boolean;
}

const neededParts = ["lib/libtorch_cpu.so", "lib/libc10.so", "include/torch/csrc/api/include"];

const changeSource: Record<LibTorch["source"], string> = {
  environment: `set FEWTUNE_LIBTORCH to another, or unset it and run "fewtune setup"`,
  cache: `remove that folder and run "fewtune setup"`,
  python: `run "fewtune setup", which installs ${testedVersion} for Fewtune alone, or set FEWTUNE_LIBTORCH to another`,
};

/**
 * Looks for LibTorch in the folder that `FEWTUNE_LIBTORCH` names, in Fewtune's cache, and in the PyTorch of `python3`
 * or `python` on the PATH, and returns the first, or `null`. Only the last starts a program, and what it found is
 * remembered in the cache for as long as PATH stays the same.
 *
 * Needs `--allow-env`, `--allow-read`, `--allow-write` of the cache, and `--allow-run=python3,python`.
 *
 * @throws SetupError when `FEWTUNE_LIBTORCH` names no LibTorch, or when the one found is of a version that is not
 * accepted.
 */
export async function findLibTorch(): Promise<LibTorch | null> {
  return await libTorchFromEnvironment() ?? await libTorchFromCache() ?? await libTorchFromPython();
}

/** The LibTorch that `FEWTUNE_LIBTORCH` names, or `null` when it is not set; as {@link findLibTorch} otherwise. */
export async function libTorchFromEnvironment(): Promise<LibTorch | null> {
  const value = Deno.env.get("FEWTUNE_LIBTORCH");
  if (!value) return null;
  const root = resolve(value);
  const missing = await missingPart(root);
  if (missing !== null) {
    throw new SetupError(
      `FEWTUNE_LIBTORCH is ${value}, where ${missing} is missing: set it to LibTorch's folder, which holds lib and include`,
    );
  }
  return await inspectLibTorch(root, "environment");
}

/** The folder in the cache of an installed set of packages; it need not exist. */
export function installedFolder(set: PackageSet): string {
  return join(cacheFolder("libtorch"), `${testedVersion}-${set}`);
}

/** The LibTorch in the cache: the given set, else the one that suits the machine, else the other; or `null`. */
export async function libTorchFromCache(set?: PackageSet): Promise<LibTorch | null> {
  const roots = (set ? [set] : ["cpu", "cuda"] as const).map((each) => join(installedFolder(each), "torch"));
  const complete = await Promise.all(roots.map(async (root) => await missingPart(root) === null));
  const [first, second] = roots.filter((_, index) => complete[index]);
  const root = second && await nvidiaDriver() ? second : first;
  return root ? await inspectLibTorch(root, "cache") : null;
}

/** The LibTorch of the first Python on the PATH that has PyTorch, or `null`; as {@link findLibTorch} otherwise. */
export async function libTorchFromPython(): Promise<LibTorch | null> {
  const remembered = await recallPythonTorch();
  if (remembered !== null && await missingPart(remembered) === null) {
    return await inspectLibTorch(remembered, "python");
  }
  for (const { torch } of await findPythons()) {
    if (torch !== null && await missingPart(torch) === null) {
      const libtorch = await inspectLibTorch(torch, "python");
      await rememberPythonTorch(torch);
      return libtorch;
    }
  }
  return null;
}

/**
 * Reads what kind of LibTorch is in `root`. The version is the headers' own. The ABI is read from the symbols of
 * `libc10.so`, since neither PyTorch's wheels nor their CMake files state it: functions that take a `std::string`
 * are named after `std::__cxx11::basic_string` under the new ABI only.
 *
 * @throws SetupError when the version cannot be read or is not accepted.
 */
export async function inspectLibTorch(root: string, source: LibTorch["source"]): Promise<LibTorch> {
  const version = await readVersion(root);
  const place = `LibTorch ${version ?? "of an unknown version"} in ${root}`;
  if (version === null || !isAccepted(version)) {
    const { first, last } = acceptedVersions;
    throw new SetupError(`${place} cannot be used, ${first} to ${last} can: ${changeSource[source]}`);
  }
  const symbols = new TextDecoder("latin1").decode(await Deno.readFile(join(root, "lib/libc10.so")));
  return {
    root,
    version,
    cxx11Abi: /_ZN3c105Error\w*NSt7__cxx1112basic_string/.test(symbols),
    source,
    hasCuda: await exists(join(root, "lib/libtorch_cuda.so")),
  };
}

/** What to tell a person about a version that is accepted but not the tested one, or `null`. */
export function versionNote({ version, root }: LibTorch): string | null {
  if (version === testedVersion) return null;
  return `LibTorch ${version} in ${root} is not the version that Fewtune is tested with, ${testedVersion}`;
}

async function missingPart(root: string): Promise<string | null> {
  for (const part of neededParts) {
    if (!await exists(join(root, part))) return part;
  }
  return null;
}

async function readVersion(root: string): Promise<string | null> {
  for (const header of ["torch/headeronly/version.h", "torch/csrc/api/include/torch/version.h"]) {
    const path = join(root, "include", header);
    if (!await exists(path)) continue;
    const text = await Deno.readTextFile(path);
    const parts = ["MAJOR", "MINOR", "PATCH"].map((part) => {
      return new RegExp(`^#define TORCH_VERSION_${part} (\\d+)`, "m").exec(text)?.[1];
    });
    if (parts.every((part) => part !== undefined)) return parts.join(".");
  }
  return null;
}

function isAccepted(version: string): boolean {
  const { first, last } = acceptedVersions;
  return order(version) >= order(first) && order(version) <= order(last);
}

function order(version: string): number {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major * 1000 + minor;
}

interface RememberedTorch {
  readonly searched: string;
  readonly torch: string;
}

function memoryPath(): string {
  return join(cacheFolder("libtorch"), "python.json");
}

function searched(): string {
  return [Deno.env.get("PATH"), Deno.env.get("PYTHONPATH")].join("\n");
}

async function recallPythonTorch(): Promise<string | null> {
  try {
    const remembered = JSON.parse(await Deno.readTextFile(memoryPath())) as RememberedTorch;
    return remembered.searched === searched() ? remembered.torch : null;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof SyntaxError) return null;
    throw error;
  }
}

async function rememberPythonTorch(torch: string): Promise<void> {
  await Deno.mkdir(cacheFolder("libtorch"), { recursive: true });
  const remembered: RememberedTorch = { searched: searched(), torch };
  await Deno.writeTextFile(memoryPath(), JSON.stringify(remembered));
}
