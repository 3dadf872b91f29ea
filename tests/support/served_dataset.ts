// Folders as datasets on a hub of this machine.

import type { FakeHub } from "../hub/server.ts";

/** The files under a folder, by their paths in it. */
export function filesUnder(folder: string, prefix = ""): Record<string, Uint8Array<ArrayBuffer>> {
  const entries = Deno.readDirSync(folder).toArray().flatMap(({ name, isDirectory }) => {
    const path = `${folder}/${name}`;
    if (isDirectory) return Object.entries(filesUnder(path, `${prefix}${name}/`));
    return [[prefix + name, Deno.readFileSync(path)] as const];
  });
  return Object.fromEntries(entries.toSorted(([a], [b]) => a < b ? -1 : 1));
}

/** What a child process needs to speak to the hub alone, with a cache of its own. */
export function hubEnvironment(hub: FakeHub, cacheFolder: string): Record<string, string> {
  return { HF_ENDPOINT: hub.endpoint, HF_HUB_CACHE: cacheFolder, HF_TOKEN: "", HF_HUB_OFFLINE: "0" };
}
