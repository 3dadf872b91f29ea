// The settings that the environment gives are those that Python's huggingface_hub reads from it.

import assert from "node:assert/strict";
import { join } from "node:path";
import { hubSettings } from "../../src/hub/settings.ts";
import { runPython } from "../support/python.ts";

const names = [
  ...["HF_ENDPOINT", "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_TOKEN_PATH", "HF_HOME", "HF_HUB_CACHE"],
  ...["HUGGINGFACE_HUB_CACHE", "XDG_CACHE_HOME", "HOME", "HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"],
];

/** What `work` gives while the variables are these, and the others of the hub are not set. */
function inEnvironment<T>(variables: Readonly<Record<string, string>>, work: () => T): T {
  const before = names.map((name) => [name, Deno.env.get(name)] as const);
  try {
    for (const name of names) Deno.env.delete(name);
    for (const [name, value] of Object.entries(variables)) Deno.env.set(name, value);
    return work();
  } finally {
    for (const [name, value] of before) {
      if (value === undefined) Deno.env.delete(name);
      else Deno.env.set(name, value);
    }
  }
}

Deno.test("endpoint, token, cache and offline are read as Python reads them", async () => {
  const folder = Deno.makeTempDirSync();
  try {
    const home = join(folder, "home");
    for (const part of [".cache/huggingface", "hf", "xdg/huggingface"]) {
      Deno.mkdirSync(join(home, part), { recursive: true });
      Deno.writeTextFileSync(join(home, part, "token"), ` hf_${part.replaceAll(/\W/g, "_")}\n`);
    }
    Deno.writeTextFileSync(join(home, "my token"), "hf_mine\r\n");
    const environments: readonly Record<string, string>[] = [
      {},
      { HF_HOME: join(home, "hf") },
      { HF_HOME: "~/hf" },
      { HF_HOME: "$HOME/hf" },
      { HF_HOME: "${HOME}/none" },
      { XDG_CACHE_HOME: join(home, "xdg") },
      { HF_HUB_CACHE: "/tmp/cache", HF_HOME: join(home, "hf") },
      { HUGGINGFACE_HUB_CACHE: "/tmp/old", HF_HOME: join(home, "hf") },
      { HF_TOKEN: "hf_given", HF_TOKEN_PATH: join(home, "my token") },
      { HF_TOKEN: "\n hf_given \r\n" },
      { HUGGING_FACE_HUB_TOKEN: "hf_old" },
      { HF_TOKEN_PATH: join(home, "my token") },
      { HF_TOKEN_PATH: join(home, "none") },
      { HF_ENDPOINT: "http://127.0.0.1:1234/" },
      ...["1", "on", "Yes", "TRUE", "0", "", "no"].map((HF_HUB_OFFLINE) => ({ HF_HUB_OFFLINE })),
      { TRANSFORMERS_OFFLINE: "1" },
    ].map((each) => ({ HOME: home, ...each }));
    const python = JSON.parse(await runPython("hub_cache.py", ["settings"], JSON.stringify({ names, environments })));
    const own = environments.map((each) =>
      inEnvironment(each, () => {
        const { endpoint, token, cacheFolder, offline } = hubSettings({});
        return { endpoint, token, cacheFolder, offline };
      })
    );
    assert.deepEqual(own, python);
  } finally {
    Deno.removeSync(folder, { recursive: true });
  }
});

Deno.test("what is given goes before the environment", () => {
  const given = { endpoint: "https://hub.example/", token: "hf_t", cacheFolder: "/c", offline: false, revision: "v1" };
  const variables = { HF_ENDPOINT: "http://e", HF_TOKEN: "hf_e", HF_HUB_CACHE: "/e", HF_HUB_OFFLINE: "1" };
  const { endpoint, token, cacheFolder, offline, revision } = inEnvironment(variables, () => hubSettings(given));
  assert.deepEqual({ endpoint, token, cacheFolder, offline, revision }, { ...given, endpoint: "https://hub.example" });
});

Deno.test("without a home there is a clear line", () => {
  const expected = { name: "HubError", message: /HOME is not set; set HF_HOME/ };
  assert.throws(() => inEnvironment({}, () => hubSettings({})), expected);
});
