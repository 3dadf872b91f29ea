// Uploading a saved model: what arrives in the repository, and what is never sent.

import assert from "node:assert/strict";
import { join } from "node:path";
import { pushModel, type PushOptions } from "../../src/hub/push.ts";
import type { UploadEvent } from "../../src/hub/options.ts";
import { type FakeHub, knownToken, noise } from "./server.ts";
import { type HubPlace, hubPlace, nobody, sometimes, status } from "./support.ts";

const weights = noise(200_000);
const model: Readonly<Record<string, string | Uint8Array<ArrayBuffer>>> = {
  "config.json": `{"a": 1}`,
  "model.safetensors": weights,
  "tokenizer.json": JSON.stringify({ vocabulary: "x".repeat(5000) }),
  "tokenizer/more.txt": "more",
  "naïve name.txt": "é",
};

interface PushPlace extends HubPlace {
  /** The folder of a model with files that are not to be uploaded beside it. */
  readonly folder: string;
  readonly push: (more?: PushOptions & { readonly name?: string }) => Promise<string>;
}

function place(files = model): PushPlace {
  const made = hubPlace();
  const outside = made.cacheFolder;
  const folder = join(outside, "model");
  const all = { ...files, ".env": "secret", ".git/config": "secret", "tokenizer/.cache": "secret" };
  for (const [path, content] of Object.entries(all)) {
    Deno.mkdirSync(join(folder, path, ".."), { recursive: true });
    Deno.writeFileSync(join(folder, path), typeof content === "string" ? new TextEncoder().encode(content) : content);
  }
  Deno.writeTextFileSync(join(outside, "secret.txt"), "secret");
  const options: PushOptions = { ...made.options, token: knownToken, onProgress: undefined };
  const push = async ({ name = "org/new", ...more }: PushOptions & { readonly name?: string } = {}): Promise<string> =>
    (await pushModel(folder, name, { ...options, ...more })).url;
  return { ...made, folder, push };
}

function contents(hub: FakeHub, name: string, branch = "main"): Record<string, string | Uint8Array> {
  const files = hub.repositories.find((each) => each.name === name)?.revisions.get(branch)?.files ?? new Map();
  return Object.fromEntries([...files].map(([path, content]) => {
    return [path, path.endsWith(".safetensors") ? content : new TextDecoder().decode(content)];
  }));
}

Deno.test("a saved model arrives in a new repository, in one commit", async () => {
  await using made = place();
  const { hub, push } = made;
  const events: UploadEvent[] = [];
  const url = await push({ message: "First", onProgress: (event) => events.push(event) });
  assert.equal(url, `${hub.endpoint}/org/new`);
  assert.deepEqual(contents(hub, "org/new"), model);
  assert.deepEqual(hub.commits, [{ repository: "org/new", branch: "main", summary: "First" }]);
  assert.equal(hub.repositories[0]?.access, "public");
  assert.equal(hub.asked("PUT", "storage").length, 2);
  const last = events.findLast(({ path }) => path === "model.safetensors");
  assert.deepEqual(last, {
    ...{ type: "upload", repository: "org/new", path: "model.safetensors" },
    ...{ done: weights.length, total: weights.length },
  });
});

Deno.test("a second push changes what differs, and sends no large content again", async () => {
  await using made = place();
  await made.push();
  Deno.writeTextFileSync(join(made.folder, "config.json"), `{"a": 2}`);
  await made.push();
  assert.deepEqual(contents(made.hub, "org/new"), { ...model, "config.json": `{"a": 2}` });
  assert.equal(made.hub.repositories.length, 1);
  assert.equal(made.hub.asked("PUT", "storage").length, 2);
  assert.equal(made.hub.commits.length, 2);
});

Deno.test("private, and another branch", async () => {
  await using made = place();
  await made.push({ isPrivate: true, revision: "try/one" });
  assert.equal(made.hub.repositories[0]?.access, "private");
  assert.deepEqual(contents(made.hub, "org/new"), {});
  assert.deepEqual(contents(made.hub, "org/new", "try/one"), model);
  await made.push({ revision: "try/one" });
  assert.equal(made.hub.commits.length, 2);
});

Deno.test("an adapter is a saved model too, in PEFT's format and in Fewtune's own", async () => {
  for (const [config, weights] of [["adapter_config", "adapter_model"], ["fewtune_adapter", "fewtune_adapter"]]) {
    const adapter = { [`${config}.json`]: "{}", [`${weights}.safetensors`]: noise(3000) };
    await using made = place(adapter);
    await made.push();
    assert.deepEqual(contents(made.hub, "org/new"), adapter);
  }
});

Deno.test("a folder that holds no saved model is refused, and nobody is asked", async () => {
  for (const files of [{ "config.json": "{}" }, { "model.safetensors": "w" }, { "notes.txt": "n" }]) {
    await using made = place(files);
    await assert.rejects(made.push(), { name: "CheckpointError", message: /model holds no saved model: neither/ });
    await assert.rejects(pushModel(join(made.folder, "none"), "org/new"), { message: /none is no folder of a saved/ });
    await assert.rejects(pushModel(join(made.folder, Object.keys(files)[0] ?? ""), "org/new"), {
      name: "CheckpointError",
    });
    assert.deepEqual(made.hub.received, []);
  }
});

Deno.test("links that lead out of the folder are refused, those within it are files", async () => {
  for (const target of ["../secret.txt", "/etc/hostname", "..", "/etc"]) {
    await using made = place();
    Deno.symlinkSync(target, join(made.folder, "link.txt"));
    await assert.rejects(made.push(), { name: "HubError", message: /link\.txt leads out of the folder/ });
    assert.deepEqual(made.hub.received, []);
  }
  await using made = place();
  Deno.symlinkSync("config.json", join(made.folder, "copy.json"));
  await made.push();
  assert.deepEqual(contents(made.hub, "org/new"), { ...model, "copy.json": `{"a": 1}` });
});

Deno.test("of a run's folder its result is uploaded: neither checkpoints nor logs, and nothing before it is finished", async () => {
  const finished = { ...model, "train_config.json": "{}", "training.json": "{}" };
  const beside = {
    "checkpoints/step-2/model.safetensors": weights,
    "metrics.jsonl": "{}",
    "events.out.tfevents.1795473935.fewtune": "events",
  };
  await using made = place({ ...finished, ...beside });
  await made.push();
  assert.deepEqual(contents(made.hub, "org/new"), finished);
  await using unfinished = place({ ...model, ...beside, "train_config.json": "{}" });
  await assert.rejects(unfinished.push(), { name: "CheckpointError", message: /run that is not finished/ });
  assert.deepEqual(unfinished.hub.received, []);
});

Deno.test("each refusal says what to do", async () => {
  const cases: readonly [PushOptions & { readonly name?: string }, RegExp][] = [
    [{ token: "" }, /pushing to org\/new needs a token: set HF_TOKEN to one that may write/],
    [{ token: "hf_wrong" }, /does not know your token \(401\)/],
    [{ token: "other" }, /org\/new was not pushed: .*hf_/],
    [{ name: "new" }, /new says not whose it is: give a user or an organisation/],
    [{ name: "../new" }, /is no name on the hub/],
    [{ revision: "../x" }, /is no revision/],
    [{ endpoint: nobody() }, /cannot be reached \(.*refused/i],
  ];
  for (const [options, message] of cases) {
    await using made = place();
    await assert.rejects(made.push(options), { name: "HubError", message });
    assert.deepEqual(made.hub.repositories, []);
  }
  await using made = place();
  made.hub.add("model", "org/new", {}).access = "closed";
  made.hub.faults.push(sometimes(/POST .*preupload/, 1, status(403)));
  await assert.rejects(made.push(), {
    status: 403,
    message: /refuses the model of org\/new \(403\): use a token that may write/,
  });
});

Deno.test("what passes is tried again, in each step", async () => {
  const steps = [/POST .*create/, /POST .*preupload/, /POST .*batch/, /PUT/, /POST .*commit/];
  for (const step of steps) {
    await using made = place();
    made.hub.faults.push(sometimes(step, 1, status(503)), sometimes(step, 1, status(429, { "retry-after": "0" })));
    await made.push();
    assert.deepEqual(contents(made.hub, "org/new"), model, String(step));
  }
});

Deno.test("the token goes to the hub and nowhere else", async () => {
  await using made = place();
  await made.push();
  for (const { server, headers, path } of made.hub.received) {
    assert.equal(headers.get("authorization"), server === "hub" ? `Bearer ${knownToken}` : null, path);
  }
});

Deno.test("a signal stops it before the commit", async () => {
  await using made = place();
  const stop = new AbortController();
  made.hub.faults.push(sometimes(/PUT/, 1, () => {
    stop.abort(new Error("enough"));
    return new Response(null, { status: 500 });
  }));
  await assert.rejects(made.push({ signal: stop.signal }), { message: "enough" });
  assert.deepEqual(made.hub.commits, []);
});
