// Shards and their index: what loads, and what is refused, by the file's name and the reason, before memory is taken.

import assert from "node:assert/strict";
import {
  type Classifier,
  loadClassifier,
  memory,
  namedParameters,
  resetPeakMemory,
  saveClassifier,
} from "../../mod.ts";
import { openSafetensors } from "../../src/files/safetensors.ts";
import { type SafetensorsSource, writeSafetensors } from "../../src/files/safetensors_write.ts";
import { openShards } from "../../src/files/shards.ts";
import { defaultShardBytes, writeShards } from "../../src/files/shards_write.ts";
import { temporaryFolder } from "../native/fakes.ts";
import { smallBertFolder } from "../support/small_bert.ts";
import { assertNothingLeft } from "../support/torch.ts";

type Index = Record<string, unknown>;

const [first, second] = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"];

function tensor(name: string, count = 2): SafetensorsSource {
  return { name, dtype: "F32", shape: [count], bytes: () => new Uint8Array(4 * count).fill(name.length) };
}

/** A folder with two shards, of `a` and `b` and of `c`, and an index, which is given as text or by its weight_map. */
function withShards(index: string | Index, test: (path: string, folder: string) => void): void {
  using temporary = temporaryFolder();
  const folder = `${temporary.path}/model`;
  Deno.mkdirSync(folder);
  writeSafetensors(`${folder}/${first}`, [tensor("a"), tensor("b", 3)]);
  writeSafetensors(`${folder}/${second}`, [tensor("c")]);
  writeSafetensors(`${temporary.path}/outside.safetensors`, [tensor("c")]);
  const path = `${folder}/model.safetensors.index.json`;
  Deno.writeTextFileSync(path, typeof index === "string" ? index : JSON.stringify({ weight_map: index }));
  test(path, folder);
}

const whole = { a: first, b: first, c: second };

function refused(open: () => unknown, message: RegExp): void {
  assert.throws(open, (error) => {
    assert.ok(error instanceof Error);
    assert.equal(error.name, "CheckpointError");
    assert.match(error.message, message);
    assert.ok(error.message.length < 600 && !/[\n\0]/.test(error.message), error.message);
    return true;
  });
}

Deno.test("shards read as one file, each tensor from where it is", () => {
  withShards(whole, (path) => {
    using file = openShards(path, openSafetensors);
    assert.deepEqual([...file.tensors.keys()].sort(), ["a", "b", "c"]);
    assert.equal(file.path, path);
    const bytes = new Uint8Array(8);
    file.readInto("b", bytes, 4);
    assert.deepEqual([...bytes], Array(8).fill(1));
    assert.throws(() => file.readInto("b", bytes, 8), RangeError);
    refused(() => file.readInto("d", bytes), /index\.json has no tensor "d"$/);
  });
});

Deno.test("names that objects have already are names like others", () => {
  using temporary = temporaryFolder();
  const names = ["__proto__", "constructor", "toString", "A", "a"];
  writeShards(temporary.path, names.map((name, index) => tensor(name, index + 1)), 8);
  using file = openShards(`${temporary.path}/model.safetensors.index.json`, openSafetensors);
  assert.deepEqual([...file.tensors.keys()].sort(), names.toSorted());
  for (const [index, name] of names.entries()) assert.deepEqual(file.tensors.get(name)?.shape, [index + 1]);
  assert.equal(Object.keys(Object.prototype).length, 0);
});

const outside = [
  ...["../outside.safetensors", "/etc/passwd", "..", ".", "", "sub/model.safetensors", "..\\outside.safetensors"],
  ...[
    "C:outside.safetensors",
    `${first}\0`,
    `${first}\n`,
    `${first}:stream`,
    ".hidden",
    "a".repeat(100_000),
    "\u2025/x",
  ],
];

Deno.test("a shard has to be a plain name: none leads out of the folder", () => {
  for (const name of outside) {
    withShards({ ...whole, c: name }, (path) => {
      refused(() => openShards(path, openSafetensors), /index\.json names ".*", a shard has to be a plain file name/);
    });
  }
});

const refusals: Readonly<Record<string, readonly [index: string | Index, message: RegExp]>> = {
  "a tensor that its shard lacks": [
    { ...whole, d: second },
    /model-00002-of-00002\.safetensors has no tensor "d", which .*index\.json says it has$/,
  ],
  "a tensor that another shard has": [
    { ...whole, b: second },
    /model-00002-of-00002\.safetensors has no tensor "b", which .*index\.json says it has$/,
  ],
  "a tensor that no index lists": [
    { a: first, c: second },
    /model-00001-of-00002\.safetensors has a tensor "b", which .*index\.json does not list$/,
  ],
  "a shard that is not there": [
    { ...whole, d: "model-00003-of-00003.safetensors" },
    /index\.json lists shards that are not beside it: download model-00003-of-00003\.safetensors too$/,
  ],
  "many shards that are not there": [
    Object.fromEntries(Array.from({ length: 5000 }, (_, index) => [`${index}`, `shard${index}`])),
    /download shard0, .* and 4992 more too$/,
  ],
  "a file that is no shard": [
    { ...whole, c: "model.safetensors.index.json" },
    /index\.json is not a valid safetensors file/,
  ],
  "two shards for one tensor": [
    `{"weight_map":{"a":"${first}","b":"${first}","c":"${second}","a":"${second}"}}`,
    /index\.json has the key "a" twice$/,
  ],
  "no text": ["", /index\.json is not JSON$/],
  "a list": ["[]", /index\.json holds no JSON object$/],
  "no weight_map": ["{}", /index\.json has no weight_map/],
  "a weight_map that is a list": ['{"weight_map":["a"]}', /index\.json has no weight_map/],
  "an empty weight_map": ['{"weight_map":{}}', /index\.json lists no tensors$/],
  "a number for a file": ['{"weight_map":{"a":1}}', /index\.json names no file for tensor "a"$/],
  "nesting without end": ["[".repeat(1e6), /index\.json is not JSON$/],
};

for (const [name, [index, message]] of Object.entries(refusals)) {
  Deno.test(`refused in one line: ${name}`, () => {
    withShards(index, (path) => refused(() => openShards(path, openSafetensors), message));
  });
}

Deno.test("refused in one line: a tensor in two shards", () => {
  withShards(whole, (path, folder) => {
    writeSafetensors(`${folder}/${second}`, [tensor("c"), tensor("b", 3)]);
    refused(
      () => openShards(path, openSafetensors),
      /00002\.safetensors has a tensor "b", which .*index\.json says is in model-00001-of-00002\.safetensors$/,
    );
  });
});

Deno.test("a file as the hub's cache keeps it, a link to another folder, is a shard like others", () => {
  withShards(whole, (path, folder) => {
    Deno.renameSync(`${folder}/${second}`, `${folder}/../blob`);
    Deno.symlinkSync("../blob", `${folder}/${second}`);
    using file = openShards(path, openSafetensors);
    assert.equal(file.tensors.size, 3);
  });
});

Deno.test("what a header or an index claims takes no memory: only what the file has", () => {
  const header = (claims: unknown, length?: bigint): Uint8Array => {
    const json = new TextEncoder().encode(JSON.stringify(claims));
    const bytes = new Uint8Array(8 + json.length);
    new DataView(bytes.buffer).setBigUint64(0, length ?? BigInt(json.length), true);
    bytes.set(json, 8);
    return bytes;
  };
  const large = { dtype: "F32", shape: [1e11], data_offsets: [0, 4e11] };
  const claims = [header({ a: large }), header({ a: large }, 99_999_999n), header({}, 2n ** 63n)];
  withShards({ a: first, c: second }, (path, folder) => {
    const before = Deno.memoryUsage();
    resetPeakMemory();
    const live = memory().liveBytes;
    for (const bytes of claims) {
      Deno.writeFileSync(`${folder}/${first}`, bytes);
      for (let time = 0; time < 20; time++) {
        refused(
          () => openShards(path, openSafetensors),
          /model-00001-of-00002\.safetensors is not a valid safetensors/,
        );
      }
    }
    const after = Deno.memoryUsage();
    assert.equal(memory().peakBytes, live);
    assert.ok(after.external - before.external < 1e6, `${after.external - before.external}`);
    assert.ok(after.rss - before.rss < 50e6, `${after.rss - before.rss}`);
  });
});

/** The tiny BERT, sharded. */
async function withSharded(test: (folder: string) => Promise<void>): Promise<void> {
  using temporary = temporaryFolder();
  const folder = `${temporary.path}/sharded`;
  {
    using classifier = await loadClassifier(smallBertFolder);
    saveClassifier(classifier, folder, {}, { maxShardBytes: 20_000 });
  }
  await test(folder);
}

function bytesOf({ model }: Classifier): Map<string, Uint8Array> {
  return new Map([...namedParameters(model)].map(([key, parameter]) => [key, parameter.bytes().slice()]));
}

Deno.test("sharded weights are the same weights, and are one file's when there is one", async () => {
  await withSharded(async (folder) => {
    await assertNothingLeft(async () => {
      using original = await loadClassifier(smallBertFolder);
      using sharded = await loadClassifier(folder);
      assert.deepEqual(bytesOf(sharded), bytesOf(original));
      assert.deepEqual([sharded.newKeys, sharded.target], [[], original.target]);
      Deno.copyFileSync(`${smallBertFolder}/model.safetensors`, `${folder}/model.safetensors`);
      Deno.writeTextFileSync(`${folder}/model.safetensors.index.json`, "");
      using whole = await loadClassifier(folder);
      assert.deepEqual(bytesOf(whole), bytesOf(original));
    });
  });
});

/** Renames a tensor in its shard and in the index. */
function rename(folder: string, from: string, to: string): void {
  const path = `${folder}/model.safetensors.index.json`;
  const index = JSON.parse(Deno.readTextFileSync(path));
  const shard = `${folder}/${index.weight_map[from]}`;
  const sources = sourcesOf(shard).map((source) => source.name === from ? { ...source, name: to } : source);
  writeSafetensors(shard, sources);
  const { [from]: file, ...others } = index.weight_map;
  Deno.writeTextFileSync(path, JSON.stringify({ ...index, weight_map: { ...others, [to]: file } }));
}

function sourcesOf(path: string): SafetensorsSource[] {
  using file = openSafetensors(path);
  return [...file.tensors].map(([name, { dtype, shape, byteLength }]) => {
    const bytes = new Uint8Array(byteLength);
    file.readInto(name, bytes);
    return { name, dtype, shape, bytes: () => bytes };
  });
}

Deno.test("loading shards is strict: missing and unexpected keys are listed", async () => {
  await withSharded(async (folder) => {
    rename(folder, "bert.encoder.layer.1.output.dense.bias", "bert.encoder.layer.1.output.sparse.bias");
    await assert.rejects(loadClassifier(folder), {
      name: "CheckpointError",
      message: `${folder}/model.safetensors.index.json: unexpected bert.encoder.layer.1.output.sparse.bias; ` +
        "missing bert.encoder.layer.1.output.dense.bias",
    });
    rename(folder, "bert.encoder.layer.1.output.sparse.bias", "cls.predictions.bias");
    await assert.rejects(loadClassifier(folder), {
      name: "CheckpointError",
      message: /index\.json lacks bert\.encoder\.layer\.1\.output\.dense\.bias: it does not fit/,
    });
  });
});

Deno.test("a folder without weights is refused with what was looked for", async () => {
  await withSharded(async (folder) => {
    Deno.removeSync(`${folder}/model.safetensors.index.json`);
    await assert.rejects(loadClassifier(folder), {
      name: "CheckpointError",
      message: /sharded has no weights: there is no model\.safetensors, no model\.safetensors\.index\.json/,
    });
  });
});

Deno.test("weights that just fit are one file; a tensor above the limit has a shard of its own", () => {
  using temporary = temporaryFolder();
  const sources = [tensor("a", 4), tensor("b", 10), tensor("c", 4), tensor("d", 4)];
  const names = (limit?: number): string[] => {
    const folder = `${temporary.path}/${limit}`;
    Deno.mkdirSync(folder);
    writeShards(folder, sources, limit);
    return [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
  };
  const shards = (count: number): string[] =>
    Array.from({ length: count }, (_, index) => `model-0000${index + 1}-of-0000${count}.safetensors`);
  assert.deepEqual([names(), names(88)], [["model.safetensors"], ["model.safetensors"]]);
  assert.deepEqual(names(87), [...shards(2), "model.safetensors.index.json"]);
  assert.deepEqual(names(32), [...shards(3), "model.safetensors.index.json"]);
  assert.deepEqual(names(1), [...shards(4), "model.safetensors.index.json"]);
  assert.equal(defaultShardBytes, 50e9);
});

Deno.test("a save in shards that fails leaves nothing, and a limit that is none is refused", async () => {
  using temporary = temporaryFolder();
  using classifier = await loadClassifier(smallBertFolder);
  const folder = `${temporary.path}/saved`;
  for (const maxShardBytes of [0, -1, NaN]) {
    assert.throws(() => saveClassifier(classifier, folder, {}, { maxShardBytes }), {
      name: "OptionError",
      message: `maxShardBytes is ${maxShardBytes}, it has to be above 0`,
    });
  }
  assert.throws(() => saveClassifier(classifier, folder, { "no/such/folder": "" }, { maxShardBytes: 20_000 }), {
    name: "CheckpointError",
  });
  assert.deepEqual([...Deno.readDirSync(temporary.path)], []);
});
