// Saves a classifier as a folder that loads here and in Hugging Face's libraries: all of it or nothing.

import { dirname, join, resolve } from "node:path";
import { CheckpointError } from "../errors.ts";
import { namedParameters } from "../nn/module.ts";
import { type DType, type Tensor, toTypedArray } from "../torch/mod.ts";
import { version } from "../version.ts";
import type { Classifier } from "./classifier.ts";
import type { SafetensorsDtype } from "./safetensors.ts";
import { writeSafetensors } from "./safetensors_write.ts";

const tokenizerFiles = [
  "tokenizer.json",
  "tokenizer_config.json",
  "special_tokens_map.json",
  "added_tokens.json",
  "vocab.txt",
  "vocab.json",
  "merges.txt",
];

const dtypes: Readonly<Partial<Record<DType, SafetensorsDtype>>> = {
  float64: "F64",
  float32: "F32",
  float16: "F16",
  bfloat16: "BF16",
};

/**
 * Throws unless a new folder can be made at `folder`: what is asked before hours of training.
 *
 * @throws {CheckpointError} when something exists there, or the place cannot be written
 */
export function checkOutputFolder(folder: string): void {
  refuseExisting(folder);
  const trial = temporaryName(join(existingAncestor(resolve(folder)), "trial"));
  makeFolder(trial, folder);
  Deno.removeSync(trial);
}

function existingAncestor(path: string): string {
  const parent = dirname(path);
  return parent === path || exists(parent) ? parent : existingAncestor(parent);
}

/**
 * Saves config.json, model.safetensors, the tokenizer's files of the checkpoint that it came from, and `files` (name to
 * content). They are written to a folder beside it that gets its name at the end.
 *
 * The standard head (`cls`, `last`) saves as an ordinary checkpoint of the architecture. The `mean` head's pooler has a
 * key of its own, and config.json says `"fewtune": { "pooling": "mean" }`.
 *
 * @throws {CheckpointError} when the folder exists or cannot be written
 */
export function saveClassifier(
  classifier: Classifier,
  folder: string,
  files: Readonly<Record<string, string>> = {},
): void {
  refuseExisting(folder);
  const temporary = temporaryName(folder);
  makeFolder(temporary, folder);
  try {
    writeFiles(classifier, temporary, files);
    Deno.renameSync(temporary, folder);
  } catch (cause) {
    Deno.removeSync(temporary, { recursive: true });
    if (cause instanceof CheckpointError) throw cause;
    throw new CheckpointError(`${folder} cannot be written (${(cause as Error).message})`, { cause });
  }
}

function writeFiles(classifier: Classifier, folder: string, files: Readonly<Record<string, string>>): void {
  copyTokenizer(classifier.folder, folder);
  writeSafetensors(
    `${folder}/model.safetensors`,
    [...namedParameters(classifier.model)].map(([name, tensor]) => ({
      name,
      dtype: dtypes[tensor.dtype] ?? "F32",
      shape: tensor.shape,
      bytes: () => bytesOf(tensor),
    })),
    { format: "pt" },
  );
  writeText(`${folder}/config.json`, JSON.stringify(savedConfig(classifier), null, 2) + "\n");
  for (const [name, content] of Object.entries(files)) writeText(`${folder}/${name}`, content);
}

function bytesOf(tensor: Tensor): Uint8Array {
  if (tensor.device === "cpu" && tensor.isContiguous) return tensor.bytes();
  const elements = toTypedArray(tensor);
  return new Uint8Array(elements.buffer, elements.byteOffset, elements.byteLength);
}

function savedConfig(classifier: Classifier): Record<string, unknown> {
  const { architecture, config, labels, model, target } = classifier;
  const names = target === "regression" ? ["LABEL_0"] : labels;
  return {
    ...config.fields,
    architectures: [architecture.classifierName],
    problem_type: target === "regression" ? "regression" : "single_label_classification",
    id2label: Object.fromEntries(names.entries()),
    label2id: Object.fromEntries(names.map((name, id) => [name, id])),
    fewtune: { version, pooling: model.pooling },
  };
}

function copyTokenizer(from: string | null, to: string): void {
  if (from === null) return;
  for (const name of tokenizerFiles) {
    try {
      Deno.copyFileSync(`${from}/${name}`, `${to}/${name}`);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
}

function writeText(path: string, text: string): void {
  using file = Deno.openSync(path, { write: true, createNew: true });
  const bytes = new TextEncoder().encode(text);
  for (let written = 0; written < bytes.length;) written += file.writeSync(bytes.subarray(written));
  file.syncDataSync();
}

function refuseExisting(folder: string): void {
  if (exists(folder)) throw new CheckpointError(`${folder} exists already: choose another output folder, or remove it`);
}

function exists(path: string): boolean {
  try {
    Deno.lstatSync(path);
    return true;
  } catch {
    return false;
  }
}

function makeFolder(temporary: string, folder: string): void {
  try {
    Deno.mkdirSync(temporary, { recursive: true });
  } catch (cause) {
    throw new CheckpointError(`${folder} cannot be written (${(cause as Error).message})`, { cause });
  }
}

function temporaryName(folder: string): string {
  return `${folder.replace(/\/+$/, "")}.${crypto.randomUUID().slice(0, 8)}.partial`;
}
