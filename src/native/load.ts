// The loaded shim: opened once for the process, and reached by everything above through `shim()`.

import { OutOfMemoryError, SetupError, TorchError } from "../errors.ts";
import { prepareNative, type PrepareOptions } from "./prepare.ts";
import { type Shim, symbols } from "./symbols.ts";
import type { LibTorch } from "./libtorch.ts";

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

/**
 * Finds LibTorch, builds the shim if it is not in the cache, and loads both. Further calls do nothing.
 *
 * Needs the permissions `--allow-ffi --allow-read --allow-write --allow-env --allow-run`.
 *
 * @throws {SetupError} when LibTorch or the compiler is missing or of the wrong version
 */
export async function initialize(options: PrepareOptions = {}): Promise<void> {
  if (loaded !== null) return;
  const prepared = await prepareNative(options);
  loaded ??= { shim: openShim(prepared.shim, prepared.libtorch), libtorch: prepared.libtorch };
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
  const reason = cString(shim().ft_last_error()).replaceAll(/\s*\n\s*/g, " ").trim();
  const message = `${doing}: ${reason}`;
  throw status === 2 ? new OutOfMemoryError(message) : new TorchError(message);
}
