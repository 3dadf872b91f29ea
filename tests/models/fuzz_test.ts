// Hostile files: whatever is in them, they load or are refused by name and reason, in little memory and time.

import assert from "node:assert/strict";
import {
  applyMethod,
  loadClassifier,
  memory,
  randomClassifier,
  resetPeakMemory,
  saveAdapter,
  saveClassifier,
} from "../../mod.ts";
import { SeededRandom } from "../../src/data/prng.ts";
import { CheckpointError, OptionError } from "../../src/errors.ts";
import { openWeights } from "../../src/files/open_weights.ts";
import { unpickle } from "../../src/files/pickle.ts";
import { openSafetensors } from "../../src/files/safetensors.ts";
import { torchContext } from "../../src/files/torch_tensors.ts";
import { openTorchWeights } from "../../src/files/torch_weights.ts";
import type { WeightsFile } from "../../src/files/weights_file.ts";
import { temporaryFolder } from "../native/fakes.ts";
import { jsonMutations, mutations } from "../support/mutate.ts";
import { runPython } from "../support/python.ts";
import { assertNothingLeft } from "../support/torch.ts";

const temporary = temporaryFolder();
globalThis.addEventListener("unload", () => temporary[Symbol.dispose]());
const at = (name: string): string => `${temporary.path}/${name}`;

const mostMillisecondsEach = 5000;
const mostBytes = 64e6;
let inputs = 0;

/** What became of many inputs. */
interface Outcome {
  loaded: number;
  refused: number;
}

/** Runs `load` on every seed: it may throw an error of one line that begins with a path in `folder`, and no other. */
async function fuzz(count: number, folder: string, load: (seed: number) => unknown): Promise<Outcome> {
  const outcome = { loaded: 0, refused: 0 };
  const resident = Deno.memoryUsage().rss;
  await assertNothingLeft(async () => {
    const { liveBytes } = memory();
    resetPeakMemory();
    for (let seed = 1; seed <= count; seed++) {
      const start = performance.now();
      try {
        await load(seed);
        outcome.loaded++;
      } catch (error) {
        assertRefusal(error, folder, seed);
        outcome.refused++;
      }
      const milliseconds = performance.now() - start;
      assert.ok(milliseconds < mostMillisecondsEach, `seed ${seed} took ${milliseconds} ms`);
      const peak = memory().peakBytes - liveBytes;
      assert.ok(peak < mostBytes, `seed ${seed}: ${peak} bytes of tensors`);
    }
  });
  const grown = Deno.memoryUsage().rss - resident;
  assert.ok(grown < 4 * mostBytes, `${grown} bytes grown`);
  inputs += count;
  return outcome;
}

function assertRefusal(error: unknown, folder: string, seed: number): void {
  const isTyped = error instanceof CheckpointError || error instanceof OptionError;
  assert.ok(isTyped, `seed ${seed}: ${error instanceof Error ? error.stack : error}`);
  const { message } = error;
  assert.ok(message.startsWith(folder), `seed ${seed} names no file: ${message}`);
  assert.match(
    message.replaceAll(folder, ""),
    /^[^\p{Cc}\u2028\u2029]{10,1500}$/u,
    `seed ${seed}: ${message.slice(0, 3000)}`,
  );
}

function readAll(opened: WeightsFile): void {
  using file = opened;
  for (const [name, { byteLength }] of file.tensors) file.readInto(name, new Uint8Array(byteLength));
}

const bertConfig = {
  model_type: "bert",
  vocab_size: 11,
  hidden_size: 8,
  num_hidden_layers: 1,
  num_attention_heads: 2,
  intermediate_size: 12,
  max_position_embeddings: 9,
  type_vocab_size: 2,
  hidden_act: "gelu",
  hidden_dropout_prob: 0.1,
  attention_probs_dropout_prob: 0.1,
  layer_norm_eps: 1e-12,
  pad_token_id: 0,
  position_embedding_type: "absolute",
  initializer_range: 0.02,
};

const optConfig = {
  model_type: "opt",
  vocab_size: 11,
  hidden_size: 8,
  word_embed_proj_dim: 4,
  num_hidden_layers: 1,
  num_attention_heads: 2,
  ffn_dim: 12,
  max_position_embeddings: 9,
  do_layer_norm_before: false,
  activation_function: "relu",
  dropout: 0.1,
  attention_dropout: 0,
  pad_token_id: 1,
  init_std: 0.02,
};

const { model_type: _, type_vocab_size: __, ...shape } = bertConfig;
const robertaConfig = {
  ...shape,
  model_type: "roberta",
  type_vocab_size: 1,
  max_position_embeddings: 12,
  pad_token_id: 1,
};

const distilbertConfig = {
  model_type: "distilbert",
  vocab_size: 11,
  dim: 8,
  n_layers: 1,
  n_heads: 2,
  hidden_dim: 12,
  max_position_embeddings: 9,
  activation: "gelu",
  dropout: 0.1,
  attention_dropout: 0.1,
  pad_token_id: 0,
};

const models = { bert: bertConfig, roberta: robertaConfig, distilbert: distilbertConfig, opt: optConfig };
const target = { labels: ["no", "yes"] };

for (const [name, config] of Object.entries(models)) {
  using classifier = randomClassifier(config, { target, pooling: name === "opt" ? "last" : "cls" });
  saveClassifier(classifier, at(name));
}
{
  using classifier = await loadClassifier(at("bert"));
  applyMethod(classifier, "lora", {});
  saveAdapter(classifier, at("adapter"));
}

const safetensors = Deno.readFileSync(at("bert/model.safetensors"));
const headerBytes = Number(new DataView(safetensors.buffer).getBigUint64(0, true));

function framed(header: string): Uint8Array {
  const text = new TextEncoder().encode(header);
  const bytes = new Uint8Array(8 + text.length + safetensors.length - 8 - headerBytes);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(text.length), true);
  bytes.set(text, 8);
  bytes.set(safetensors.subarray(8 + headerBytes), 8 + text.length);
  return bytes;
}

Deno.test("safetensors", async () => {
  Deno.mkdirSync(at("files"));
  const header = new TextDecoder().decode(safetensors.subarray(8, 8 + headerBytes));
  const { refused } = await fuzz(2500, at("files"), (seed) => {
    const mutated = seed % 2 === 0
      ? new Uint8Array([
        ...mutations(seed, safetensors.subarray(0, 8 + headerBytes)),
        ...safetensors.subarray(8 + headerBytes),
      ])
      : framed(jsonMutations(seed, header));
    Deno.writeFileSync(at("files/model.safetensors"), mutated);
    readAll(openSafetensors(at("files/model.safetensors")));
  });
  assert.ok(refused > 1500, `${refused}`);
});

const names = [
  ...["../outside.safetensors", "/etc/passwd", at("outside.safetensors"), "a/../../outside.safetensors", "..", ".", ""],
  ...[
    "..\\outside.safetensors",
    "C:\\model.safetensors",
    "C:model.safetensors",
    "\\\\host\\share",
    "file:///etc/passwd",
  ],
  ...[
    "a\0.safetensors",
    "a.safetensors\0",
    "a\n.safetensors",
    "~/x",
    "x".repeat(100_000),
    "a.safetensors/",
    "./a.safetensors",
  ],
  ...["%2e%2e/outside.safetensors", "..%2foutside.safetensors", "\u2025/outside", "a.safetensors:stream", "NUL", "con"],
  ...["__proto__", "constructor", "/dev/zero", "/proc/self/mem", "a\u202e.safetensors", "\ud800"],
];

// Whatever is opened or looked at while `body` runs has to be in the folder.
async function staysIn(folder: string, body: () => Promise<void>): Promise<void> {
  const { openSync, statSync, readTextFileSync, readDirSync } = Deno;
  const check = (path: string | URL): void => {
    const inside = `${path}` === folder || (`${path}`.startsWith(`${folder}/`) && !`${path}`.includes(".."));
    assert.ok(inside, `${path} was touched`);
  };
  Deno.openSync = (path, options) => (check(path), openSync(path, options));
  Deno.statSync = (path) => (check(path), statSync(path));
  Deno.readTextFileSync = (path) => (check(path), readTextFileSync(path));
  Deno.readDirSync = (path) => (check(path), readDirSync(path));
  try {
    await body();
  } finally {
    Object.assign(Deno, { openSync, statSync, readTextFileSync, readDirSync });
  }
}

Deno.test("the index of shards, with names that lead elsewhere", async () => {
  const folder = at("shards");
  Deno.mkdirSync(folder);
  Deno.writeFileSync(at("outside.safetensors"), safetensors);
  Deno.writeFileSync(`${folder}/a.safetensors`, safetensors);
  using whole = openSafetensors(at("bert/model.safetensors"));
  const weightMap = Object.fromEntries(whole.tensors.keys().map((name) => [name, "a.safetensors"]));
  const index = { metadata: { total_size: safetensors.length }, weight_map: weightMap };
  const write = (text: string): void => Deno.writeTextFileSync(`${folder}/model.safetensors.index.json`, text);
  write(JSON.stringify(index));
  readAll(openWeights(folder));
  await staysIn(folder, async () => {
    const everywhere = await fuzz(names.length, folder, (seed) => {
      const moved = Object.keys(weightMap).map((name) => [name, names[seed - 1]]);
      write(JSON.stringify({ ...index, weight_map: Object.fromEntries(moved) }));
      openWeights(folder);
    });
    assert.equal(everywhere.refused, names.length);
    const { refused, loaded } = await fuzz(1800, folder, (seed) => {
      const random = new SeededRandom(seed);
      const moved = Object.entries(weightMap).map(([name, shard]) =>
        [name, random.below(40) === 0 ? names[random.below(names.length)] : shard] as const
      );
      const text = jsonMutations(seed, JSON.stringify({ ...index, weight_map: Object.fromEntries(moved) }));
      write(random.below(4) === 0 ? new TextDecoder().decode(mutations(seed, new TextEncoder().encode(text))) : text);
      readAll(openWeights(folder));
    });
    assert.ok(refused > 1000 && loaded > 20, `${refused} refused, ${loaded} loaded`);
  });
});

for (const name of Object.keys(models)) {
  Deno.test(`config.json of ${name}`, async () => {
    const config = Deno.readTextFileSync(at(`${name}/config.json`));
    const { refused, loaded } = await fuzz(600, at(name), async (seed) => {
      Deno.writeTextFileSync(at(`${name}/config.json`), jsonMutations(seed, config));
      using _classifier = await loadClassifier(at(name), seed % 3 === 0 ? {} : { target });
    });
    Deno.writeTextFileSync(at(`${name}/config.json`), config);
    assert.ok(refused > 100 && loaded > 50, `${refused} refused, ${loaded} loaded`);
  });
}

Deno.test("adapter_config.json and the adapter's weights", async () => {
  const [config, weights] = ["adapter_config.json", "adapter_model.safetensors"].map((name) => at(`adapter/${name}`));
  assert.ok(config && weights);
  const [text, bytes] = [Deno.readTextFileSync(config), Deno.readFileSync(weights)];
  const elsewhere = await fuzz(names.length, at("adapter"), async (seed) => {
    Deno.writeTextFileSync(config, JSON.stringify({ ...JSON.parse(text), base_model_name_or_path: names[seed - 1] }));
    using _classifier = await loadClassifier(at("adapter"), { offline: true });
  });
  assert.equal(elsewhere.refused, names.length);
  const { refused, loaded } = await fuzz(1000, temporary.path, async (seed) => {
    Deno.writeTextFileSync(config, seed % 4 === 0 ? text : jsonMutations(seed, text));
    Deno.writeFileSync(weights, seed % 4 === 0 ? mutations(seed, bytes) : bytes);
    using _classifier = await loadClassifier(at("adapter"), { offline: true });
  });
  assert.ok(refused > 200 && loaded > 50, `${refused} refused, ${loaded} loaded`);
});

Deno.test("files of torch.save", async () => {
  Deno.mkdirSync(at("torch"));
  await runPython("torch_files.py", [at("torch")]);
  const sound = ["module.bin", "legacy2.bin", "protocol4.bin"].map((name) => Deno.readFileSync(at(`torch/${name}`)));
  const { refused, loaded } = await fuzz(2000, at("torch"), (seed) => {
    Deno.writeFileSync(at("torch/mutated.bin"), mutations(seed, sound[seed % sound.length] ?? new Uint8Array()));
    readAll(openTorchWeights(at("torch/mutated.bin")));
  });
  assert.ok(refused > 1000 && loaded > 100, `${refused} refused, ${loaded} loaded`);
});

const fragments = [
  ..."\x80\x02 }q\x00 h\x00 ( ) ] t u s e a b R Q N \x88 K\x01 K\x03 J\xff\xff\xff\xff \x85 \x86 \x87 \x94 . \x8a\x01\x80"
    .split(" "),
  ...["ccollections\nOrderedDict\n", "ctorch\nFloatStorage\n", "ctorch._utils\n_rebuild_tensor_v2\n", "cos\nsystem\n"],
  ...["ctorch._utils\n_rebuild_parameter\n", "ctorch._utils\n_rebuild_tensor_v3\n", "ctorch.storage\nUntypedStorage\n"],
  "X\x07\0\0\0storage",
  "X\x01\0\0\x000",
  "(X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x06tQ",
  "ctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storagectorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x06tQK\x00K\x06\x85K\x01\x85\x89)tR",
];

Deno.test("pickles put together at random from what torch.save writes", async () => {
  const { refused, loaded } = await fuzz(3000, "pickle: ", (seed) => {
    const random = new SeededRandom(seed);
    const text = Array.from({ length: 1 + random.below(40) }, () => fragments[random.below(fragments.length)]).join("");
    const fail = (reason: string): never => {
      throw new CheckpointError(`pickle: ${reason}`);
    };
    unpickle(Uint8Array.from(text, (character) => character.charCodeAt(0)), torchContext(fail));
  });
  assert.ok(refused > 1000 && loaded > 50, `${refused} refused, ${loaded} loaded`);
});

Deno.test("these were more than ten thousand inputs", () => {
  assert.ok(inputs >= 10_000, `${inputs}`);
});
