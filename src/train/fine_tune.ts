// Fine-tuning from files to a folder: a checkpoint and tables of text in, a fine-tuned checkpoint out.

import { basename } from "node:path";
import type { EncodedExample } from "../data/encode.ts";
import type { Example } from "../data/examples.ts";
import type { Table } from "../data/table.ts";
import { loadTokenizer, type Tokenizer } from "../data/tokenizer.ts";
import type { Classifier, Target } from "../models/classifier.ts";
import type { Pooling } from "../models/contract.ts";
import { longestText } from "../models/preceding.ts";
import { applyMethod } from "../methods/apply.ts";
import type { Method } from "../methods/contract.ts";
import { hubModelOf } from "../hub/cache_layout.ts";
import { modelFolder } from "../hub/model_folder.ts";
import type { DownloadEvent } from "../hub/options.ts";
import { loadClassifier } from "../methods/load.ts";
import { methodDeclarations, type MethodOptions } from "../methods/registry.ts";
import { savedKind, writeSavedPart } from "../methods/saved_part.ts";
import { hasStandardHead } from "../models/saved_config.ts";
import { initialize } from "../native/load.ts";
import type { OnProgress } from "../native/progress.ts";
import type { SelectionSize } from "../selective/positions.ts";
import { type Device, threads } from "../torch/mod.ts";
import { resolve } from "./config/resolve.ts";
import { configText } from "./config/write.ts";
import { evaluate, type Metrics } from "./evaluate.ts";
import { type CardFacts, modelCard, modelCardName } from "./model_card.ts";
import { checkedMaxLength, requireVocabulary } from "./fit.ts";
import { type LogOptions, openRunLog } from "./log/run_log.ts";
import { checkRunFolder, openRunFolder, type RunFolder, type SaveOptions } from "./run_folder.ts";
import { type Columns, labelledExamples, requireNextTokensOf, targetOf, type Task } from "./table_data.ts";
import { type Parts, readTables, type TableSources } from "./table_sources.ts";
import { encodeTable } from "./token_cache.ts";
import type { TrainEvent } from "./events.ts";
import { train, type TrainingData, type TrainResult } from "./train.ts";
import { checkOptionsFor, type TrainOptions } from "./train_options.ts";
import { trainingRecordName, type Versions, versions } from "./training_record.ts";

/** What {@linkcode fineTune} fine-tunes, on what, and how. */
export interface FineTuneOptions
  extends
    Omit<TrainOptions, "onEvent" | "k" | "checkpoints" | "resumeFrom">,
    MethodOptions,
    TableSources,
    SaveOptions,
    LogOptions {
  /** The folder of a checkpoint (config.json, model.safetensors and tokenizer.json), else its name on the hub. */
  readonly model: string;
  /** Of a model on the hub: a branch, a tag or a commit. Default `main`. */
  readonly revision?: string | undefined;
  readonly columns?: Columns;
  /** Default classification; it has to be said when the labels are numbers with a fraction, and for a language model. */
  readonly task?: Task | undefined;
  /** What is trained, as {@linkcode parseMethod} reads it: `selective+lora`. Default `selective`. */
  readonly method?: string;
  /** Positions of each sequence that carry gradients, with a selective method. Default 16. */
  readonly k?: SelectionSize | undefined;
  /** What the head reads. Default `mean`, and for a language model `each`, which it has to be. */
  readonly pooling?: Pooling | undefined;
  /** Texts are cut to so many tokens. Default: 256, or what the model takes when that is less. */
  readonly maxLength?: number | undefined;
  /** Whether encoded tables are kept in the user's cache, and looked for there. Default true. */
  readonly tokenCache?: boolean | undefined;
  readonly device?: Device;
  /** Threads on the CPU. Default: LibTorch's own choice. */
  readonly threads?: number | undefined;
  /** The run's folder; it must not exist, but for a run that goes on. It is made just before the first step. */
  readonly outputDir: string;
  /**
   * Whether the run in `outputDir` goes on, from its newest checkpoint or where there is none from its beginning. Options
   * that count for what is learnt have to be those that it began with. Default false.
   */
  readonly resume?: boolean | undefined;
  readonly onEvent?: (event: FineTuneEvent) => void;
  /** Told when the shim has to be built first. */
  readonly onSetup?: OnProgress;
}

/** What a fine-tuning run tells while it goes on. */
export type FineTuneEvent = TrainEvent | ProgressEvent | DownloadEvent;

/** How far a part of the work is that is no training step. */
export interface ProgressEvent {
  readonly type: "progress";
  /** For a person: `tokenizing train.tsv`. */
  readonly task: string;
  readonly done: number;
  readonly total: number;
}

/** What came out of a fine-tuning run. */
export interface FineTuneResult extends Omit<TrainResult, "metrics"> {
  /** Whether the result was saved: not when the signal stopped training, which then can go on from its checkpoint. */
  readonly isSaved: boolean;
  /** Null without such a table, and when the signal came before the evaluation was done. */
  readonly dev: Metrics | null;
  /** Of GLUE's MNLI, over the mismatched texts; null of everything else. */
  readonly devMismatched: Metrics | null;
  readonly test: Metrics | null;
  readonly target: Target;
}

/**
 * Fine-tunes a checkpoint on tables and saves the result, with its tokenizer, a model card (README.md), and a
 * `training.json` that says how it was made. The result is an adapter where a method trains less than the model's own
 * weights, else a model.
 *
 * The run's folder holds its options (`train_config.json`) and its log (`metrics.jsonl`, TensorBoard's files) from just
 * before the first step, then its checkpoints, and at the end the result: training.json comes last. When the signal is
 * aborted the run finishes the step at hand, writes a checkpoint and ends; with `resume` it goes on, also after it was
 * killed. A run that fails before its first step is done leaves nothing.
 *
 * LibTorch has to be there; call {@linkcode initialize} first to have it installed.
 *
 * @throws {CheckpointError} when the folder exists (or holds no run that could go on) or cannot be written, or the model
 * cannot be used
 * @throws {HubError} when the model is neither a folder nor on the hub, or it or the dataset cannot be fetched
 * @throws {DataError} when a table cannot be used
 * @throws {OptionError} when an option has a value that cannot be
 * @throws {TrainingError} when the loss is not a finite number
 *
 * @example
 * ```ts ignore
 * const result = await fineTune({ model: "minilm", train: "train.tsv", dev: "dev.tsv", outputDir: "out/mine" });
 * console.log(result.dev?.["accuracy"]);
 * ```
 */
export async function fineTune(options: FineTuneOptions): Promise<FineTuneResult> {
  const { method, settings: resolved } = resolve(options);
  const { model, ...settings } = { ...options, ...resolved };
  checkRunFolder(settings.outputDir, settings.resume);
  const { columns, seed, device, revision, signal, onEvent: onProgress } = settings;
  const { text = "text", textPair = text, label = "label" } = columns;
  const onNotice = (message: string): void => onProgress?.({ type: "notice", step: 0, message });
  const tables = await readTables(options, [text, textPair, label], { signal, onProgress, onNotice });
  const target = targetOf(tables.train, label, settings.task);
  checkOptionsFor(settings, target, tables.dev !== undefined);
  const { pooling = target === "nextToken" ? "each" : "mean" } = settings;
  const examples = mapParts(tables, (table) => labelledExamples(table, columns, target));
  const folder = await modelFolder(model, { revision, signal, onProgress });
  const tokenizer = await loadTokenizer(folder);
  await initialize({ device, signal, ...(options.onSetup && { onProgress: options.onSetup }) });
  threads(options.threads);
  using classifier = await loadClassifier(folder, { target, pooling, seed, device, signal, onProgress });
  requireVocabulary(classifier, tokenizer, model);
  applyMethod(classifier, method, settings);
  const maxLength = checkedMaxLength(options.maxLength, 256, longestText(classifier.model.backbone));
  const names = mapParts(tables, ({ path }) => basename(path));
  const data = await encodeParts(examples, tokenizer, { ...options, maxLength, names });
  if (target === "nextToken") checkTexts(tables, data);
  const record = describe({ ...options, ...settings, pooling, maxLength }, data, target);
  using run = openRunFolder(settings.outputDir, configText(options), settings.resume);
  const { metrics: dev, ...training } = await trainIn(run, classifier, data, { ...options, ...settings }, record);
  const evaluateLast = async (part: "test" | "devMismatched"): Promise<Metrics | null> => {
    const encoded = data[part];
    if (!encoded || training.isStopped) return null;
    return await evaluateAtEnd(classifier, encoded, { ...options, name: names[part] });
  };
  const devMismatched = await evaluateLast("devMismatched");
  const test = await evaluateLast("test");
  const result = { ...training, dev, devMismatched, test, target, isSaved: !training.isStopped };
  if (result.isSaved) {
    const hubName = hubModelOf(folder)?.name ?? null;
    const card = modelCard({ ...factsOf(record, result, classifier, method), hubName });
    const files = { ...recordFile(record, result), [modelCardName]: card };
    run.finish((temporary) => writeSavedPart(classifier, temporary, files), settings);
  }
  return result;
}

// Trains, with the run's checkpoints and its log in its folder.
async function trainIn(
  run: RunFolder,
  classifier: Classifier,
  data: TrainingData,
  options: FineTuneOptions,
  record: TrainingRecord,
): Promise<TrainResult> {
  let steps = 0;
  const onEvent = (event: TrainEvent): void => {
    if (event.type === "step") steps = event.step;
    options.onEvent?.(event);
  };
  try {
    using log = openRunLog(options.outputDir, { ...options, onEvent });
    const checkpoints = run.checkpoints(options, recordFile(record));
    return await train(classifier, data, { ...options, ...checkpoints, onEvent: log.onEvent });
  } finally {
    if (steps === 0) run.abandon();
  }
}

const parts = ["train", "dev", "devMismatched", "test"] as const;

function mapParts<From, To>({ train, dev, devMismatched, test }: Parts<From>, map: (part: From) => To): Parts<To> {
  return {
    train: map(train),
    ...(dev && { dev: map(dev) }),
    ...(devMismatched && { devMismatched: map(devMismatched) }),
    ...(test && { test: map(test) }),
  };
}

async function encodeParts(
  examples: Parts<readonly Example[]>,
  tokenizer: Tokenizer,
  options: FineTuneOptions & { readonly maxLength: number; readonly names: Parts<string> },
): Promise<Parts<EncodedExample[]>> {
  const encoded: Parts<EncodedExample[]> = { train: [] };
  for (const part of parts) {
    const task = `tokenizing ${options.names[part]}`;
    const onProgress = (done: number, total: number): void =>
      options.onEvent?.({ type: "progress", task, done, total });
    const { maxLength, signal, tokenCache } = options;
    const some = examples[part];
    if (some) encoded[part] = await encodeTable(some, tokenizer, { maxLength, signal, tokenCache, onProgress });
  }
  return encoded;
}

function checkTexts(tables: Parts<Table>, data: Parts<readonly EncodedExample[]>): void {
  for (const part of parts) {
    const [table, encoded] = [tables[part], data[part]];
    if (table && encoded) requireNextTokensOf(table, encoded);
  }
}

async function evaluateAtEnd(
  classifier: Classifier,
  examples: readonly EncodedExample[],
  { name, onEvent, signal }: FineTuneOptions & { readonly name: string | undefined },
): Promise<Metrics | null> {
  const task = `evaluating ${name}`;
  const onProgress = (done: number, total: number): void => {
    onEvent?.({ type: "progress", task, done, total });
    signal?.throwIfAborted();
  };
  try {
    return await evaluate(classifier, examples, { onProgress });
  } catch (error) {
    if (signal?.aborted) return null;
    throw error;
  }
}

// What a model card tells, but where the base came from.
function factsOf(
  { options, examples, versions }: TrainingRecord,
  result: FineTuneResult,
  classifier: Classifier,
  method: Method,
): Omit<CardFacts, "hubName"> {
  return {
    ...result,
    ...{ name: basename(options.outputDir), base: options.model, examples, versions },
    ...{ kind: savedKind(classifier), isStandard: hasStandardHead(classifier) },
    ...{ pooling: classifier.model.pooling, method: method.name, settings: shownSettings(options) },
  };
}

// What of the options a model card shows.
function shownSettings(options: TrainingRecord["options"]): Record<string, unknown> {
  const ofMethod = Object.keys(methodDeclarations).map((name) => [name, options[name as keyof MethodOptions]]);
  const { k, positions, learningRate, epochs, maxSteps, batchSize } = options;
  const { freezeEmbeddings, schedule, warmupRatio, warmupSteps, weightDecay, labelSmoothing } = options;
  const classWeights = typeof options.classWeights === "object"
    ? JSON.stringify(options.classWeights)
    : options.classWeights;
  return {
    ...{ k, positions, ...Object.fromEntries(ofMethod), freezeEmbeddings, learningRate, schedule, warmupRatio },
    ...{ warmupSteps, epochs, maxSteps, batchSize, weightDecay, labelSmoothing, classWeights },
    ...{ maxGradNorm: options.maxGradNorm, clipping: options.clipping },
    ...{ maxLength: options.maxLength, precision: options.precision, seed: options.seed },
  };
}

// What training.json holds of a run, but its result.
interface TrainingRecord {
  readonly versions: Versions;
  readonly options: Omit<FineTuneOptions, "signal">;
  readonly target: Target;
  readonly threads: number;
  readonly examples: Readonly<Record<string, number>>;
}

// Functions and signals in the options fall out of JSON by themselves.
function describe(
  { signal: _, resume: _resume, ...options }: FineTuneOptions,
  data: Parts<readonly EncodedExample[]>,
  target: Target,
): TrainingRecord {
  return {
    versions: versions(),
    options,
    target,
    threads: threads(),
    examples: Object.fromEntries(Object.entries(data).map(([part, examples]) => [part, examples.length])),
  };
}

// training.json: of a checkpoint it has no result.
function recordFile(
  record: TrainingRecord,
  { target: _, ...result }: Partial<FineTuneResult> = {},
): Record<string, string> {
  const content = Object.keys(result).length > 0 ? { ...record, result } : record;
  return { [trainingRecordName]: JSON.stringify(content, null, 2) + "\n" };
}
