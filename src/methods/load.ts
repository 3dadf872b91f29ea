// Loads a classifier from a folder: a checkpoint, or an adapter together with the checkpoint that is its base.

import { resolve } from "node:path";
import { CheckpointError, HubError } from "../errors.ts";
import { modelFolder } from "../hub/model_folder.ts";
import type { HubOptions } from "../hub/options.ts";
import { Classifier } from "../models/classifier.ts";
import { ConfigReader, readJsonObject } from "../models/config.ts";
import type { SequenceClassifier } from "../models/contract.ts";
import {
  isOutputKey,
  loadCheckpoint,
  type LoadOptions,
  sameTarget,
  savedLabels,
  savedPooling,
  savedTarget,
} from "../models/load.ts";
import { architectureOf } from "../models/registry.ts";
import { checkShapes, readParameter } from "../models/read_parameter.ts";
import { openSafetensors } from "../files/safetensors.ts";
import { list, plainly, show } from "../files/shown.ts";
import type { WeightsFile } from "../files/weights_file.ts";
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
  const trained = await exists(`${folder}/config.json`)
    ? trainedFor(readConfig(folder), adapter)
    : trainedAbove(readConfig(baseFolder), adapter, file);
  refuseOthers(folder, trained, options);
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

// The base's folder: as it is named, or seen from the adapter's; else it is a name on the hub.
async function folderOfBase(folder: string, { base, revision }: AdapterConfig, options: HubOptions): Promise<string> {
  try {
    for (const place of [base, resolve(folder, base)]) if (await exists(`${place}/config.json`)) return place;
    const found = await exists(base) ? base : await modelFolder(base, { ...options, revision });
    if (await exists(`${found}/config.json`)) return found;
    throw new CheckpointError(`there is no checkpoint in ${plainly(found)}`);
  } catch (error) {
    if (!(error instanceof HubError || error instanceof CheckpointError)) throw error;
    throw new CheckpointError(
      `${folder}/${adapterConfigName}: ${error.message}; let base_model_name_or_path be the adapter's base`,
      { cause: error },
    );
  }
}

type Trained = Pick<Required<LoadOptions>, "target" | "pooling">;

function readConfig(folder: string): ConfigReader {
  return new ConfigReader(`${folder}/config.json`, readJsonObject(`${folder}/config.json`));
}

// What an adapter of Fewtune's predicts and reads.
function trainedFor(config: ConfigReader, { isClassifier }: AdapterConfig): Trained {
  const architecture = architectureOf(config);
  const target = isClassifier ? savedLabels(config) : savedTarget(config, architecture);
  return { target, pooling: savedPooling(config, architecture, target) };
}

// What an adapter that PEFT saved predicts and reads: as its base, except that its head may have other outputs.
function trainedAbove(config: ConfigReader, adapter: AdapterConfig, file: WeightsFile): Trained {
  const { target, pooling } = trainedFor(config, adapter);
  if (target === "nextToken") return { target, pooling };
  const architecture = architectureOf(config);
  const last = file.tensors.entries().find(([name]) =>
    name.endsWith(".weight") && isOutputKey(name.slice(keyPrefix.length), architecture)
  );
  const outputs = last?.[1].shape[0];
  const known = target === "regression" ? 1 : target.labels.length;
  if (outputs === undefined || outputs === known) return { target, pooling };
  const labels = Array.from({ length: outputs }, (_, id) => `LABEL_${id}`);
  return { target: outputs === 1 ? "regression" : { labels }, pooling };
}

function refuseOthers(folder: string, { target, pooling }: Trained, wanted: LoadOptions): void {
  if (sameTarget(wanted.target ?? target, target) && (wanted.pooling ?? pooling) === pooling) return;
  throw new CheckpointError(
    `${folder} holds an adapter for other labels or another pooling: merge it into its base (mergeLora) and save that`,
  );
}

// Puts LoRA where the file has it, and reads it and the head; a part of the head may be the base's.
function readLora({ model, newKeys }: Classifier, config: AdapterConfig, file: WeightsFile): void {
  const names = new Map(file.tensors.keys().map((name) => [name.slice(keyPrefix.length), name]));
  checkRank(config, file);
  makeLora(model, config, names.keys());
  const own = adapterParameters(model);
  const unexpected = [...names].filter(([key, name]) => !own.has(key) || name !== keyPrefix + key);
  if (unexpected.length > 0) {
    throw new CheckpointError(`${file.path}: unexpected ${list(unexpected.map(([, name]) => name))}`);
  }
  const needed = [...own.keys().filter(isLoraKey), ...newKeys];
  const missing = needed.filter((key) => !names.has(key));
  if (missing.length > 0 || own.keys().every((key) => !isLoraKey(key))) {
    throw new CheckpointError(`${file.path} lacks ${list(missing) || "LoRA's weights"}`);
  }
  checkShapes(file, names, own);
  for (const [key, tensor] of own) if (names.has(key)) readParameter(file, keyPrefix + key, tensor);
  setTrained(model, false);
  for (const tensor of own.values()) requiresGrad_(tensor).dispose();
}

// A rank may ask for any amount of memory: it is compared with the file's before any is taken.
function checkRank({ rank }: AdapterConfig, { path, tensors }: WeightsFile): void {
  for (const [name, { shape }] of tensors) {
    const wanted = name.endsWith("A.weight") ? [rank, ...shape.slice(1)] : [...shape.slice(0, -1), rank];
    if (!isLoraKey(name) || shape.join() === wanted.join()) continue;
    throw new CheckpointError(
      `${path} does not fit its ${adapterConfigName}: ${plainly(name)} is ${show(shape)} and not ${show(wanted)}`,
    );
  }
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
