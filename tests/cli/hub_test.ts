// Models by their names: trained, predicted with, evaluated and pushed from the shell, against a hub on this machine.

import assert from "node:assert/strict";
import { join } from "node:path";
import { exists } from "../../src/native/cache.ts";
import { knownToken } from "../hub/server.ts";
import { hubPlace, sometimes, status } from "../hub/support.ts";
import { temporaryFolder } from "../native/fakes.ts";
import { fail, runCli, spawnCli, succeed } from "./run_cli.ts";
import { writeCsv, writeTinyModel } from "./tiny_model.ts";

function filesOf(folder: string): Record<string, Uint8Array<ArrayBuffer>> {
  return Object.fromEntries(
    Deno.readDirSync(folder).toArray().map(({ name }) => {
      return [name, Deno.readFileSync(join(folder, name))];
    }),
  );
}

Deno.test("from the hub to a fine-tuned model, and back to the hub", async (test) => {
  await using place = hubPlace();
  using temporary = temporaryFolder();
  const { hub, cacheFolder } = place;
  const at = (...names: string[]): string => join(temporary.path, ...names);
  writeTinyModel(at("tiny"));
  writeCsv(at("train.csv"), 12, (good) => good ? "good" : "bad");
  const base = hub.add("model", "org/tiny", { ...filesOf(at("tiny")), "onnx/model.onnx": "not this" });
  const commit = base.revisions.get("main")?.id ?? "";
  base.revisions.set("v1", base.revisions.get("main") ?? { id: "", files: new Map() });
  const offline = { HF_HUB_CACHE: cacheFolder, HF_HUB_OFFLINE: "1", HF_TOKEN: "", HF_TOKEN_PATH: at("none") };
  const online: Record<string, string> = { ...offline, HF_ENDPOINT: hub.endpoint, HF_HUB_OFFLINE: "0" };
  const text = "the film was very good";
  const predict = (model: string, env: Record<string, string>, ...more: string[]): Promise<string> =>
    succeed(["predict", "--model", model, "--json", "--logits", ...more, text], { env });
  const train = ["train", "--train", at("train.csv"), "--max-steps", "2", "--method", "lora", "--pooling", "cls"];

  await test.step("training downloads the model, and tells of it", async () => {
    const args = [...train, "--model", "org/tiny", "--revision", "v1", "--output-dir", at("out")];
    const { code, stderr } = await runCli(args, { env: online });
    assert.equal(code, 0, stderr);
    assert.match(stderr, /^org\/tiny: model\.safetensors {2}\d+\/\d+ KiB$/m);
    assert.ok(!hub.asked("GET").some((path) => path.includes("onnx/")));
  });

  await test.step("the adapter names its base by the name on the hub and the commit", () => {
    const config = JSON.parse(Deno.readTextFileSync(at("out/adapter_config.json")));
    assert.deepEqual([config.base_model_name_or_path, config.revision], ["org/tiny", commit]);
    const record = JSON.parse(Deno.readTextFileSync(at("out/training.json")));
    assert.deepEqual([record.options.model, record.options.revision], ["org/tiny", "v1"]);
  });

  await test.step("training from the folder gives the same", async () => {
    await succeed([...train, "--model", at("tiny"), "--output-dir", at("local")]);
    const weights = (folder: string): Uint8Array => Deno.readFileSync(at(folder, "adapter_model.safetensors"));
    assert.deepEqual(weights("out"), weights("local"));
  });

  await test.step("the adapter finds its base in the cache", async () => {
    assert.equal(await predict(at("out"), offline), await predict(at("local"), offline));
  });

  await test.step("push uploads it, and whoever has nothing predicts with it", async () => {
    const push = ["push", "--model", at("out"), "--repo", "me/adapter", "--private", "--message", "Two steps"];
    const stdout = await succeed(push, { env: { ...online, HF_TOKEN: knownToken } });
    assert.equal(stdout, `${hub.endpoint}/me/adapter\n`);
    assert.deepEqual(hub.commits, [{ repository: "me/adapter", branch: "main", summary: "Two steps" }]);
    const elsewhere = { ...online, HF_HUB_CACHE: at("other cache"), HF_TOKEN: knownToken };
    assert.equal(await predict("me/adapter", elsewhere), await predict(at("out"), offline));
    const data = ["eval", "--model", "me/adapter", "--data", at("train.csv"), "--json"];
    const offlineElsewhere = { ...elsewhere, HF_HUB_OFFLINE: "1" };
    assert.equal(JSON.parse(await succeed(data, { env: offlineElsewhere })).examples, 12);
  });

  await test.step("what cannot be had is one line", async () => {
    const refuse = (model: string, line: RegExp, env = online, ...more: string[]): Promise<void> =>
      fail(["predict", "--model", model, ...more, text], 1, line, { env });
    await refuse("me/adapter", /no folder me\/adapter is here, and as a model on the hub: there is no model/);
    await refuse("out/x", /no folder out\/x is here/);
    await refuse("./modle", /there is no folder \.\/modle, and it is no name/);
    await refuse("org/tiny", /org\/tiny has no revision v2/, online, "--revision", "v2");
    await refuse("org/none", /is not in the cache .*HF_HUB_OFFLINE keeps it off/, offline);
    hub.faults.push(sometimes(/./, 1, status(429, { "retry-after": "900" })));
    await refuse("org/none", /too many requests \(429\): try again in 15 minutes/);
    const push = ["push", "--model", at("tiny"), "--repo", "me/other"];
    await fail(push, 1, /needs a token: set HF_TOKEN to one that may write/, { env: online });
    await fail(["push", "--model", temporary.path, "--repo", "me/other"], 1, /holds no saved model/, { env: online });
  });

  await test.step("Ctrl-C while it downloads ends at once, and what came stays", async () => {
    const fresh = { ...online, HF_HUB_CACHE: at("third cache") };
    hub.faults.push(sometimes(/^GET \/[0-9a-f]{64}/, 1, async (_request, answer) => {
      const content = await (await answer()).bytes();
      return new Response(new ReadableStream({ start: (controller) => controller.enqueue(content.slice(0, 500)) }));
    }));
    const child = spawnCli([...train, "--model", "org/tiny", "--output-dir", at("never")], { env: fresh });
    const blobs = join(at("third cache"), "models--org--tiny/blobs");
    const partial = async (): Promise<string | undefined> => {
      if (!await exists(blobs)) return undefined;
      const names = Array.from(Deno.readDirSync(blobs), ({ name }) => name);
      return names.find((name) => name.endsWith(".incomplete") && sizeOf(join(blobs, name)) === 500);
    };
    for (let tries = 0; !await partial(); tries++) {
      assert.ok(tries < 1000, "no download");
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    child.kill("SIGINT");
    const { code, stderr } = await child.output();
    assert.equal(code, 130, new TextDecoder().decode(stderr));
    assert.ok(await partial());
    assert.ok(!await exists(at("never")));
  });
});

// Of a file that may get another name meanwhile.
function sizeOf(path: string): number | null {
  try {
    return Deno.statSync(path).size;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return null;
    throw error;
  }
}
