// Loads a classifier from a folder: a checkpoint, or an adapter together with the checkpoint that is its base.

import { resolve } from "node:path";
import { CheckpointError } from "../errors.ts";
import { Classifier } from "../models/classifier.ts";
import { ConfigReader, readJsonObject } from "../models/config.ts";
import type { SequenceClassifier } from "../models/contract.ts";
import {
  isOutputKey,
  loadCheckpoint,
  type LoadOptions,
  sameTarget,
  savedPooling,
  savedTarget,
} from "../models/load.ts";
import { architectureOf } from "../models/registry.ts";
import { checkShapes, list, readParameter } from "../models/read_parameter.ts";
import { openSafetensors } from "../models/safetensors.ts";
import type { WeightsFile } from "../models/weights_file.ts";
import { exists } from "../native/cache.ts";
import { namedLinears } from "../nn/linear.ts";
import { setTrained } from "../nn/module.ts";
import { requiresGrad_ } from "../torch/mod.ts";
import { adapterParameters, Lora } from "./lora.ts";
import { type AdapterConfig, adapterConfigName, adapterWeightsName, keyPrefix, readAdapterConfig } from "./peft.ts";

/**
 * Loads a classifier from a folder in Hugging Face's format, or a LoRA adapter in PEFT's format with its base. The
 * weights are read straight into the parameters' memory: loading takes no second copy of them. Of a model with an
 * adapter, training goes on with the LoRA and the head.
 *
 * @throws {CheckpointError} when a file is missing or damaged, when the architecture is unknown, when the weights do
 * not fit the configuration, when no head fits and no `target` was given, or when an adapter's base is not there
 *
 * @example
 * ```ts ignore
 * using classifier = await loadClassifier("my-model", { target: { labels: ["ham", "spam"] } });
 * ```
 */
export async function loadClassifier(folder: string, options: LoadOptions = {}): Promise<Classifier> {
  return await exists(`${folder}/${adapterConfigName}`)
    ? await loadAdapted(folder, options)
    : await loadCheckpoint(folder, options);
}

async function loadAdapted(folder: string, options: LoadOptions): Promise<Classifier> {
  const adapter = readAdapterConfig(`${folder}/${adapterConfigName}`);
  using file = openSafetensors(`${folder}/${adapterWeightsName}`);
  const baseFolder = await findBase(folder, adapter);
  const trained = await exists(`${folder}/config.json`)
    ? trainedFor(readConfig(folder))
    : trainedAbove(readConfig(baseFolder), file);
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

// The base's folder: as it is named, or seen from the adapter's.
async function findBase(folder: string, { base }: AdapterConfig): Promise<string> {
  for (const place of [base, resolve(folder, base)]) if (await exists(`${place}/config.json`)) return place;
  throw new CheckpointError(
    `${folder}/${adapterConfigName}: there is no checkpoint in ${base}: ` +
      `let base_model_name_or_path be the folder of the adapter's base`,
  );
}

type Trained = Pick<Required<LoadOptions>, "target" | "pooling">;

function readConfig(folder: string): ConfigReader {
  return new ConfigReader(`${folder}/config.json`, readJsonObject(`${folder}/config.json`));
}

// What an adapter of Fewtune's predicts and reads.
function trainedFor(config: ConfigReader): Trained {
  return { target: savedTarget(config), pooling: savedPooling(config, architectureOf(config)) };
}

// What an adapter that PEFT saved predicts and reads: as its base, except that its head may have other outputs.
function trainedAbove(config: ConfigReader, file: WeightsFile): Trained {
  const { target, pooling } = trainedFor(config);
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
