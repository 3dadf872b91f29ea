// Saves a classifier as a folder that loads here and in Hugging Face's libraries: all of it or nothing.

import { OptionError } from "../errors.ts";
import { namedParameters } from "../nn/module.ts";
import { type DType, type Tensor, toTypedArray } from "../torch/mod.ts";
import type { Classifier } from "./classifier.ts";
import modelFile from "./modeling_fewtune.py" with { type: "text" };
import { writeFolder, writeText } from "../files/output_folder.ts";
import type { SafetensorsDtype } from "../files/safetensors.ts";
import type { SafetensorsSource } from "../files/safetensors_write.ts";
import { hasStandardHead, modelFileName, savedConfig } from "./saved_config.ts";
import { writeShards } from "../files/shards_write.ts";
import { completeTokenizer, copyTokenizer } from "./tokenizer_files.ts";

const dtypes: Readonly<Partial<Record<DType, SafetensorsDtype>>> = {
  float64: "F64",
  float32: "F32",
  float16: "F16",
  bfloat16: "BF16",
};

/** How a classifier is saved. */
export interface SaveOptions {
  /** Weights that take more are written as several files, each of at most so many bytes. Default 50e9. */
  readonly maxShardBytes?: number;
}

/**
 * Saves config.json, model.safetensors (or its shards and their index), the tokenizer's files of the checkpoint that it
 * came from, and `files` (name to content). They are written to a folder beside it that gets its name at the end.
 *
 * The standard head (`cls`, `last`) saves as an ordinary checkpoint of the architecture, which loads everywhere. A model
 * with the `mean` head is saved with a model file of its own, `modeling_fewtune.py`, with which transformers loads it
 * when it is told `trust_remote_code=True`, and refuses it otherwise.
 * A language model saves as one; a tied weight is saved once, under the embeddings' key.
 *
 * A model with adapters is no ordinary checkpoint: `saveAdapter` saves the adapters alone, and after `mergeAdapter` the
 * model is saved whole.
 *
 * @throws {CheckpointError} when the folder exists or cannot be written
 * @throws {OptionError} when the model has adapters, or `maxShardBytes` is not above 0
 */
export function saveClassifier(
  classifier: Classifier,
  folder: string,
  files: Readonly<Record<string, string>> = {},
  options: SaveOptions = {},
): void {
  refuseAdapters(classifier);
  writeFolder(folder, (temporary) => writeClassifier(classifier, temporary, files, options));
}

/** Writes the files of {@linkcode saveClassifier} into a folder that is there. */
export function writeClassifier(
  classifier: Classifier,
  folder: string,
  files: Readonly<Record<string, string>>,
  { maxShardBytes }: SaveOptions = {},
): void {
  writeShards(folder, parameterSources(namedParameters(classifier.model)), maxShardBytes);
  writeCompanions(classifier, folder, files);
}

function refuseAdapters({ adaptation }: Classifier): void {
  if (adaptation === null) return;
  throw new OptionError(
    `the model has an adapter (${
      adaptation.methods.join("+")
    }): save it beside its base (saveAdapter), or merge it into ` +
      "the model's weights first (mergeAdapter)",
  );
}

/** What a file of weights holds of parameters by name. */
export function parameterSources(parameters: ReadonlyMap<string, Tensor>): SafetensorsSource[] {
  return [...parameters].map(([name, tensor]) => ({
    name,
    dtype: dtypes[tensor.dtype] ?? "F32",
    shape: tensor.shape,
    bytes: () => tensorBytes(tensor),
  }));
}

/**
 * Writes what goes with the weights: config.json, the model file, the tokenizer's, and `files` (name to content).
 *
 * @param ownFields further fields of config.json's object `fewtune`
 */
export function writeCompanions(
  classifier: Classifier,
  folder: string,
  files: Readonly<Record<string, string>>,
  ownFields: Readonly<Record<string, unknown>> = {},
): void {
  copyTokenizer(classifier.folder, folder);
  if (!hasStandardHead(classifier)) {
    completeTokenizer(folder, classifier);
    writeText(`${folder}/${modelFileName}`, modelFile);
  }
  const config = savedConfig(classifier);
  const described = { ...config, fewtune: { ...Object(config["fewtune"]), ...ownFields } };
  writeText(`${folder}/config.json`, JSON.stringify(described, null, 2) + "\n");
  for (const [name, content] of Object.entries(files)) writeText(`${folder}/${name}`, content);
}

/** The bytes of a tensor in row-major order; of a contiguous one on the CPU those that it lies in. */
export function tensorBytes(tensor: Tensor): Uint8Array {
  if (tensor.device === "cpu" && tensor.isContiguous) return tensor.bytes();
  const elements = toTypedArray(tensor);
  return new Uint8Array(elements.buffer, elements.byteOffset, elements.byteLength);
}
