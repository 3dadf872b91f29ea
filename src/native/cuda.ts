// CUDA on this machine: the NVIDIA driver, and why LibTorch cannot use it where it cannot.

import { join } from "node:path";
import type { LibTorch } from "./libtorch.ts";

/** An NVIDIA driver that is installed. */
export interface NvidiaDriver {
  /** For example `580.95.05`; `null` when it could not be read. */
  readonly version: string | null;
}

const libraryFolders = [
  "/usr/lib/x86_64-linux-gnu",
  "/usr/lib64",
  "/usr/lib",
  "/usr/lib/wsl/lib",
  "/usr/local/nvidia/lib64",
  "/run/opengl-driver/lib",
];

/** The oldest driver for each major version of CUDA, from NVIDIA's table of minor-version compatibility. */
const oldestDriver: Readonly<Record<string, number>> = { "11": 450, "12": 525, "13": 580 };

/**
 * The NVIDIA driver of this machine, or `null` without one. The version can only be read with all permissions, since
 * Deno guards `/proc`; otherwise the driver is recognised by its library. What may not be read is passed over, without
 * asking for permission.
 *
 * Uses `--allow-read` of the system's library folders.
 */
export async function nvidiaDriver(): Promise<NvidiaDriver | null> {
  const text = await textOrNull("/proc/driver/nvidia/version");
  if (text !== null) return { version: driverVersion(text) };
  for (const folder of libraryFolders) {
    if (await isFile(join(folder, "libcuda.so.1"))) return { version: null };
  }
  return null;
}

/** The driver's version in what `/proc/driver/nvidia/version` says. */
export function driverVersion(text: string): string | null {
  return /\b\d{3,}\.\d+(?:\.\d+)?\b/.exec(text)?.[0] ?? null;
}

/**
 * The version of CUDA that LibTorch was built for, such as `13.0`, or `null` when it does not say.
 *
 * Needs `--allow-read` of its folder.
 */
export async function cudaVersion(libtorch: LibTorch): Promise<string | null> {
  const wheel = await textOrNull(join(libtorch.root, "version.py"));
  const inWheel = wheel && /^cuda\b.*=\s*'([\d.]+)'/m.exec(wheel)?.[1];
  if (inWheel) return inWheel;
  const archive = await textOrNull(join(libtorch.root, "build-version"));
  const digits = archive && /\+cu(\d+)(\d)/.exec(archive);
  return digits ? `${digits[1]}.${digits[2]}` : null;
}

/** What is known of CUDA before and after the shim was loaded. */
export interface CudaFacts {
  readonly driver: NvidiaDriver | null;
  readonly libtorch: LibTorch | null;
  /** The version that LibTorch was built for, or `null` when unknown. */
  readonly cudaVersion: string | null;
  /** What the loaded shim says, or `null` when it was not loaded. */
  readonly runtime: { readonly cudaDeviceCount: number; readonly cudaError: string | null } | null;
}

/** Why CUDA does not work, in one line, or `null` when it does. */
export function whyNoCuda({ driver, libtorch, cudaVersion, runtime }: CudaFacts): string | null {
  if (runtime && runtime.cudaDeviceCount > 0) return null;
  if (!driver) return "no NVIDIA driver on this machine";
  if (!libtorch) return "no LibTorch";
  if (!libtorch.hasCuda) return `LibTorch in ${libtorch.root} has no CUDA half (lib/libtorch_cuda.so)`;
  const oldest = oldestDriver[cudaVersion?.split(".")[0] ?? ""];
  if (oldest !== undefined && driver.version !== null && parseInt(driver.version) < oldest) {
    return `version mismatch: LibTorch's CUDA ${cudaVersion} needs an NVIDIA driver ${oldest} or newer, ` +
      `this one is ${driver.version}`;
  }
  if (!runtime) return "not known until the shim is built and loaded";
  return runtime.cudaError ?? "LibTorch sees no CUDA device";
}

async function textOrNull(path: string): Promise<string | null> {
  try {
    return await mayRead(path) ? await Deno.readTextFile(path) : null;
  } catch {
    return null;
  }
}

async function isFile(path: string): Promise<boolean> {
  try {
    return await mayRead(path) && (await Deno.stat(path)).isFile;
  } catch {
    return false;
  }
}

async function mayRead(path: string): Promise<boolean> {
  return (await Deno.permissions.query({ name: "read", path })).state === "granted";
}
