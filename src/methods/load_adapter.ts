// Loads an adapter with its base, which has to be the one that it was trained on.

import { dirname, resolve } from "node:path";
import { CheckpointError, HubError } from "../errors.ts";
import { openSafetensors } from "../files/safetensors.ts";
import { list, plainly } from "../files/shown.ts";
import type { WeightsFile } from "../files/weights_file.ts";
import { modelFolder } from "../hub/model_folder.ts";
import type { HubOptions } from "../hub/options.ts";
import type { Adaptation } from "../models/adaptation.ts";
import { Classifier } from "../models/classifier.ts";
import { ConfigReader, readJsonObject } from "../models/config.ts";
import { refreshDerived } from "../models/derivations.ts";
import { fingerprintOf } from "../models/fingerprint.ts";
import {
  isOutputKey,
  loadCheckpoint,
  type LoadOptions,
  sameTarget,
  savedLabels,
  savedPooling,
  savedTarget,
} from "../models/load.ts";
import { checkShapes } from "../models/read_parameter.ts";
import { architectureOf } from "../models/registry.ts";
import { exists } from "../native/cache.ts";
import { adaptedLinears } from "../nn/linear.ts";
import { namedParameters, setTrained } from "../nn/module.ts";
import { requiresGrad_ } from "../torch/mod.ts";
import { ownConfigName, ownWeightsName, readOwnConfig } from "./adapter_file.ts";
import { applyMethod, trainedBy } from "./apply.ts";
import { compactForms } from "./compact_form.ts";
import { type FileTensors, fileTensors } from "./file_tensors.ts";
import type { ClassifierOptions } from "./load.ts";
import { type AdapterConfig, adapterConfigName, adapterWeightsName, prefixOf, readAdapterConfig } from "./peft.ts";
import { formatOfType } from "./peft_formats.ts";
import { readParts, shapeOfParts } from "./side_by_side.ts";

// How an adapter names its base.
interface BaseName {
  readonly base: string;
  readonly revision: string | undefined;
}

/** Loads an adapter in PEFT's format. Throws {@linkcode CheckpointError} when it or its base cannot be used. */
export async function loadPeftAdapter(folder: string, options: ClassifierOptions): Promise<Classifier> {
  const path = `${folder}/${adapterConfigName}`;
  const adapter = readAdapterConfig(path);
  const format = formatOfType(adapter);
  using file = openSafetensors(`${folder}/${adapterWeightsName}`);
  const methodOptions = format.options(adapter.fields, file);
  const baseFolder = await folderOfBase(path, adapter, options);
  await refuseOtherBase(folder, baseFolder);
  const trained = await exists(`${folder}/config.json`)
    ? trainedFor(readConfig(folder), adapter)
    : trainedAbove(readConfig(baseFolder), adapter, file, prefixOf(format));
  return await loadOnBase(folder, baseFolder, trained, options, (base) => {
    const prefix = prefixOf(format);
    const names = [...file.tensors.keys()].filter((name) => name !== format.joined?.name);
    refuseUnexpected(file, names.filter((name) => !name.startsWith(prefix)));
    const keys = names.map((name) => name.slice(prefix.length));
    const insertions = format.insert(base.model, methodOptions, file, keys);
    if (insertions.length === 0) throw new CheckpointError(`${file.path} lacks the weights of ${format.type}`);
    const own = adapterParameters(base, insertions);
    const adaptation = { methods: [format.method], options: methodOptions, trained: own, insertions };
    const isNeeded = (name: string): boolean => {
      const key = name.slice(prefix.length);
      return name === format.joined?.name || format.isOwnKey(key) || base.newKeys.includes(key);
    };
    readTrained(file, fileTensors(base.model, adaptation), { isNeeded, base: baseFolder });
    return adaptation;
  });
}

/** Loads an adapter in Fewtune's own format. Throws {@linkcode CheckpointError} when it or its base cannot be used. */
export async function loadOwnAdapter(folder: string, options: ClassifierOptions): Promise<Classifier> {
  const path = `${folder}/${ownConfigName}`;
  const { method, options: methodOptions, ...named } = readOwnConfig(path);
  using file = openSafetensors(`${folder}/${ownWeightsName}`);
  const baseFolder = await folderOfBase(path, named, options);
  await refuseOtherBase(folder, baseFolder);
  const trained = trainedFor(readConfig(folder), { isClassifier: false });
  return await loadOnBase(folder, baseFolder, trained, options, (base) => {
    applyMethod(base, method, methodOptions);
    const { adaptation } = base;
    if (adaptation === null) throw new CheckpointError(`${path}: the method ${method.name} makes no adapter`);
    const forms = compactForms(adaptation);
    const isCompact = (name: string): boolean => forms.some((form) => form.has(name));
    readTrained(file, fileTensors(base.model, adaptation), { isNeeded: () => true, isCompact, base: baseFolder });
    for (const form of forms) form.read(file);
    return adaptation;
  });
}

// Loads the base as the adapter was trained on it, and has it adapted.
async function loadOnBase(
  folder: string,
  baseFolder: string,
  trained: Trained,
  options: ClassifierOptions,
  adapt: (base: Classifier) => Adaptation,
): Promise<Classifier> {
  refuseOthers(folder, trained, options);
  const base = await loadCheckpoint(baseFolder, { ...options, ...trained });
  try {
    const { model, architecture, config, target } = base;
    const adaptation = adapt(base);
    refreshDerived(adaptation);
    const adapted = new Classifier(model, architecture, config, target, [], baseFolder);
    adapted.adaptation = adaptation;
    return adapted;
  } catch (error) {
    base[Symbol.dispose]();
    throw error;
  }
}

// The parameters of what was put in, and of the head's parts that have no adapter of their own; they alone train.
function adapterParameters({ model }: Classifier, insertions: Adaptation["insertions"]): Adaptation["trained"] {
  const own = [model.head, ...insertions.map(({ module }) => module)];
  const trained = new Set(own.flatMap((part) => [...namedParameters(part).values()]));
  for (const { weight, bias } of adaptedLinears(model).values()) [weight, bias].forEach((each) => trained.delete(each));
  setTrained(model, false);
  for (const tensor of trained) requiresGrad_(tensor).dispose();
  return trainedBy(model, insertions);
}

interface Reading {
  /** Whether the file has to have a tensor; what it lacks of the others is the base's. */
  readonly isNeeded: (name: string) => boolean;
  /** Whether a tensor of the file is of a form that is read elsewhere. Default: none is. */
  readonly isCompact?: (name: string) => boolean;
  /** Names the base in errors. */
  readonly base: string;
}

function readTrained(file: WeightsFile, own: FileTensors, reading: Reading): void {
  const { isNeeded, isCompact = () => false, base } = reading;
  const plain = [...file.tensors.keys()].filter((name) => !isCompact(name));
  refuseUnexpected(file, plain.filter((name) => !own.has(name)));
  const missing = [...own.keys()].filter((name) => isNeeded(name) && !file.tensors.has(name));
  if (missing.length > 0) throw new CheckpointError(`${file.path} lacks ${list(missing)}`);
  const present = [...own].filter(([name]) => file.tensors.has(name));
  const shapes = present.map(([name, parts]) => [name, { shape: shapeOfParts(parts) }] as const);
  checkShapes(file, new Map(present.map(([name]) => [name, name])), new Map(shapes), `the base ${plainly(base)}`);
  for (const [name, parts] of present) readParts(file, name, parts);
}

function refuseUnexpected({ path }: WeightsFile, names: readonly string[]): void {
  if (names.length > 0) throw new CheckpointError(`${path}: unexpected ${list(names)}`);
}

// An adapter of Fewtune's knows its base's fingerprint.
async function refuseOtherBase(folder: string, baseFolder: string): Promise<void> {
  if (!await exists(`${folder}/config.json`)) return;
  const { base_fingerprint: known } = Object(readJsonObject(`${folder}/config.json`)["fewtune"]);
  if (typeof known !== "string") return;
  const found = fingerprintOf(baseFolder);
  if (found === known) return;
  throw new CheckpointError(
    `${folder} was trained on a base with the fingerprint ${plainly(known)}, that of ${
      plainly(baseFolder)
    } is ${found}: ` +
      "let it name the base that it was trained on",
  );
}

function baseField(path: string): string {
  return path.endsWith(ownConfigName) ? "base" : "base_model_name_or_path";
}

// The base's folder: as it is named, or seen from the adapter's; else it is a name on the hub.
async function folderOfBase(path: string, { base, revision }: BaseName, options: HubOptions): Promise<string> {
  const folder = dirname(path);
  try {
    for (const place of [base, resolve(folder, base)]) if (await exists(`${place}/config.json`)) return place;
    const found = await exists(base) ? base : await modelFolder(base, { ...options, revision });
    if (await exists(`${found}/config.json`)) return found;
    throw new CheckpointError(`there is no checkpoint in ${plainly(found)}`);
  } catch (error) {
    if (!(error instanceof HubError || error instanceof CheckpointError)) throw error;
    throw new CheckpointError(
      `${path}: ${error.message}; let ${baseField(path)} be the adapter's base`,
      { cause: error },
    );
  }
}

type Trained = Pick<Required<LoadOptions>, "target" | "pooling">;

function readConfig(folder: string): ConfigReader {
  return new ConfigReader(`${folder}/config.json`, readJsonObject(`${folder}/config.json`));
}

// What an adapter of Fewtune's predicts and reads.
function trainedFor(config: ConfigReader, { isClassifier }: Pick<AdapterConfig, "isClassifier">): Trained {
  const architecture = architectureOf(config);
  const target = isClassifier ? savedLabels(config) : savedTarget(config, architecture);
  return { target, pooling: savedPooling(config, architecture, target) };
}

// What an adapter that PEFT saved predicts and reads: as its base, except that its head may have other outputs.
function trainedAbove(config: ConfigReader, adapter: AdapterConfig, file: WeightsFile, prefix: string): Trained {
  const { target, pooling } = trainedFor(config, adapter);
  if (target === "nextToken") return { target, pooling };
  const architecture = architectureOf(config);
  const last = file.tensors.entries().find(([name]) =>
    name.endsWith(".weight") && isOutputKey(name.slice(prefix.length), architecture)
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
    `${folder} holds an adapter for other labels or another pooling: merge it into its base (mergeAdapter) and save that`,
  );
}
