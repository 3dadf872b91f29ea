// Saves what a method put into a model, without the model: PEFT's files, and what Fewtune needs beside them.

import { resolve } from "node:path";
import { OptionError } from "../errors.ts";
import type { Classifier } from "../models/classifier.ts";
import type { SequenceClassifier } from "../models/contract.ts";
import { writeFolder, writeText } from "../files/output_folder.ts";
import { writeCompanions, writeParameters } from "../models/save.ts";
import type { Tensor } from "../torch/mod.ts";
import { adapterParameters, loraLinears } from "./lora.ts";
import { adapterConfigName, adapterWeightsName, keyPrefix, peftConfig } from "./peft.ts";

/**
 * Saves a model's LoRA and its head in PEFT's format, with config.json (labels and pooling), the tokenizer's files and
 * `files` (name to content): all of it or nothing. The base's weights are not saved; adapter_config.json names its
 * folder.
 *
 * With the standard head (`cls`, `last`) PEFT loads the folder on top of the base. With the `mean` head it does so on top
 * of the base's weights in the model of `modeling_fewtune.py`, which is saved beside the adapter.
 *
 * @throws {OptionError} when the model has no LoRA, or was not loaded from a folder
 * @throws {CheckpointError} when the folder exists or cannot be written
 */
export function saveAdapter(
  classifier: Classifier,
  folder: string,
  files: Readonly<Record<string, string>> = {},
): void {
  requireAdapter(classifier);
  writeFolder(folder, (temporary) => writeAdapter(classifier, temporary, files));
}

/**
 * Writes the files of {@linkcode saveAdapter} into a folder that is there.
 *
 * @throws {OptionError} when the model has no LoRA, or was not loaded from a folder
 */
export function writeAdapter(classifier: Classifier, folder: string, files: Readonly<Record<string, string>>): void {
  const { model } = classifier;
  const base = requireAdapter(classifier);
  writeParameters(`${folder}/${adapterWeightsName}`, savedAdapter(model));
  writeText(`${folder}/${adapterConfigName}`, JSON.stringify(peftConfig(model, base), null, 2) + "\n");
  writeCompanions(classifier, folder, files);
}

/** The parameters that an adapter's file holds, by their names there. */
export function savedAdapter(model: SequenceClassifier): Map<string, Tensor> {
  return new Map(adapterParameters(model).entries().map(([key, tensor]) => [keyPrefix + key, tensor] as const));
}

/**
 * The folder of the base of a model's adapter, which it is saved beside.
 *
 * @throws {OptionError} when the model has no LoRA, or was not loaded from a folder
 */
export function requireAdapter({ model, folder }: Classifier): string {
  if (loraLinears(model).size === 0) {
    throw new OptionError("the model has no LoRA: saveClassifier saves a model without");
  }
  if (folder === null) {
    throw new OptionError("the model was not loaded from a folder, which an adapter needs as its base: mergeLora it");
  }
  return resolve(folder);
}
