// Saves what a method put into a model, without the model: PEFT's files, and what Fewtune needs beside them.

import { resolve } from "node:path";
import { OptionError } from "../errors.ts";
import type { Classifier } from "../models/classifier.ts";
import { writeFolder, writeText } from "../files/output_folder.ts";
import { writeCompanions, writeParameters } from "../models/save.ts";
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
  const { model, folder: base } = classifier;
  if (loraLinears(model).size === 0) {
    throw new OptionError("the model has no LoRA: saveClassifier saves a model without");
  }
  if (base === null) {
    throw new OptionError("the model was not loaded from a folder, which an adapter needs as its base: mergeLora it");
  }
  writeFolder(folder, (temporary) => {
    const saved = adapterParameters(model).entries().map(([key, tensor]) => [keyPrefix + key, tensor] as const);
    writeParameters(`${temporary}/${adapterWeightsName}`, new Map(saved));
    writeText(`${temporary}/${adapterConfigName}`, JSON.stringify(peftConfig(model, resolve(base)), null, 2) + "\n");
    writeCompanions(classifier, temporary, files);
  });
}
