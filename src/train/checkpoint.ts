// A checkpoint: a folder that loads as a model or an adapter, and that holds all that the run's next steps depend on.

import { join } from "node:path";
import { CheckpointError } from "../errors.ts";
import { isObject, readTextUpTo } from "../files/json_text.ts";
import { replaceFolder, writeText } from "../files/output_folder.ts";
import { nonFiniteAsText, reasonOf } from "../files/shown.ts";
import { readSavedPart, writeSavedPart } from "../methods/saved_part.ts";
import type { Classifier } from "../models/classifier.ts";
import { refreshDerived } from "../models/derivations.ts";
import { threads } from "../torch/mod.ts";
import type { RunIdentity } from "./run_identity.ts";
import { initialState, type RunState } from "./run_state.ts";
import { readTrainerFile, type TrainerParts, writeTrainerFile } from "./trainer_file.ts";
import { type Versions, versions } from "./training_record.ts";

/** What of a run is in a checkpoint. */
export interface CheckpointParts {
  readonly classifier: Classifier;
  readonly trainer: TrainerParts;
}

/** The content of trainer.json. */
export interface CheckpointRecord {
  readonly format: number;
  readonly versions: Versions;
  readonly threads: number;
  readonly identity: RunIdentity;
  readonly state: RunState;
}

// What changes when the files of a checkpoint do.
const format = 2;
const mostBytes = 2 ** 24;
const [recordName, tensorsName] = ["trainer.json", "trainer.safetensors"];

/**
 * The checkpoints in a folder, the oldest first; none where there is no such folder.
 *
 * @throws {CheckpointError} when it cannot be read
 */
export function checkpointsIn(folder: string): { readonly step: number; readonly folder: string }[] {
  return namesIn(folder)
    .map((name) => ({ step: Number(/^step-(\d+)$/.exec(name)?.[1] ?? NaN), folder: join(folder, name) }))
    .filter(({ step }) => Number.isSafeInteger(step))
    .toSorted((a, b) => a.step - b.step);
}

/**
 * The newest checkpoint in a folder; undefined where there is none.
 *
 * @throws {CheckpointError} when the folder cannot be read
 *
 * @example
 * ```ts ignore
 * const checkpoints = { folder: "out/checkpoints", saveSteps: 100 };
 * await train(classifier, data, { checkpoints, resumeFrom: newestCheckpoint(checkpoints.folder) });
 * ```
 */
export function newestCheckpoint(folder: string): string | undefined {
  return checkpointsIn(folder).at(-1)?.folder;
}

/**
 * Writes the folder `step-N` in `folder`, instead of one from before the evaluation after that step: it has its name when
 * all of it is on the disk.
 *
 * @param files what it holds besides, by name
 * @returns its path
 * @throws {CheckpointError} when it cannot be written; nothing is left then
 */
export function writeCheckpoint(
  folder: string,
  { classifier, trainer }: CheckpointParts,
  { state, identity }: Pick<CheckpointRecord, "state" | "identity">,
  files: Readonly<Record<string, string>> = {},
): string {
  const path = join(folder, `step-${state.step}`);
  replaceFolder(path, (temporary) => {
    writeSavedPart(classifier, temporary, files);
    writeTrainerFile(join(temporary, tensorsName), trainer);
    const record = { format, versions: versions(), threads: threads(), identity, state };
    writeText(join(temporary, recordName), JSON.stringify(record, nonFiniteAsText, 2) + "\n");
  });
  return path;
}

/**
 * Reads trainer.json.
 *
 * @throws {CheckpointError} when the folder is no checkpoint of a run, is damaged, or is another version's
 */
export function readRecord(folder: string): CheckpointRecord {
  const path = join(folder, recordName);
  const record = parse(path);
  if (isObject(record) && record["format"] !== format) {
    throw new CheckpointError(
      `${folder} has format ${record["format"]}, this Fewtune reads ${format}: go on with the version that wrote it`,
    );
  }
  if (!isRecord(record)) throw new CheckpointError(`${path} is damaged: go on from an older checkpoint`);
  return record;
}

/** Sets the parts to what the checkpoint holds. Throws {@linkcode CheckpointError} when it is damaged. */
export function readParts(folder: string, { classifier, trainer }: CheckpointParts): void {
  readSavedPart(classifier, folder);
  readTrainerFile(join(folder, tensorsName), trainer);
  refreshDerived(classifier.adaptation);
}

function namesIn(folder: string): string[] {
  try {
    return [...Deno.readDirSync(folder)].map(({ name }) => name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw new CheckpointError(`${folder} cannot be read (${reasonOf(error)})`, { cause: error });
  }
}

function parse(path: string): unknown {
  try {
    return JSON.parse(readTextUpTo(mostBytes, path), nonFiniteFromText);
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

// A metric may be NaN.
function nonFiniteFromText(_: string, value: unknown): unknown {
  return typeof value === "string" && /^(NaN|-?Infinity)$/.test(value) ? Number(value) : value;
}

function isRecord(record: unknown): record is CheckpointRecord {
  if (!isObject(record)) return false;
  const { state, identity } = record;
  return isObject(identity) && isObject(identity["options"]) && isObject(state) && isState(state);
}

function isState(state: Readonly<Record<string, unknown>>): boolean {
  const { order, ...others } = state;
  const isWhole = (value: unknown): boolean => Number.isSafeInteger(value) && Number(value) >= 0;
  return Object.keys(initialState([0, 0, 0, 0])).every((name) => state[name] !== undefined) &&
    [others["step"], others["epoch"], others["stepInEpoch"]].every(isWhole) &&
    Array.isArray(order) && order.length === 4 && order.every(isWhole);
}
