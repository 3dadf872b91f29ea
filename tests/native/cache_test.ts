// The cache folder: which one it is, its size, and that its folders are made once and whole.

import assert from "node:assert/strict";
import { join } from "node:path";
import { SetupError } from "../../src/errors.ts";
import { cacheFolder, folderBytes } from "../../src/native/cache.ts";
import { makeOnce } from "../../src/native/make_once.ts";
import { contents, environment, temporaryFolder } from "./fakes.ts";

Deno.test("the cache is FEWTUNE_CACHE, else in XDG_CACHE_HOME, else in HOME", () => {
  using _all = environment({ FEWTUNE_CACHE: "/own", XDG_CACHE_HOME: "/shared", HOME: "/home/me" });
  assert.equal(cacheFolder(), "/own");
  assert.equal(cacheFolder("models"), "/own/models");
  using _two = environment({ FEWTUNE_CACHE: null });
  assert.equal(cacheFolder(), "/shared/fewtune");
  using _one = environment({ XDG_CACHE_HOME: "" });
  assert.equal(cacheFolder("shim"), "/home/me/.cache/fewtune/shim");
  using _none = environment({ HOME: null });
  assert.throws(() => cacheFolder(), { name: "SetupError", message: /set FEWTUNE_CACHE/ });
});

Deno.test("folderBytes adds up all files, and is 0 where there is no folder", async () => {
  using folder = temporaryFolder();
  assert.equal(await folderBytes(join(folder.path, "absent")), 0);
  Deno.mkdirSync(join(folder.path, "a/b"), { recursive: true });
  Deno.writeTextFileSync(join(folder.path, "a/one"), "12345");
  Deno.writeTextFileSync(join(folder.path, "a/b/two"), "123");
  Deno.symlinkSync(folder.path, join(folder.path, "a/loop"));
  assert.equal(await folderBytes(folder.path), 8);
});

Deno.test("makeOnce makes a folder once, whoever asks at the same time", async () => {
  using folder = temporaryFolder();
  const target = join(folder.path, "part/made");
  let made = 0;
  let waited = 0;
  const make = async (partial: string): Promise<void> => {
    made++;
    await new Promise((resolve) => setTimeout(resolve, 50));
    await Deno.writeTextFile(join(partial, "file"), "whole");
  };
  await Promise.all(Array.from({ length: 4 }, () => makeOnce(target, make, () => waited++)));
  await makeOnce(target, make);
  assert.deepEqual({ made, waited }, { made: 1, waited: 3 });
  assert.equal(Deno.readTextFileSync(join(target, "file")), "whole");
  assert.deepEqual(contents(join(folder.path, "part")), ["made"]);
});

Deno.test("makeOnce leaves nothing of what failed, nor of what an ended process left", async () => {
  using folder = temporaryFolder();
  const target = join(folder.path, "made");
  Deno.mkdirSync(join(folder.path, ".partial-other/deep"), { recursive: true });
  const failing = makeOnce(target, async (partial) => {
    await Deno.writeTextFile(join(partial, "file"), "half");
    throw new SetupError("failed");
  });
  await assert.rejects(failing, { name: "SetupError", message: "failed" });
  assert.deepEqual(contents(folder.path), []);
});

Deno.test("makeOnce explains a cache that is no folder, and a full disk", async () => {
  using folder = temporaryFolder();
  const file = join(folder.path, "file");
  Deno.writeTextFileSync(file, "");
  const make = (): Promise<void> => Promise.resolve();
  await assert.rejects(makeOnce(join(file, "part/made"), make), { name: "SetupError", message: /set FEWTUNE_CACHE/ });
  const full = (): Promise<void> => Promise.reject(Object.assign(new Error("full"), { code: "ENOSPC" }));
  await assert.rejects(makeOnce(join(folder.path, "made"), full), { name: "SetupError", message: /no space left/ });
});
