// Saves what methods made of a model, without the model: in PEFT's format where it has one, else in Fewtune's own.

import { resolve } from "node:path";
import { OptionError } from "../errors.ts";
import { writeFolder, writeText } from "../files/output_folder.ts";
import { writeSafetensors } from "../files/safetensors_write.ts";
import type { Adaptation } from "../models/adaptation.ts";
import type { Classifier } from "../models/classifier.ts";
import { refreshDerived } from "../models/derivations.ts";
import { fingerprintOf } from "../models/fingerprint.ts";
import { parameterSources, writeCompanions } from "../models/save.ts";
import { scope } from "../torch/mod.ts";
import { ownConfig, ownConfigName, ownWeightsName } from "./adapter_file.ts";
import { compactForms } from "./compact_form.ts";
import { fileTensors } from "./file_tensors.ts";
import { adapterConfigName, adapterWeightsName, peftConfig } from "./peft.ts";
import { peftFormatOf } from "./peft_formats.ts";
import { joinParts } from "./side_by_side.ts";

/**
 * Saves what methods made of a model: what they trained and the head, with config.json (labels and pooling), the
 * tokenizer's files and `files` (name to content); all of it or nothing. The base's weights are not saved: the adapter
 * names their folder and keeps their fingerprint.
 *
 * What PEFT knows is saved in its format: `adapter_config.json` and `adapter_model.safetensors`. With the standard head
 * (`cls`, `last`) PEFT loads the folder on top of the base. With the `mean` head it does so on top of the base's weights
 * in the model of `modeling_fewtune.py`, which is saved beside the adapter. Other methods, and methods together, are
 * saved as `fewtune_adapter.json` and `fewtune_adapter.safetensors`.
 *
 * @throws {OptionError} when no method made anything of the model, or it was not loaded from a folder
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
 * @throws {OptionError} when no method made anything of the model, or it was not loaded from a folder
 */
export function writeAdapter(classifier: Classifier, folder: string, files: Readonly<Record<string, string>>): void {
  const { adaptation, base } = requireAdapter(classifier);
  const format = peftFormatOf(adaptation);
  const [name, config] = format
    ? [adapterConfigName, peftConfig(format, classifier.model, adaptation, base)]
    : [ownConfigName, ownConfig(adaptation, base)];
  refreshDerived(adaptation);
  const tensors = fileTensors(classifier.model, adaptation);
  scope(() => {
    const joined = tensors.entries().map(([name, parts]) => [name, joinParts(parts)] as const);
    const compact = compactForms(adaptation).flatMap((form) => form.sources());
    const sources = [...parameterSources(new Map(joined)), ...compact];
    writeSafetensors(`${folder}/${weightsNameOf(adaptation)}`, sources, { format: "pt" });
  });
  writeText(`${folder}/${name}`, JSON.stringify(config, null, 2) + "\n");
  writeCompanions(classifier, folder, files, { base_fingerprint: fingerprintOf(base) });
}

/** The name of the file in which the weights of an adapter are. */
export function weightsNameOf(adaptation: Adaptation): string {
  return peftFormatOf(adaptation) ? adapterWeightsName : ownWeightsName;
}

/**
 * What methods made of a model, and the folder of its base, which it is saved beside.
 *
 * @throws {OptionError} when no method made anything of the model, or it was not loaded from a folder
 */
export function requireAdapter(
  { adaptation, folder }: Classifier,
): { readonly adaptation: Adaptation; readonly base: string } {
  if (adaptation === null) {
    throw new OptionError("the model has no adapter: saveClassifier saves a model without");
  }
  if (folder === null) {
    throw new OptionError(
      "the model was not loaded from a folder, which an adapter needs as its base: mergeAdapter it",
    );
  }
  return { adaptation, base: resolve(folder) };
}
