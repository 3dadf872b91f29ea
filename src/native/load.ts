// The loaded shim: opened once for the process, and reached by everything above through `shim()`.

import { join } from "node:path";
import { OptionError, OutOfMemoryError, SetupError, TorchError } from "../errors.ts";
import { cudaVersion, nvidiaDriver, whyNoCuda } from "./cuda.ts";
import type { LibTorch } from "./libtorch.ts";
import { prepareNative, type PrepareOptions } from "./prepare.ts";
import { type Shim, symbols } from "./symbols.ts";

let loaded: { shim: Shim; libtorch: LibTorch } | null = null;

/** The shim's functions. Throws {@linkcode SetupError} before {@linkcode initialize}. */
export function shim(): Shim {
  if (loaded === null) throw new SetupError("LibTorch is not loaded yet: `await initialize()` first");
  return loaded.shim;
}

/** The LibTorch that was loaded, or null before {@linkcode initialize}. */
export function loadedLibTorch(): LibTorch | null {
  return loaded?.libtorch ?? null;
}

/** How LibTorch is made ready, and for what. */
export interface InitializeOptions extends PrepareOptions {
  /** A device that has to work: for `cuda` and `cuda:N` LibTorch's CUDA half is loaded too. Default `cpu`. */
  readonly device?: string | undefined;
}

/**
 * Finds LibTorch, builds the shim if it is not in the cache, and loads both. Further calls do nothing, except that the
 * first one that names a CUDA device loads the CUDA half.
 *
 * Needs the permissions `--allow-ffi --allow-read --allow-write --allow-env --allow-run`.
 *
 * @throws {SetupError} when LibTorch or the compiler is missing or of the wrong version, or CUDA does not work
 * @throws {OptionError} when there is no such device
 */
export async function initialize(options: InitializeOptions = {}): Promise<void> {
  const { device = "cpu" } = options;
  if (!/^(cpu|cuda(:\d+)?)$/.test(device)) {
    throw new OptionError(`device ${JSON.stringify(device)} is unknown: use cpu, cuda or cuda:N`);
  }
  if (loaded === null) {
    const prepared = await prepareNative(options);
    loaded ??= { shim: openShim(prepared.shim, prepared.libtorch), libtorch: prepared.libtorch };
  }
  if (device !== "cpu") await requireCuda(device, loaded.libtorch);
}

let cudaHalf: { readonly error: string | null } | null = null;

/**
 * Loads LibTorch's CUDA half, where there is one. It has to come before anything asks LibTorch about CUDA, which
 * remembers the answer.
 *
 * @returns why it could not be loaded, in one line, or null
 */
export function openCudaHalf(): string | null {
  cudaHalf ??= { error: loadCudaHalf() };
  return cudaHalf.error;
}

function loadCudaHalf(): string | null {
  const libtorch = loadedLibTorch();
  if (!libtorch?.hasCuda) return null;
  const path = join(libtorch.root, "lib/libtorch_cuda.so");
  return shim().ft_open_library(cBytes(path)) === 0 ? null : lastError();
}

async function requireCuda(device: string, libtorch: LibTorch): Promise<void> {
  const cudaError = openCudaHalf();
  const runtime = { cudaDeviceCount: cudaDeviceCount(), cudaError };
  const [driver, version] = [await nvidiaDriver(), await cudaVersion(libtorch)];
  const reason = whyNoCuda({ driver, libtorch, cudaVersion: version, runtime });
  if (reason !== null) {
    throw new SetupError(`the device ${device} cannot be used: ${reason}${driver ? remedy(libtorch) : ""}`);
  }
  const index = Number(device.split(":")[1] ?? 0);
  if (index >= runtime.cudaDeviceCount) {
    throw new OptionError(`there is no device ${device}: the last one is cuda:${runtime.cudaDeviceCount - 1}`);
  }
}

function remedy({ source }: LibTorch): string {
  if (source === "environment") return "; set FEWTUNE_LIBTORCH to a LibTorch with CUDA, or unset it";
  return `; "fewtune setup --variant cuda" installs a LibTorch with CUDA, "fewtune doctor" shows what is there`;
}

/** The number of CUDA devices that LibTorch can use; 0 without its CUDA half, which it loads, or without a driver. */
export function cudaDeviceCount(): number {
  if (openCudaHalf() !== null) return 0;
  const count = new BigInt64Array(1);
  check(shim().ft_cuda_device_count(new Uint8Array(count.buffer)), "counting CUDA devices");
  return Number(count[0]);
}

function openShim(path: string, libtorch: LibTorch): Shim {
  let opened: Shim;
  try {
    opened = Deno.dlopen(path, symbols).symbols;
  } catch (cause) {
    throw new SetupError(`${path} cannot be loaded (${(cause as Error).message}): run \`fewtune setup\` again`, {
      cause,
    });
  }
  const stamp = cString(opened.ft_build_stamp());
  if (!stamp.startsWith(`${libtorch.version} `)) {
    throw new SetupError(
      `${path} was built for LibTorch ${stamp}, but ${libtorch.root} is ${libtorch.version}: run \`fewtune setup\` again`,
    );
  }
  opened.ft_keep_warnings();
  return opened;
}

/** The text at a C string's address, empty for null. */
export function cString(pointer: Deno.PointerValue): string {
  return pointer === null ? "" : Deno.UnsafePointerView.getCString(pointer);
}

const encoder = new TextEncoder();

/** The bytes of a C string. */
export function cBytes(text: string): Uint8Array<ArrayBuffer> {
  return encoder.encode(text + "\0");
}

/** Throws what the shim reported: nothing for status 0. */
export function check(status: number, doing: string): void {
  if (status === 0) return;
  const message = `${doing}: ${lastError()}`;
  throw status === 2 ? new OutOfMemoryError(message) : new TorchError(message);
}

/** LibTorch's warnings since the last call, which would otherwise be printed: one a line, empty when there are none. */
export function takeWarnings(): string {
  return cString(shim().ft_take_warnings());
}

function lastError(): string {
  return cString(shim().ft_last_error()).replaceAll(/\s*\n\s*/g, " ").trim();
}
