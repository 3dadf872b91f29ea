// Saves a classifier as a folder that loads here and in Hugging Face's libraries: all of it or nothing.

import { OptionError } from "../errors.ts";
import { adaptedLinears } from "../nn/linear.ts";
import { namedParameters } from "../nn/module.ts";
import { type DType, type Tensor, toTypedArray } from "../torch/mod.ts";
import { version } from "../version.ts";
import type { Classifier } from "./classifier.ts";
import { writeFolder, writeText } from "./output_folder.ts";
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
  "sentencepiece.bpe.model",
];

const dtypes: Readonly<Partial<Record<DType, SafetensorsDtype>>> = {
  float64: "F64",
  float32: "F32",
  float16: "F16",
  bfloat16: "BF16",
};

/**
 * Saves config.json, model.safetensors, the tokenizer's files of the checkpoint that it came from, and `files` (name to
 * content). They are written to a folder beside it that gets its name at the end.
 *
 * The standard head (`cls`, `last`) saves as an ordinary checkpoint of the architecture. The `mean` head's pooler has a
 * key of its own, and config.json says `"fewtune": { "pooling": "mean" }`.
 *
 * A model with adapters is no ordinary checkpoint: `saveAdapter` saves the adapters alone, and after `mergeLora` the
 * model is saved whole.
 *
 * @throws {CheckpointError} when the folder exists or cannot be written
 * @throws {OptionError} when the model has adapters
 */
export function saveClassifier(
  classifier: Classifier,
  folder: string,
  files: Readonly<Record<string, string>> = {},
): void {
  if (adaptedLinears(classifier.model).size > 0) {
    throw new OptionError(
      "the model has LoRA adapters: save them beside their base (saveAdapter), or merge them into its weights first (mergeLora)",
    );
  }
  writeFolder(folder, (temporary) => {
    writeParameters(`${temporary}/model.safetensors`, namedParameters(classifier.model));
    writeCompanions(classifier, temporary, files);
  });
}

/** Writes parameters by name as a safetensors file. */
export function writeParameters(path: string, parameters: ReadonlyMap<string, Tensor>): void {
  writeSafetensors(
    path,
    [...parameters].map(([name, tensor]) => ({
      name,
      dtype: dtypes[tensor.dtype] ?? "F32",
      shape: tensor.shape,
      bytes: () => bytesOf(tensor),
    })),
    { format: "pt" },
  );
}

/** Writes what goes with the weights: config.json, the files of the tokenizer, and `files` (name to content). */
export function writeCompanions(
  classifier: Classifier,
  folder: string,
  files: Readonly<Record<string, string>>,
): void {
  copyTokenizer(classifier.folder, folder);
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
