// Everything that must be there before LibTorch can be loaded: LibTorch itself, and the shim built for it.

import { SetupError } from "../errors.ts";
import { buildShim } from "./build.ts";
import { cacheFolder } from "./cache.ts";
import { installLibTorch, type Variant } from "./install.ts";
import {
  findLibTorch,
  type LibTorch,
  libTorchFromCache,
  libTorchFromEnvironment,
  libTorchFromPython,
  versionNote,
} from "./libtorch.ts";
import type { OnProgress } from "./progress.ts";

/** How the native part is prepared. */
export interface PrepareOptions {
  /** Whether LibTorch is installed where none is found; not unless asked for. */
  readonly install?: boolean;
  /** `auto` (the default) takes any LibTorch that is found; `cpu` and `cuda` ask for that set of packages. */
  readonly variant?: Variant;
  /** The folder of the shim's sources, a URL that ends in `/`; the one beside this module unless given. */
  readonly sources?: URL;
  readonly onProgress?: OnProgress;
  /** Ends the building of the shim, which then throws the signal's reason. */
  readonly signal?: AbortSignal | undefined;
}

/** What is ready to be loaded. */
export interface Native {
  readonly libtorch: LibTorch;
  /** The path of the built shim. */
  readonly shim: string;
}

/**
 * Finds LibTorch, or installs it, and builds the shim. Where both are there it starts no program and writes nothing,
 * and takes milliseconds.
 *
 * Needs `--allow-env`, `--allow-read`, `--allow-write` of the cache, and `--allow-run=python3,python,g++` as far as
 * there is something to do; `--allow-net=HOST` when Fewtune was imported from HOST.
 *
 * @throws SetupError when there is no LibTorch and `install` is not set, and when a step fails.
 */
export async function prepareNative(options: PrepareOptions = {}): Promise<Native> {
  const libtorch = options.install ? await findOrInstall(options) : await findLibTorch();
  if (!libtorch) {
    throw new SetupError(
      `no LibTorch in FEWTUNE_LIBTORCH, ${cacheFolder("libtorch")} or the PyTorch of python3 on the PATH: ` +
        `run "fewtune setup", which installs it`,
    );
  }
  const note = versionNote(libtorch);
  if (note !== null) options.onProgress?.({ step: note, status: "done" });
  return { libtorch, shim: await buildShim(libtorch, options) };
}

async function findOrInstall({ variant = "auto", onProgress }: PrepareOptions): Promise<LibTorch> {
  const own = await libTorchFromEnvironment();
  if (own) return own;
  const found = variant === "auto"
    ? await libTorchFromCache() ?? await usablePython(onProgress)
    : await libTorchFromCache(variant);
  return found ?? await installLibTorch({ variant, ...(onProgress ? { onProgress } : {}) });
}

/** A PyTorch of another version is no obstacle where LibTorch can be installed beside it. */
async function usablePython(onProgress: OnProgress | undefined): Promise<LibTorch | null> {
  try {
    return await libTorchFromPython();
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    onProgress?.({ step: error.message, status: "done" });
    return null;
  }
}
