// The shim's C++ sources, read from beside this module: from the disk, or from where the module was imported.

import { createHash } from "node:crypto";
import { join } from "node:path";
import { SetupError } from "../errors.ts";
import { cacheFolder } from "./cache.ts";

/** Every file of the shim, in the folder `native`; those that end in `.cpp` are compiled. */
export const shimSources = [
  "fewtune.h",
  "boundary.h",
  "boundary.cpp",
  "operators.cpp",
  "tensors.cpp",
  "autograd.cpp",
  "memory.cpp",
  "devices.cpp",
  "dropout.cpp",
  "linear.cpp",
] as const;

/** The folder that holds {@link shimSources}. */
export const shimFolder: URL = new URL("../../native/", import.meta.url);

/** The text of each source, by its name. */
export type SourceTexts = ReadonlyMap<string, string>;

/**
 * Reads the sources from `folder`. Those from a server are kept in the cache, and used when it cannot be reached.
 *
 * Needs `--allow-read` of the folder; from a server `--allow-net=HOST` and `--allow-write` of the cache instead.
 *
 * @throws SetupError naming a source that could not be read.
 */
export async function readShimSources(folder: URL = shimFolder): Promise<SourceTexts> {
  const remote = folder.protocol !== "file:";
  try {
    const sources = await fetchAll(folder);
    if (remote) await keep(folder, sources);
    return sources;
  } catch (error) {
    if (!(error instanceof Unreachable)) throw error;
    const kept = remote ? await recall(folder) : null;
    if (kept) return kept;
    throw new SetupError(`${error.message}: check the network, or that this copy of Fewtune is whole`);
  }
}

class Unreachable extends Error {}

async function fetchAll(folder: URL): Promise<SourceTexts> {
  const texts = await Promise.all(shimSources.map((name) => fetchText(new URL(name, folder))));
  return new Map(shimSources.map((name, index) => [name, texts[index] ?? ""]));
}

async function fetchText(url: URL): Promise<string> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(30_000) });
    if (response.ok) return await response.text();
    await response.body?.cancel();
    throw new Unreachable(`the shim's source ${url} could not be fetched (HTTP ${response.status})`);
  } catch (error) {
    if (error instanceof Unreachable || error instanceof Deno.errors.NotCapable) throw error;
    throw new Unreachable(`the shim's source ${url} could not be read`);
  }
}

function keptFile(folder: URL): string {
  const name = createHash("sha256").update(folder.href).digest("hex").slice(0, 16);
  return join(cacheFolder("shim"), `sources-${name}.json`);
}

async function keep(folder: URL, sources: SourceTexts): Promise<void> {
  await Deno.mkdir(cacheFolder("shim"), { recursive: true });
  await Deno.writeTextFile(keptFile(folder), JSON.stringify([...sources]));
}

async function recall(folder: URL): Promise<SourceTexts | null> {
  try {
    return new Map(JSON.parse(await Deno.readTextFile(keptFile(folder))) as [string, string][]);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof SyntaxError) return null;
    throw error;
  }
}
