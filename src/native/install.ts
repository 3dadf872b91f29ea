// Installs LibTorch into the cache: it comes inside the package torch, with pip.

import { join } from "node:path";
import { SetupError } from "../errors.ts";
import { cacheFolder } from "./cache.ts";
import { requireRunnable, run } from "./command.ts";
import { nvidiaDriver } from "./cuda.ts";
import {
  inspectLibTorch,
  installedFolder,
  type LibTorch,
  libTorchFromCache,
  type PackageSet,
  testedVersion,
} from "./libtorch.ts";
import { makeOnce } from "./make_once.ts";
import { asStep, type OnProgress } from "./progress.ts";
import { findPythons, type Python } from "./python.ts";

/** Which packages to install; `auto` is `cuda` on a machine with an NVIDIA driver, else `cpu`. */
export type Variant = "auto" | PackageSet;

/** How LibTorch is installed. */
export interface InstallOptions {
  /** `auto` unless given. */
  readonly variant?: Variant;
  readonly onProgress?: OnProgress;
}

// libtorch_cpu.so is linked against two of CUDA's libraries, also where there is no GPU.
const packages: Record<PackageSet, readonly string[]> = {
  cpu: ["--no-deps", `torch==${testedVersion}`, "nvidia-cuda-runtime==13.0.96", "nvidia-cuda-cupti==13.0.85"],
  cuda: [`torch==${testedVersion}`],
};

const oldestPython = { major: 3, minor: 10 };
const pipTimeout = 3600;
const otherwise = "or set FEWTUNE_LIBTORCH to the folder of a LibTorch that is there";

/**
 * Installs LibTorch into the cache unless that set of packages is there: about 1.1 GiB on disk for `cpu`, several more
 * for `cuda`. It is put in place whole, and by one process at a time; an install that fails leaves nothing behind but
 * pip's log.
 *
 * Needs `--allow-env`, `--allow-read` and `--allow-write` of the cache, `--allow-run=python3,python`,
 * and `--allow-read` of the system's library folders for `auto`.
 *
 * @throws SetupError on a platform without packages, without Python or pip, without a network, on a full disk, after
 * an hour, or when pip fails otherwise.
 */
export async function installLibTorch({ variant = "auto", onProgress }: InstallOptions = {}): Promise<LibTorch> {
  requirePlatform();
  const set = variant === "auto" ? (await nvidiaDriver() ? "cuda" : "cpu") : variant;
  const name = `LibTorch ${testedVersion} (${set === "cuda" ? "CUDA and CPU" : "CPU only"})`;
  await asStep(`installing ${name}`, onProgress, async (report) => {
    const install = (folder: string): Promise<void> => pipInstall(packages[set], folder, report);
    await makeOnce(installedFolder(set), install, () => report("waiting for another process that installs it"));
  });
  const installed = await libTorchFromCache(set);
  if (!installed) throw new SetupError(`${installedFolder(set)} is damaged: remove it and run "fewtune setup"`);
  return installed;
}

function requirePlatform(): void {
  const { os, arch } = Deno.build;
  if (os !== "linux" || arch !== "x86_64") {
    throw new SetupError(`Fewtune installs LibTorch on Linux x86-64 only, this is ${os} ${arch}: ${otherwise}`);
  }
}

async function pipInstall(
  requirements: readonly string[],
  folder: string,
  report: (line: string) => void,
): Promise<void> {
  const python = await pythonWithPip();
  // pip unpacks here first; within the cache, moving into place is a rename and nothing is left elsewhere.
  const temporary = join(folder, ".pip");
  await Deno.mkdir(temporary);
  const options = ["--target", folder, "--only-binary=:all:", "--no-compile", "--no-input", "--progress-bar=off"];
  const { code, lines, timedOut } = await run(
    python.command,
    ["-m", "pip", "install", "--disable-pip-version-check", ...options, ...requirements],
    {
      timeout: pipTimeout,
      env: { TMPDIR: temporary, PIP_USER: "0", PIP_REQUIRE_VIRTUALENV: "0" },
      onLine: (line) => report(line.trim()),
    },
  );
  if (code !== 0 || timedOut) throw await pipFailure(lines, python, timedOut);
  await Deno.remove(temporary, { recursive: true });
  await inspectLibTorch(join(folder, "torch"), "cache");
}

async function pythonWithPip(): Promise<Python> {
  const pythons = await findPythons();
  const [first] = pythons;
  const { major, minor } = oldestPython;
  if (!first) {
    await requireRunnable("python3");
    throw new SetupError(
      `neither python3 nor python is on the PATH, and LibTorch is installed with pip: ` +
        `install Python ${major}.${minor} or newer with pip, ${otherwise}`,
    );
  }
  const python = pythons.find(({ pip }) => pip !== null);
  if (!python) {
    throw new SetupError(
      `Python ${first.version} has no pip: install it (Debian, Ubuntu: apt install python3-pip), ${otherwise}`,
    );
  }
  const [foundMajor = 0, foundMinor = 0] = python.version.split(".").map(Number);
  if (foundMajor !== major || foundMinor < minor) {
    throw new SetupError(
      `Python ${python.version} is too old for torch ${testedVersion}: ` +
        `install Python ${major}.${minor} or newer with pip, ${otherwise}`,
    );
  }
  return python;
}

async function pipFailure(lines: readonly string[], python: Python, timedOut: boolean): Promise<SetupError> {
  const log = join(cacheFolder("libtorch"), "failed_install.log");
  const output = lines.join("\n");
  await Deno.writeTextFile(log, output + "\n").catch(() => {});
  return new SetupError(`${pipReason(output, python, timedOut)} (pip's log: ${log})`);
}

const noSpace = /no space left on device|disk quota exceeded/i;
const noNetwork = new RegExp(
  "failed to establish a new connection|name resolution|network is unreachable|connection (refused|reset|aborted)|" +
    "connection broken|max retries exceeded|timed? ?out|cannot connect to proxy",
  "i",
);

function pipReason(output: string, { version }: Python, timedOut: boolean): string {
  const wanted = `torch ${testedVersion}`;
  if (noSpace.test(output)) {
    return "the disk is full: free some space, or set FEWTUNE_CACHE to a folder on another disk";
  }
  if (timedOut) return `pip did not install ${wanted} within ${pipTimeout} seconds: try again, ${otherwise}`;
  if (noNetwork.test(output)) {
    return `pip could not reach its package index to fetch ${wanted}: check the network or the proxy, ${otherwise}`;
  }
  if (/no matching distribution|could not find a version/i.test(output)) {
    // Pip says the same whether its index lacks the package or could not be asked.
    const offline = Deno.env.get("PIP_NO_INDEX") ? " while PIP_NO_INDEX keeps it off the network" : "";
    return `pip found no ${wanted} for Python ${version}${offline}: check the network, the proxy and the package index, ` +
      `use a Python that this torch is made for, ${otherwise}`;
  }
  const error = output.split("\n").findLast((line) => line.startsWith("ERROR")) ?? "without a reason";
  return `pip failed to install ${wanted}: ${error.replace(/^ERROR: */, "")}`;
}
