// A checkpoint of OPT-1.3b's size with random weights in float16, written tensor by tensor: the whole is never in memory.

import { namedParameters } from "../mod.ts";
import { modelConfigs } from "../src/experiments/model_configs.ts";
import { createModel } from "../src/models/classifier.ts";
import { ConfigReader } from "../src/models/config.ts";
import { architectureOf } from "../src/models/registry.ts";
import { writeShards } from "../src/files/shards_write.ts";
import { disposeModule } from "../src/nn/module.ts";

/** The size of a checkpoint's weights. */
export interface CheckpointSize {
  readonly parameters: number;
  readonly bytes: number;
}

/** Writes config.json and the shards into an existing folder. */
export function writeCheckpoint(folder: string, fields: Readonly<Record<string, unknown>>): CheckpointSize {
  const shapes = shapesOf(fields);
  const counts = [...shapes.values()].map((shape) => shape.reduce((product, length) => product * length, 1));
  const random = randomHalves(Math.max(...counts));
  const sources = [...shapes].map(([name, shape], index) => ({
    ...{ name, shape, dtype: "F16" as const },
    bytes: () => random.subarray(0, 2 * (counts[index] ?? 0)),
  }));
  Deno.writeTextFileSync(`${folder}/config.json`, JSON.stringify(fields, null, 2));
  writeShards(folder, sources, 1e9);
  const parameters = counts.reduce((sum, count) => sum + count, 0);
  return { parameters, bytes: 2 * parameters };
}

/** The configuration of OPT-1.3b, or of a small model to try the benchmark out, as a classifier with two labels. */
export function configOf(name: "opt-1.3b" | "tiny"): Readonly<Record<string, unknown>> {
  const small = {
    num_hidden_layers: 2,
    hidden_size: 64,
    word_embed_proj_dim: 64,
    num_attention_heads: 2,
    ffn_dim: 128,
  };
  return {
    ...modelConfigs["opt-1.3b"],
    ...(name === "tiny" && small),
    architectures: ["OPTForSequenceClassification"],
    id2label: { 0: "a", 1: "b" },
    label2id: { a: 0, b: 1 },
  };
}

// A model whose memory is never touched takes none.
function shapesOf(fields: Readonly<Record<string, unknown>>): Map<string, readonly number[]> {
  const config = new ConfigReader("configuration", fields);
  const model = createModel(architectureOf(config), config, { target: { labels: ["0", "1"] }, pooling: "last" }, {
    dtype: "float16",
  });
  try {
    return new Map([...namedParameters(model)].map(([name, { shape }]) => [name, shape]));
  } finally {
    disposeModule(model);
  }
}

// Between 1/128 and 1/64 with either sign; a block repeats.
function randomHalves(count: number): Uint8Array {
  const halves = crypto.getRandomValues(new Uint16Array(1 << 15)).map((bits) => bits & 0x83ff | 0x2000);
  const block = new Uint8Array(halves.buffer);
  const bytes = new Uint8Array(2 * count);
  for (let at = 0; at < bytes.length; at += block.length) bytes.set(block.subarray(0, bytes.length - at), at);
  return bytes;
}
