// Loads a classifier from a folder: a checkpoint, or an adapter together with the checkpoint that is its base.

import { CheckpointError, HubError } from "../errors.ts";
import { modelFolder } from "../hub/model_folder.ts";
import type { HubOptions } from "../hub/options.ts";
import { Classifier } from "../models/classifier.ts";
import { ConfigReader, readJsonObject } from "../models/config.ts";
import type { SequenceClassifier } from "../models/contract.ts";
import { loadCheckpoint, type LoadOptions, sameTarget, savedPooling, savedTarget } from "../models/load.ts";
import { architectureOf } from "../models/registry.ts";
import { checkShapes, list, readParameter } from "../models/read_parameter.ts";
import { openSafetensors, type SafetensorsFile } from "../models/safetensors.ts";
import { exists } from "../native/cache.ts";
import { namedLinears } from "../nn/linear.ts";
import { setTrained } from "../nn/module.ts";
import { requiresGrad_ } from "../torch/mod.ts";
import { adapterParameters, Lora } from "./lora.ts";
import { type AdapterConfig, adapterConfigName, adapterWeightsName, keyPrefix, readAdapterConfig } from "./peft.ts";

/** How {@linkcode loadClassifier} loads, and how it speaks to the hub where the model or an adapter's base is there. */
export interface ClassifierOptions extends LoadOptions, HubOptions {}

/**
 * Loads a classifier in Hugging Face's format, or a LoRA adapter in PEFT's format with its base, from a folder or from
 * the hub. The weights are read straight into the parameters' memory: loading takes no second copy of them. Of a model
 * with an adapter, training goes on with the LoRA and the head.
 *
 * @param model a folder, else a model's name on the hub (`org/name`)
 * @throws {CheckpointError} when a file is missing or damaged, when the architecture is unknown, when the weights do
 * not fit the configuration, when no head fits and no `target` was given, or when an adapter's base is not there
 * @throws {HubError} when there is no such folder, and no such model on the hub either, or it cannot be fetched
 *
 * @example
 * ```ts ignore
 * using classifier = await loadClassifier("my-model", { target: { labels: ["ham", "spam"] } });
 * ```
 */
export async function loadClassifier(model: string, options: ClassifierOptions = {}): Promise<Classifier> {
  const folder = await modelFolder(model, options);
  return await exists(`${folder}/${adapterConfigName}`)
    ? await loadAdapted(folder, options)
    : await loadCheckpoint(folder, options);
}

async function loadAdapted(folder: string, options: ClassifierOptions): Promise<Classifier> {
  const adapter = readAdapterConfig(`${folder}/${adapterConfigName}`);
  using file = openSafetensors(`${folder}/${adapterWeightsName}`);
  const baseFolder = await folderOfBase(folder, adapter, options);
  const trained = await trainedFor(folder, baseFolder, options);
  const base = await loadCheckpoint(baseFolder, { ...options, ...trained });
  try {
    readLora(base, adapter, file);
    const { model, architecture, config, target } = base;
    return new Classifier(model, architecture, config, target, [], baseFolder);
  } catch (error) {
    base[Symbol.dispose]();
    throw error;
  }
}

async function folderOfBase(folder: string, { base, revision }: AdapterConfig, options: HubOptions): Promise<string> {
  try {
    const found = await exists(base) ? base : await modelFolder(base, { ...options, revision });
    if (await exists(`${found}/config.json`)) return found;
    throw new CheckpointError(`there is no checkpoint in ${found}`);
  } catch (error) {
    if (!(error instanceof HubError || error instanceof CheckpointError)) throw error;
    throw new CheckpointError(
      `${folder}/${adapterConfigName}: ${error.message}; let base_model_name_or_path be the adapter's base`,
      { cause: error },
    );
  }
}

// What the adapter's head predicts and reads; an adapter that PEFT saved leaves that to its base.
async function trainedFor(
  folder: string,
  base: string,
  wanted: LoadOptions,
): Promise<Pick<Required<LoadOptions>, "target" | "pooling">> {
  const path = await exists(`${folder}/config.json`) ? `${folder}/config.json` : `${base}/config.json`;
  const config = new ConfigReader(path, readJsonObject(path));
  const [target, pooling] = [savedTarget(config), savedPooling(config, architectureOf(config))];
  if (!sameTarget(wanted.target ?? target, target) || (wanted.pooling ?? pooling) !== pooling) {
    throw new CheckpointError(
      `${folder} holds an adapter for other labels or another pooling: merge it into its base (mergeLora) and save that`,
    );
  }
  return { target, pooling };
}

// Puts LoRA where the file has it, and reads it and the head; a part of the head may be the base's.
function readLora({ model, newKeys }: Classifier, config: AdapterConfig, file: SafetensorsFile): void {
  const names = new Map(file.tensors.keys().map((name) => [name.slice(keyPrefix.length), name]));
  makeLora(model, config, names.keys());
  const own = adapterParameters(model);
  const unexpected = [...names].filter(([key, name]) => !own.has(key) || name !== keyPrefix + key);
  if (unexpected.length > 0) {
    throw new CheckpointError(`${file.path}: unexpected ${list(unexpected.map(([, name]) => name))}`);
  }
  const missing = [...own.keys()].filter((key) => (isLoraKey(key) || newKeys.includes(key)) && !names.has(key));
  if (missing.length > 0 || own.keys().every((key) => !isLoraKey(key))) {
    throw new CheckpointError(`${file.path} lacks ${list(missing) || "LoRA's weights"}`);
  }
  checkShapes(file, names, own);
  for (const [key, tensor] of own) if (names.has(key)) readParameter(file, keyPrefix + key, tensor);
  setTrained(model, false);
  for (const tensor of own.values()) requiresGrad_(tensor).dispose();
}

function makeLora(model: SequenceClassifier, { rank, alpha }: AdapterConfig, keys: Iterable<string>): void {
  const linears = namedLinears(model);
  for (const key of keys) {
    const linear = isLoraKey(key) ? linears.get(key.replace(loraKey, "")) : undefined;
    if (linear && linear.adapter === null) linear.adapt(new Lora(linear, rank, alpha));
  }
}

const loraKey = /\.lora_[AB]\.weight$/;

function isLoraKey(key: string): boolean {
  return loraKey.test(key);
}
