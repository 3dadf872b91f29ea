// Loads a classifier from a folder: a checkpoint, or an adapter together with the checkpoint that is its base.

import { modelFolder } from "../hub/model_folder.ts";
import type { HubOptions } from "../hub/options.ts";
import type { Classifier } from "../models/classifier.ts";
import { loadCheckpoint, type LoadOptions } from "../models/load.ts";
import { exists } from "../native/cache.ts";
import { ownConfigName } from "./adapter_file.ts";
import { loadOwnAdapter, loadPeftAdapter } from "./load_adapter.ts";
import { adapterConfigName } from "./peft.ts";

/** How {@linkcode loadClassifier} loads, and how it speaks to the hub where the model or an adapter's base is there. */
export interface ClassifierOptions extends LoadOptions, HubOptions {}

/**
 * Loads a classifier in Hugging Face's format, or an adapter (in PEFT's format or Fewtune's own) with its base, from a
 * folder or from the hub. The weights are read straight into the parameters' memory: loading takes no second copy of
 * them. Of a model with an adapter, training goes on with the adapter and the head.
 *
 * @param model a folder, else a model's name on the hub (`org/name`)
 * @throws {CheckpointError} when a file is missing or damaged, when the architecture is unknown, when the weights do
 * not fit the configuration, when no head fits and no `target` was given, or when an adapter's base is not there or is
 * another than it was trained on
 * @throws {HubError} when there is no such folder, and no such model on the hub either, or it cannot be fetched
 *
 * @example
 * ```ts ignore
 * using classifier = await loadClassifier("my-model", { target: { labels: ["ham", "spam"] } });
 * ```
 */
export async function loadClassifier(model: string, options: ClassifierOptions = {}): Promise<Classifier> {
  const folder = await modelFolder(model, options);
  if (await exists(`${folder}/${adapterConfigName}`)) return await loadPeftAdapter(folder, options);
  if (await exists(`${folder}/${ownConfigName}`)) return await loadOwnAdapter(folder, options);
  return await loadCheckpoint(folder, options);
}
