// The demo's model: its files are there after one install, and an install that cannot be made leaves nothing.
import assert from "node:assert/strict";
import { SetupError } from "../../src/errors.ts";
import { minilmFolder } from "../../src/experiments/minilm.ts";
import { openSafetensors } from "../../src/files/safetensors.ts";
import { cacheFolder } from "../../src/native/cache.ts";

/** Sets variables of the environment while `test` runs with an empty folder. */
async function withEnvironment(
  variables: Record<string, string>,
  test: (folder: string) => Promise<void>,
): Promise<void> {
  const before = Object.keys(variables).map((name) => [name, Deno.env.get(name)] as const);
  const folder = await Deno.makeTempDir();
  try {
    for (const [name, value] of Object.entries(variables)) Deno.env.set(name, value);
    await test(folder);
  } finally {
    for (const [name, value] of before) value === undefined ? Deno.env.delete(name) : Deno.env.set(name, value);
    await Deno.remove(folder, { recursive: true });
  }
}

async function assertNotInstalled(folder: string, reason: RegExp): Promise<void> {
  await assert.rejects(minilmFolder(folder), (error) => {
    assert.ok(error instanceof SetupError, String(error));
    assert.match(error.message, reason);
    return true;
  });
  assert.deepEqual([...Deno.readDirSync(folder)].filter((entry) => entry.isDirectory), []);
}

Deno.test("the installed model has 22.7 million parameters", async () => {
  const folder = await minilmFolder(cacheFolder("models"));
  assert.equal(JSON.parse(await Deno.readTextFile(`${folder}/config.json`)).hidden_size, 384);
  using file = openSafetensors(`${folder}/model.safetensors`);
  const floats = [...file.tensors.values()].filter(({ dtype }) => dtype === "F32");
  assert.equal(floats.reduce((sum, { byteLength }) => sum + byteLength / 4, 0), 22_713_216);
});

Deno.test("without Python nothing is installed, and the error says so", async () => {
  await withEnvironment({ PATH: "/nowhere" }, (folder) => assertNotInstalled(folder, /^[^\n]*put a Python 3[^\n]*$/));
});

Deno.test("without a network nothing is installed, and the error says so", async () => {
  const offline = { PIP_NO_INDEX: "1", PIP_FIND_LINKS: "/nowhere", PIP_CONFIG_FILE: "/dev/null" };
  await withEnvironment(offline, (folder) => assertNotInstalled(folder, /^[^\n]*check the network[^\n]*$/));
});
