// Shards beside transformers, both ways and to the byte; every conversion between types beside PyTorch, to the bit.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import {
  type Classifier,
  type DType,
  loadClassifier,
  namedParameters,
  randomClassifier,
  saveClassifier,
  type Tensor,
  toTypedArray,
} from "../../mod.ts";
import { bertConfig } from "../../src/experiments/model_configs.ts";
import { readParameter } from "../../src/models/read_parameter.ts";
import { openSafetensors } from "../../src/files/safetensors.ts";
import { parameter } from "../../src/nn/module.ts";
import { runPython } from "../support/python.ts";
import { smallBertFolder } from "../support/small_bert.ts";
import { smallOptFolder } from "../support/small_opt.ts";
import { assertNothingLeft } from "../support/torch.ts";

interface Reloaded {
  readonly architecture: string;
  readonly problems: Readonly<Record<string, readonly string[]>>;
  readonly digests: Readonly<Record<string, string>>;
}

interface Saved {
  readonly load: () => Promise<Classifier>;
  readonly architecture: string;
  readonly maxShardBytes: number;
  readonly dtype: DType;
}

// Limits below the largest tensors, in the middle of layers.
const saved: Readonly<Record<string, Saved>> = {
  bert: {
    ...{ architecture: "BertForSequenceClassification", maxShardBytes: 5000, dtype: "float32" },
    load: () => loadClassifier(smallBertFolder, { pooling: "cls" }),
  },
  opt: {
    ...{ architecture: "OPTForSequenceClassification", maxShardBytes: 8000, dtype: "bfloat16" },
    load: () => loadClassifier(smallOptFolder, { pooling: "last", dtype: "bfloat16" }),
  },
  post_norm: {
    ...{ architecture: "OPTForSequenceClassification", maxShardBytes: 4000, dtype: "float16" },
    load: () => loadClassifier(`${smallOptFolder}/post_norm`, { pooling: "last", dtype: "float16" }),
  },
  twelve_layers: {
    ...{ architecture: "BertForSequenceClassification", maxShardBytes: 3000, dtype: "float32" },
    load: () => Promise.resolve(randomClassifier(twelveLayers, { target: { labels: ["a", "b"] }, pooling: "cls" })),
  },
};

const twelveLayers = {
  ...bertConfig({ layers: 12, hidden: 8, heads: 2, intermediate: 16 }),
  ...{ vocab_size: 40, max_position_embeddings: 12 },
};

const dtypes: Readonly<Record<string, DType>> = { F16: "float16", BF16: "bfloat16", F32: "float32", F64: "float64" };

const folder = Deno.makeTempDirSync({ prefix: "fewtune-test-" });
globalThis.addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));

async function reload(): Promise<Readonly<Record<string, Reloaded>>> {
  for (const [name, options] of Object.entries(saved)) {
    using classifier = await options.load();
    Deno.mkdirSync(`${folder}/saved`, { recursive: true });
    saveClassifier(classifier, `${folder}/saved/${name}`, {}, options);
  }
  return JSON.parse(await runPython("weights_files.py", [folder], JSON.stringify(saved)));
}

const reloaded = await reload();

function digest(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

function digests({ model }: Classifier): Record<string, string> {
  return Object.fromEntries([...namedParameters(model)].map(([key, tensor]) => [key, digest(tensor.bytes())]));
}

function fileDigests(of: string): Record<string, string> {
  const names = [...Deno.readDirSync(of)].map(({ name }) => name).filter((name) => name.includes("safetensors"));
  return Object.fromEntries(names.map((name) => [name, digest(Deno.readFileSync(`${of}/${name}`))]));
}

for (const [name, options] of Object.entries(saved)) {
  Deno.test(`${name}: transformers loads the shards that were saved, every tensor to the bit`, async () => {
    using classifier = await options.load();
    assert.equal(reloaded[name]?.architecture, options.architecture);
    assert.deepEqual(reloaded[name]?.problems, {});
    assert.deepEqual(reloaded[name]?.digests, digests(classifier));
  });

  Deno.test(`${name}: the shards and their index are those that transformers saves, byte for byte`, () => {
    const [own, theirs] = ["saved", "again"].map((folderName) => fileDigests(`${folder}/${folderName}/${name}`));
    assert.ok(Object.keys(own ?? {}).length > 3);
    assert.deepEqual(own, theirs);
  });

  Deno.test(`${name}: the shards that transformers saved load here, every tensor to the bit`, async () => {
    await assertNothingLeft(async () => {
      using classifier = await loadClassifier(`${folder}/again/${name}`, { dtype: options.dtype });
      assert.deepEqual(classifier.newKeys, []);
      assert.deepEqual(digests(classifier), reloaded[name]?.digests);
    });
  });
}

const infinities: Readonly<Partial<Record<DType, bigint>>> = {
  float16: 0x7c00n,
  bfloat16: 0x7f80n,
  float32: 0x7f800000n,
  float64: 0x7ff0000000000000n,
};

/** The elements' bits; of what is not a number, that it is none: which one is not the same in all of PyTorch's code. */
function bits(tensor: Tensor): (bigint | "NaN")[] {
  const array = toTypedArray(tensor);
  const size = array.BYTES_PER_ELEMENT;
  const words = size === 2 ? array : size === 4 ? new Uint32Array(array.buffer) : new BigUint64Array(array.buffer);
  const magnitude = (1n << BigInt(8 * size - 1)) - 1n;
  const infinity = infinities[tensor.dtype] ?? 0n;
  return Array.from(words as ArrayLike<number | bigint>, (word) => {
    return (BigInt(word) & magnitude) > infinity ? "NaN" : BigInt(word);
  });
}

for (const [stored, original] of Object.entries(dtypes)) {
  for (const [wanted, dtype] of Object.entries(dtypes)) {
    Deno.test(`${stored} is read into ${dtype} as PyTorch converts it, bit for bit`, async () => {
      await assertNothingLeft(() => {
        using file = openSafetensors(`${folder}/halves/${stored}.safetensors`);
        using converted = openSafetensors(`${folder}/halves/${stored}_to.safetensors`);
        const shape = file.tensors.get("stored")?.shape ?? [];
        assert.ok((shape[0] ?? 0) >= 1 << 16);
        using read = parameter(shape, { dtype });
        using expected = parameter(shape, { dtype });
        readParameter(file, "stored", read);
        readParameter(converted, wanted, expected);
        if (dtype === original) assert.deepEqual(read.bytes(), expected.bytes());
        else assert.deepEqual(bits(read), bits(expected));
      });
    });
  }
}
