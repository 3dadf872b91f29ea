// What is saved of a model while it trains: what methods made of it, or else all of it.

import { openWeights } from "../files/open_weights.ts";
import { openSafetensors } from "../files/safetensors.ts";
import type { WeightsFile } from "../files/weights_file.ts";
import { CheckpointError } from "../errors.ts";
import { list } from "../files/shown.ts";
import type { Classifier } from "../models/classifier.ts";
import { checkShapes, readParameter } from "../models/read_parameter.ts";
import { writeClassifier } from "../models/save.ts";
import { namedParameters } from "../nn/module.ts";
import type { Tensor } from "../torch/mod.ts";
import { plainPart } from "./compact_form.ts";
import { adapterFile, requireAdapter, writeAdapter } from "./save_adapter.ts";

/** The parameters that are saved as they are, by their names in the file of weights. */
export function savedPart({ model, adaptation }: Classifier): Map<string, Tensor> {
  if (adaptation === null) return namedParameters(model);
  const { prefix } = adapterFile(adaptation);
  return new Map(plainPart(adaptation).entries().map(([key, tensor]) => [prefix + key, tensor]));
}

/** Throws {@linkcode OptionError} when the model has an adapter and was not loaded from a folder, the adapter's base. */
export function checkSavedPart(classifier: Classifier): void {
  if (classifier.adaptation !== null) requireAdapter(classifier);
}

/**
 * Writes a folder that {@linkcode loadClassifier} loads, into one that is there: an adapter's or a model's.
 *
 * @throws {OptionError} when an adapter's base was not loaded from a folder
 * @throws {CheckpointError} when a file cannot be written
 */
export function writeSavedPart(classifier: Classifier, folder: string, files: Readonly<Record<string, string>>): void {
  const write = classifier.adaptation ? writeAdapter : writeClassifier;
  write(classifier, folder, files);
}

/**
 * Reads what {@linkcode writeSavedPart} wrote back into a model of the same kind, to the bit: the parameters that are in
 * the file as they are.
 *
 * @throws {CheckpointError} when the file is damaged, or holds other parameters
 */
export function readSavedPart(classifier: Classifier, folder: string): void {
  const parameters = savedPart(classifier);
  using file = openPart(classifier, folder);
  const missing = [...parameters.keys()].filter((name) => !file.tensors.has(name));
  if (missing.length > 0) throw new CheckpointError(`${file.path} lacks ${list(missing)}`);
  checkShapes(file, new Map(parameters.keys().map((name) => [name, name])), parameters);
  for (const [name, parameter] of parameters) readParameter(file, name, parameter);
}

function openPart({ adaptation }: Classifier, folder: string): WeightsFile {
  return adaptation ? openSafetensors(`${folder}/${adapterFile(adaptation).weightsName}`) : openWeights(folder);
}
