// What is saved of a model while it trains: what methods made of it, or else all of it.

import { openWeights } from "../files/open_weights.ts";
import { openSafetensors } from "../files/safetensors.ts";
import type { WeightsFile } from "../files/weights_file.ts";
import { CheckpointError } from "../errors.ts";
import { list } from "../files/shown.ts";
import type { Classifier } from "../models/classifier.ts";
import { checkShapes } from "../models/read_parameter.ts";
import { writeClassifier } from "../models/save.ts";
import { namedParameters } from "../nn/module.ts";
import { type FileTensors, fileTensors } from "./file_tensors.ts";
import { peftFormatOf } from "./peft_formats.ts";
import { requireAdapter, weightsNameOf, writeAdapter } from "./save_adapter.ts";
import { readParts, shapeOfParts } from "./side_by_side.ts";

/** The parameters that are saved, by their names in the file of weights. */
export function savedPart({ model, adaptation }: Classifier): FileTensors {
  if (adaptation !== null) return fileTensors(model, adaptation);
  return new Map(namedParameters(model).entries().map(([key, tensor]) => [key, [tensor]]));
}

/** What {@linkcode writeSavedPart} writes: a model, or an adapter in PEFT's format or in Fewtune's own. */
export function savedKind({ adaptation }: Classifier): "model" | "peft" | "fewtune" {
  if (adaptation === null) return "model";
  return peftFormatOf(adaptation) ? "peft" : "fewtune";
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
  const tensors = savedPart(classifier);
  using file = openPart(classifier, folder);
  const missing = [...tensors.keys()].filter((name) => !file.tensors.has(name));
  if (missing.length > 0) throw new CheckpointError(`${file.path} lacks ${list(missing)}`);
  const shapes = tensors.entries().map(([name, parts]) => [name, { shape: shapeOfParts(parts) }] as const);
  checkShapes(file, new Map(tensors.keys().map((name) => [name, name])), new Map(shapes));
  for (const [name, parts] of tensors) readParts(file, name, parts);
}

function openPart({ adaptation }: Classifier, folder: string): WeightsFile {
  return adaptation ? openSafetensors(`${folder}/${weightsNameOf(adaptation)}`) : openWeights(folder);
}
