// From a name to a model's folder: which files of its repository are fetched, and what is said where there are none.

import assert from "node:assert/strict";
import { basename } from "node:path";
import { modelFolder } from "../../src/hub/model_folder.ts";
import { noise } from "./server.ts";
import { everythingUnder, type HubPlace, hubPlace } from "./support.ts";

const tokenizer = {
  "tokenizer.json": "{}",
  "tokenizer_config.json": "{}",
  "special_tokens_map.json": "{}",
  "added_tokens.json": "{}",
  "vocab.txt": "a",
  "vocab.json": "{}",
  "merges.txt": "",
};
const unwanted = {
  "README.md": "#",
  ".gitattributes": "",
  "generation_config.json": "{}",
  "tf_model.h5": "tf",
  "flax_model.msgpack": "flax",
  "rust_model.ot": "rust",
  "onnx/model.onnx": "onnx",
  "onnx/model.safetensors": "not this one",
  "coreml/config.json": "{}",
};
const shard = (number: number): string => `model-0000${number}-of-00002.safetensors`;
const index = (files: readonly unknown[]): string =>
  JSON.stringify({ weight_map: Object.fromEntries(files.map((file, number) => [`w${number}`, file])) });

async function folderOf(files: Record<string, string | Uint8Array<ArrayBuffer>>, made: HubPlace): Promise<string[]> {
  made.hub.add("model", "org/name", files);
  return Object.keys(everythingUnder(await modelFolder("org/name", made.options))).toSorted();
}

const kinds: readonly [string, Record<string, string>, Record<string, string>][] = [
  ["safetensors beside the older format", { "model.safetensors": "w" }, { "pytorch_model.bin": "w" }],
  [
    "sharded safetensors",
    { "model.safetensors.index.json": index([shard(1), shard(2), shard(1)]), [shard(1)]: "1", [shard(2)]: "2" },
    { "pytorch_model.bin": "w", "model-00003-of-00003.safetensors": "of another" },
  ],
  ["the older format", { "pytorch_model.bin": "w" }, { "model.onnx": "w" }],
  [
    "the older format in shards",
    { "pytorch_model.bin.index.json": index(["pytorch_model-1.bin"]), "pytorch_model-1.bin": "1" },
    {},
  ],
  ["a model that was trained here", { "model.safetensors": "w", "training.json": "{}" }, {}],
];

for (const [name, wanted, besides] of kinds) {
  Deno.test(`of a repository with ${name}, what a model is read from`, async () => {
    await using made = hubPlace();
    const own = { "config.json": "{}", ...tokenizer, ...wanted };
    assert.deepEqual(await folderOf({ ...own, ...besides, ...unwanted }, made), Object.keys(own).toSorted());
  });
}

Deno.test("of an adapter's repository, its own files", async () => {
  for (const [config, weights] of [["adapter_config", "adapter_model"], ["fewtune_adapter", "fewtune_adapter"]]) {
    await using made = hubPlace();
    const described = config === "fewtune_adapter" && { "config.json": "{}" };
    const own = { ...described, [`${config}.json`]: "{}", [`${weights}.safetensors`]: "w", ...tokenizer };
    const found = await folderOf({ ...own, ...unwanted, "model.safetensors": "w" }, made);
    assert.deepEqual(found, Object.keys(own).toSorted());
  }
});

Deno.test("a folder is itself, and nobody is asked", async () => {
  await using made = hubPlace();
  assert.equal(await modelFolder(made.cacheFolder, made.options), made.cacheFolder);
  await assert.rejects(modelFolder(made.cacheFolder, { ...made.options, revision: "v1" }), {
    name: "HubError",
    message: /is a folder, which has no revisions: leave v1 out/,
  });
  assert.deepEqual(made.hub.received, []);
});

Deno.test("a name that can only be a folder's is not asked for on the hub", async () => {
  await using made = hubPlace();
  for (const name of ["./modle", "../x", "/no/such/folder", "out/a/b", "a b", "~/model", "out/"]) {
    const message = new RegExp(`^there is no folder ${name}, and it is no name of a model on the hub \\(org/name\\)$`);
    await assert.rejects(modelFolder(name, made.options), { name: "HubError", message });
  }
  assert.deepEqual(made.hub.received, []);
});

Deno.test("a name that can be both is read both ways", async () => {
  await using made = hubPlace();
  for (const name of ["out/x", "modle"]) {
    const message = new RegExp(
      `^no folder ${name} is here, and as a model on the hub: there is no model ${name} on http`,
    );
    await assert.rejects(modelFolder(name, made.options), { name: "HubError", status: 401, message });
    const offline = new RegExp(`^no folder ${name} is here, and .* is not in the cache .*HF_HUB_OFFLINE`);
    await assert.rejects(modelFolder(name, { ...made.options, offline: true }), { name: "HubError", message: offline });
  }
});

Deno.test("a repository that no model can be read from says why", async () => {
  const cases: readonly [Record<string, string>, string, RegExp][] = [
    [{ "model.gguf": "w" }, "HubError", /org\/name has no config\.json: it is in no format of transformers/],
    [{ "config.json": "{}", "tf_model.h5": "w" }, "HubError", /has no model\.safetensors or pytorch_model\.bin/],
    [{ "adapter_config.json": "{}" }, "HubError", /has no config\.json/],
    ...["{", "{}", `{"weight_map": {}}`, index([7]), index(["../../evil"]), index(["/etc/passwd"])].map((text) =>
      [
        { "config.json": "{}", "model.safetensors.index.json": text },
        "CheckpointError",
        /index\.json of org\/name is damaged/,
      ] as [
        Record<string, string>,
        string,
        RegExp,
      ]
    ),
    [
      { "config.json": "{}", "model.safetensors.index.json": index(["none"]) },
      "HubError",
      /has no file none at revision/,
    ],
  ];
  for (const [files, name, message] of cases) {
    await using made = hubPlace();
    await assert.rejects(folderOf(files, made), { name, message });
  }
});

Deno.test("offline, a model that was fetched is there, and of one that was not all is said", async () => {
  await using made = hubPlace();
  const repository = made.hub.add("model", "org/name", { "config.json": "{}", "model.safetensors": noise(2000) });
  const opened = await made.open();
  await opened.fetch("config.json");
  const offline = { ...made.options, offline: true };
  await assert.rejects(modelFolder("org/name", offline), {
    message: /the cache has no model\.safetensors or .*network/,
  });
  const folder = await modelFolder("org/name", made.options);
  assert.equal(basename(folder), repository.revisions.get("main")?.id);
  assert.equal(await modelFolder("org/name", offline), folder);
  assert.equal(await modelFolder("org/name", { ...offline, revision: basename(folder) }), folder);
});
