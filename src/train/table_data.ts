// Table files as data to train on: the labels that the task has, and encoded examples.

import { type EncodedExample, encodeExamples } from "../data/encode.ts";
import { type Example, readExamples } from "../data/examples.ts";
import { discoverLabels, LabelSet } from "../data/labels.ts";
import type { Table } from "../data/table.ts";
import { columnOf, placeOf } from "../data/table_column.ts";
import type { Tokenizer } from "../data/tokenizer.ts";
import { OptionError } from "../errors.ts";
import type { Target } from "../models/classifier.ts";
import { requireNextTokens } from "./lesson.ts";
import { nextTask } from "./next_task.ts";

/** What can be learnt. */
export const tasks = ["classification", "regression", "language-model"] as const;

/** What is learnt: one label of a set, a number, or at each position the next token. */
export type Task = typeof tasks[number];

/** The names of a table's columns. */
export interface Columns {
  /** Default `text`. */
  readonly text?: string | undefined;
  /** The second text of a pair; none unless given. */
  readonly textPair?: string | undefined;
  /** Default `label`. A language model needs none. */
  readonly label?: string | undefined;
}

/**
 * What a table asks a model to predict. Without a task it is classification, except that labels which are all numbers,
 * some with a fraction, leave it open.
 *
 * @throws {DataError} when the column is missing, or has not at least two labels
 * @throws {OptionError} when the task is left open
 */
export function targetOf(table: Table, column: string, task?: Task): Target {
  if (task === "language-model") return "nextToken";
  const values = columnOf(table, column).map((value) => value.trim());
  if (task === "regression") return "regression";
  const fraction = values.find((value) => /^-?\d*\.\d+$/.test(value) && !Number.isInteger(Number(value)));
  if (task === undefined && fraction !== undefined && values.every((value) => Number.isFinite(Number(value)))) {
    throw new OptionError(
      `the labels of ${table.path} are numbers such as ${fraction}: say whether the task is regression or classification`,
    );
  }
  return { labels: discoverLabels(table, column).names };
}

/**
 * The labelled examples of a table, or a language model's texts.
 *
 * @throws {DataError} when a column is missing, or a label is not one of the target's
 * @throws {OptionError} when a language model is to read pairs
 */
export function labelledExamples(table: Table, columns: Columns, target: Target): Example[] {
  const { text = "text", textPair, label = "label" } = columns;
  if (target === "nextToken") {
    refusePair(textPair);
    return readExamples(table, { text });
  }
  const labels = target === "regression" ? target : labelSet(table, label, target.labels);
  return readExamples(table, { text, label, labels, ...(textPair !== undefined && { textPair }) });
}

/** Throws {@linkcode OptionError} when a language model is given the second text of a pair, or its column. */
export function refusePair(textPair: string | undefined): void {
  if (textPair === undefined) return;
  throw new OptionError(`a language model reads single texts, but a second one is given: ${JSON.stringify(textPair)}`);
}

/** Refuses a table's encoded texts when one has no next token. Throws {@linkcode DataError} with its line. */
export function requireNextTokensOf(table: Table, encoded: readonly EncodedExample[]): void {
  requireNextTokens(encoded, (index) => `${placeOf(table, index)}: the text`);
}

// A checkpoint that never learnt its labels' names calls them LABEL_0, LABEL_1, ...; data calls them 0, 1, ..., or says
// which names these ids have.
function labelSet(table: Table, column: string, names: readonly string[]): LabelSet {
  const isUnnamed = names.every((name, id) => name === `LABEL_${id}`);
  const classNames = table.classNames?.get(column);
  if (isUnnamed && classNames?.length === names.length) return new LabelSet(classNames);
  const isNumbered = columnOf(table, column).every((value) => /^\d+$/.test(value.trim()));
  return isUnnamed && isNumbered ? LabelSet.numbered(names.length) : new LabelSet(names);
}

/** How examples are encoded. */
export interface EncodeOptions {
  readonly maxLength: number;
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
  /** When it is aborted, what comes after the first few hundred is left out. */
  readonly signal?: AbortSignal | undefined;
}

/** How many examples are encoded until the event loop runs. */
export const chunkSize = 256;

/** Encodes examples as {@linkcode encodeExamples} does, and lets the event loop run now and then. */
export async function encodeInChunks(
  examples: readonly Example[],
  tokenizer: Tokenizer,
  { maxLength, onProgress, signal }: EncodeOptions,
): Promise<EncodedExample[]> {
  const encoded: EncodedExample[] = [];
  do {
    const next = examples.slice(encoded.length, encoded.length + chunkSize);
    encoded.push(...encodeExamples(next, tokenizer, maxLength));
    onProgress?.(encoded.length, examples.length);
    await nextTask();
  } while (encoded.length < examples.length && !signal?.aborted);
  return encoded;
}
