// Loads a checkpoint: a folder with config.json and weights, straight into its parameters' memory.

import { CheckpointError } from "../errors.ts";
import { initialize } from "../native/load.ts";
import { disposeModule, initializeParameters, namedParameters, type ParameterOptions } from "../nn/module.ts";
import { Generator, type Tensor } from "../torch/mod.ts";
import { Classifier, createModel, poolingsOf, type Target } from "./classifier.ts";
import { ConfigReader, readJsonObject } from "./config.ts";
import type { Architecture, Pooling, SequenceClassifier } from "./contract.ts";
import { meanHeadKeys, meanHeadOutputKeys } from "./mean_head.ts";
import { openWeights } from "../files/open_weights.ts";
import { list } from "../files/shown.ts";
import { checkShapes, readParameter } from "./read_parameter.ts";
import { architectureOf } from "./registry.ts";
import { checkTied } from "./tied_weights.ts";
import type { WeightsFile } from "../files/weights_file.ts";

/** How a classifier is loaded. */
export interface LoadOptions extends ParameterOptions {
  /**
   * What the model shall predict. Default: what the checkpoint was trained for. When the checkpoint has no head for
   * it, the head starts from random values (see {@linkcode Classifier.newKeys}).
   */
  readonly target?: Target;
  /** Default: what the checkpoint says; when it says nothing, the standard head's. */
  readonly pooling?: Pooling;
  /** Of the random values of a new head. Default 0. */
  readonly seed?: number;
}

/**
 * Loads a classifier from a folder in Hugging Face's format. The weights are read straight into the parameters'
 * memory: loading takes no second copy of them.
 *
 * @throws {CheckpointError} when a file is missing or damaged, when the architecture is unknown, when the weights do
 * not fit the configuration, or when no head fits and no `target` was given
 *
 * @example
 * ```ts ignore
 * using classifier = await loadClassifier("my-model", { target: { labels: ["ham", "spam"] } });
 * ```
 */
export async function loadCheckpoint(folder: string, options: LoadOptions = {}): Promise<Classifier> {
  await initialize({ device: options.device });
  const config = new ConfigReader(`${folder}/config.json`, readJsonObject(`${folder}/config.json`));
  const architecture = architectureOf(config);
  using file = openWeights(folder);
  const saved = savedTarget(config, architecture);
  const { target: wanted, pooling, seed = 0, ...where } = options;
  const target = wanted ?? saved;
  const head = { target, pooling: pooling ?? savedPooling(config, architecture, target) };
  const create = (options: ParameterOptions): SequenceClassifier => createModel(architecture, config, head, options);
  const keepsHead = sameTarget(target, saved);
  const { sources, newKeys } = matchShapes(create, { architecture, file, keepsHead });
  const lacking = newKeys.filter((key) => !isHeadKey(key, architecture));
  if (lacking.length > 0) {
    throw new CheckpointError(`${file.path} lacks ${list(lacking)}: it does not fit ${config.path}`);
  }
  if (wanted === undefined && newKeys.length > 0) {
    throw new CheckpointError(`${file.path} has no trained head (${list(newKeys)}): fine-tune it first`);
  }
  const model = create(where);
  try {
    fillParameters(model, file, sources, seed, config);
    return new Classifier(model, architecture, config, target, newKeys, folder);
  } catch (error) {
    disposeModule(model);
    throw error;
  }
}

/** What the head of a checkpoint that predicts `target` reads, as its config.json says. */
export function savedPooling(config: ConfigReader, architecture: Architecture, target: Target): Pooling {
  if (target === "nextToken") return "each";
  const saved = config.fields["fewtune"] as { pooling?: unknown } | undefined;
  const known = poolingsOf(architecture);
  return known.find((pooling) => pooling === saved?.pooling) ?? known[0];
}

/** What a checkpoint was trained to predict, as its config.json says. */
export function savedTarget(config: ConfigReader, { languageModel }: Architecture): Target {
  const classNames = config.fields["architectures"];
  if (languageModel && Array.isArray(classNames) && classNames.includes(languageModel.className)) return "nextToken";
  return savedLabels(config);
}

/** What the head on whole sequences predicts, as its config.json says. */
export function savedLabels(config: ConfigReader): Target {
  const labels = config.labels() ?? Array.from({ length: config.labelCount(2) }, (_, id) => `LABEL_${id}`);
  const problem = config.fields["problem_type"];
  if (problem === "regression" || labels.length === 1) return "regression";
  return { labels, ...(problem === "multi_label_classification" && { isMultiLabel: true }) };
}

/** Whether two targets have the same labels in the same order. */
export function sameTarget(a: Target, b: Target): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

interface Source {
  readonly architecture: Architecture;
  readonly file: WeightsFile;
  readonly keepsHead: boolean;
}

interface Match {
  /** The file's name for each key that it has. */
  readonly sources: ReadonlyMap<string, string>;
  /** The other keys. */
  readonly newKeys: readonly string[];
}

// A configuration may ask for any amount of memory: its shapes are compared with the file's before any is taken.
function matchShapes(create: (options: ParameterOptions) => SequenceClassifier, source: Source): Match {
  const outline = create({ device: "meta" });
  try {
    const parameters = namedParameters(outline);
    const sources = matchKeys(source, outline, parameters);
    return { sources, newKeys: [...parameters.keys()].filter((key) => !sources.has(key)) };
  } finally {
    disposeModule(outline);
  }
}

// Reads every parameter that the file has and gives the others first values.
function fillParameters(
  model: SequenceClassifier,
  file: WeightsFile,
  sources: ReadonlyMap<string, string>,
  seed: number,
  config: ConfigReader,
): void {
  const parameters = namedParameters(model);
  using random = new Generator(seed, [...parameters.values()][0]?.device ?? "cpu");
  initializeParameters(model, random, config.initializerRange(), (key) => !sources.has(key));
  for (const [key, name] of sources) {
    const parameter = parameters.get(key);
    if (parameter) readParameter(file, name, parameter);
  }
}

// The file's name for each parameter's key. Throws when a name is unexpected or a shape differs.
function matchKeys(
  { architecture, file, keepsHead }: Source,
  { tiedKeys = {} }: SequenceClassifier,
  parameters: ReadonlyMap<string, Tensor>,
): Map<string, string> {
  const names = [...file.tensors.keys()];
  const { basePrefix } = architecture;
  const hasPrefix = names.some((name) => name.startsWith(basePrefix));
  const isComplete = (name: string): boolean => hasPrefix || isIgnored(name, architecture);
  const named = new Map(names.map((name) => [modernKey(isComplete(name) ? name : basePrefix + name), name]));
  const isKept = (key: string): boolean => parameters.has(key) && (keepsHead || !isOutputKey(key, architecture));
  const tied = Object.entries(tiedKeys).flatMap(([key, own]) => {
    const name = named.get(key);
    return name === undefined ? [] : [[own, name] as const];
  });
  const fallbacks = [...named].map(([key, name]) => [fallbackKey(key, architecture), name] as const);
  // What the file has under a parameter's own key comes last, and so counts.
  const sources = new Map([...tied, ...fallbacks, ...named].filter(([key]) => isKept(key)));
  const unexpected = [...named].flatMap(([key, name]) =>
    parameters.has(key) || isIgnored(key, architecture) ? [] : [name]
  );
  if (unexpected.length > 0) {
    const missing = [...parameters.keys()].filter((key) => !sources.has(key));
    throw new CheckpointError(
      `${file.path}: unexpected ${list(unexpected)}${missing.length > 0 ? `; missing ${list(missing)}` : ""}`,
    );
  }
  checkShapes(file, sources, parameters);
  for (const [key, name] of tied) checkTied(file, name, sources.get(key) ?? name);
  return sources;
}

// Checkpoints from BERT's first years name LayerNorm's parameters as TensorFlow does.
function modernKey(key: string): string {
  return key.replace(/LayerNorm\.gamma$/, "LayerNorm.weight").replace(/LayerNorm\.beta$/, "LayerNorm.bias");
}

// The key of the parameter of the head on the mean that starts from the standard head's; else the key itself.
function fallbackKey(key: string, { headFallbacks }: Architecture): string {
  const dot = key.lastIndexOf(".");
  return (headFallbacks[key.slice(0, dot)] ?? key.slice(0, dot)) + key.slice(dot);
}

/** Whether a parameter belongs to the last layer of a head, whose outputs are the labels. */
export function isOutputKey(key: string, { outputKeys = /^classifier\./ }: Architecture): boolean {
  return outputKeys.test(key) || meanHeadOutputKeys.test(key);
}

function isHeadKey(key: string, architecture: Architecture): boolean {
  return [meanHeadKeys, ...architecture.headKeys].some((pattern) => pattern.test(key));
}

function isIgnored(key: string, architecture: Architecture): boolean {
  return isHeadKey(key, architecture) || architecture.ignoredKeys.some((pattern) => pattern.test(key));
}
