// One cache for two libraries: what Fewtune fetches Python's huggingface_hub finds, and the other way round.

import assert from "node:assert/strict";
import { exists } from "../../src/native/cache.ts";
import { openRepository } from "../../src/hub/repository.ts";
import { runPython } from "../support/python.ts";
import { noise, sha256 } from "./server.ts";
import { everythingUnder, type HubPlace, hubPlace } from "./support.ts";

const weights = noise(100_000);
const files = { "config.json": `{"a": 1}`, "model.safetensors": weights, "data/deep/empty.txt": "" };

function place(): HubPlace {
  const made = hubPlace();
  made.hub.add("model", "org/name", files);
  made.hub.add("dataset", "org/data", { "train.csv": "text,label\n" });
  return made;
}

async function fetchAll({ options }: HubPlace, more: Record<string, unknown> = {}): Promise<string[]> {
  const model = await openRepository("model", "org/name", { ...options, ...more });
  const data = await openRepository("dataset", "org/data", { ...options, ...more });
  const paths: string[] = [];
  for (const path of Object.keys(files)) paths.push(await model.fetch(path));
  return [...paths, await data.fetch("train.csv")];
}

/** Refs, contents and links; locks and what Python notes besides have no part in it. */
function layout(cacheFolder: string): Record<string, string> {
  const entries = Object.entries(everythingUnder(cacheFolder));
  return Object.fromEntries(
    entries.filter(([path]) => /^(models|datasets)--\w+--\w+\/(refs|blobs|snapshots)\//.test(path)),
  );
}

Deno.test("what Fewtune fetches Python finds, offline and online", async () => {
  await using made = place();
  const { hub, cacheFolder } = made;
  const paths = await fetchAll(made);
  const found = JSON.parse(await runPython("hub_cache.py", ["find", hub.endpoint, cacheFolder]));
  assert.deepEqual([...found.files, found.data], paths);
  assert.deepEqual(found.warnings, []);
  const commit = (index: number): string => hub.repositories[index]?.revisions.get("main")?.id ?? "";
  assert.deepEqual(found.repositories, {
    "model org/name": { files: 3, bytes: weights.length + 8, refs: { main: commit(0) } },
    "dataset org/data": { files: 1, bytes: 11, refs: { main: commit(1) } },
  });
  const before = layout(cacheFolder);
  const downloads = hub.asked("GET").filter((path) => !path.startsWith("/api/")).length;
  const again = JSON.parse(await runPython("hub_cache.py", ["fetch", hub.endpoint, cacheFolder]));
  assert.deepEqual([...again.files, again.data], paths);
  assert.equal(hub.asked("GET").filter((path) => !path.startsWith("/api/")).length, downloads);
  assert.deepEqual(layout(cacheFolder), before);
});

Deno.test("what Python fetches Fewtune finds, offline and online, and both lay it out alike", async () => {
  await using made = place();
  const { hub, cacheFolder } = made;
  const fetched = JSON.parse(await runPython("hub_cache.py", ["fetch", hub.endpoint, cacheFolder]));
  const byPython = layout(cacheFolder);
  assert.deepEqual(await fetchAll(made, { offline: true }), [...fetched.files, fetched.data]);
  const before = hub.received.length;
  assert.deepEqual(await fetchAll(made), [...fetched.files, fetched.data]);
  assert.deepEqual(hub.received.slice(before).filter(({ path }) => !path.startsWith("/api/")), []);

  const own = Deno.makeTempDirSync();
  try {
    await fetchAll(made, { cacheFolder: own });
    assert.deepEqual(layout(own), byPython);
    assert.equal(Object.keys(byPython).length, 2 + 4 + 4);
  } finally {
    Deno.removeSync(own, { recursive: true });
  }
});

Deno.test("while Python fetches a content, Fewtune waits for it", async () => {
  await using made = place();
  const mark = `${made.cacheFolder}/mark`;
  const python = runPython("hub_cache.py", ["hold", made.cacheFolder, sha256(weights), mark]);
  let hasEnded = false;
  const ended = python.finally(() => hasEnded = true);
  while (!await exists(`${mark}.held`) && !hasEnded) await new Promise((resolve) => setTimeout(resolve, 20));
  const repository = await made.open();
  assert.ok(!await exists(`${mark}.freed`), "Python has the lock");
  await repository.fetch("model.safetensors");
  assert.ok(await exists(`${mark}.freed`));
  await ended;
});
