// GLUE's tasks from the hub into GLUE's own files: a folder a task, written whole or not at all.

import { join } from "node:path";
import { glueDataset, type GlueTask, glueTaskNamed, glueTasks, labelSpellings } from "../data/glue/tasks.ts";
import type { Table } from "../data/table.ts";
import { columnOf, placeOf } from "../data/table_column.ts";
import { DataError } from "../errors.ts";
import type { HubOptions } from "../hub/options.ts";
import { writeFolder, writeText } from "../files/output_folder.ts";
import { exists } from "../native/cache.ts";
import { openDataset } from "../train/dataset.ts";

/** What came of a task. */
export interface PulledTask {
  readonly task: GlueTask;
  readonly folder: string;
  /** The rows of each file; null where the folder was there already, and was left as it is. */
  readonly rows: Readonly<Record<string, number>> | null;
  /** Texts in which tabs and line breaks became spaces: GLUE's files cannot hold them. */
  readonly respaced: number;
}

/** How {@linkcode pullGlue} pulls. */
export interface PullGlueOptions extends HubOptions {
  /** Names of tasks, as GLUE's or the hub's. Default: all. */
  readonly tasks?: readonly string[] | undefined;
  /** Told as each task is done. */
  readonly onTask?: (task: PulledTask) => void;
}

/**
 * Writes train, dev and test of tasks into `folder`, each in a folder of its own, in the layout and with the labels of GLUE's
 * own files. Columns that the hub's dataset does not have (sources, ids, parses) are empty.
 *
 * @throws {OptionError} when there is no such task
 * @throws {HubError} when the dataset cannot be had
 * @throws {DataError} when it is not what GLUE's files are made of
 * @throws {CheckpointError} when a folder cannot be written
 */
export async function pullGlue(folder: string, options: PullGlueOptions = {}): Promise<PulledTask[]> {
  const { tasks = glueTasks.map(({ name }) => name), onTask, ...hub } = options;
  const pulled: PulledTask[] = [];
  for (const task of new Set(tasks.map(glueTaskNamed))) {
    const done = await pullTask(task, join(folder, task.name), hub);
    onTask?.(done);
    pulled.push(done);
  }
  return pulled;
}

async function pullTask(task: GlueTask, folder: string, hub: HubOptions): Promise<PulledTask> {
  if (await exists(folder)) return { task, folder, rows: null, respaced: 0 };
  const dataset = await openDataset(`${glueDataset}:${task.config}`, hub);
  const files: { name: string; text: string; rows: number; respaced: number }[] = [];
  for (const { name, split, columns, hasHeader } of task.files) {
    const needed = new Set(columns.flatMap(([, from]) => from ?? []));
    const table = await dataset.readSplit(split, [...needed]);
    const fields = columns.map(([, from]) => {
      if (from === null) return null;
      return from === "label" ? labelsOf(table, task) : columnOf(table, from);
    });
    files.push({
      name,
      rows: table.rows.length,
      ...tsvOf(hasHeader ? columns.map(([name]) => name) : null, fields),
    });
  }
  writeFolder(folder, (at) => files.forEach(({ name, text }) => writeText(join(at, name), text)));
  return {
    task,
    folder,
    rows: Object.fromEntries(files.map(({ name, rows }) => [name, rows])),
    respaced: files.reduce((sum, { respaced }) => sum + respaced, 0),
  };
}

/** The labels as GLUE's files have them. */
function labelsOf(table: Table, task: GlueTask): string[] {
  const { labels, writtenLabels = labels } = task;
  const spellings = labelSpellings(task);
  return columnOf(table, "label").map((text, row) => {
    const read = labels === "regression" ? score(text) : writtenLabels[labels.indexOf(spellings.get(text) ?? "")];
    if (read !== undefined) return read;
    throw new DataError(`${placeOf(table, row)}: ${JSON.stringify(text)} is not a label of this task`);
  });
}

// From 0 to 5, in the fewest digits that mean the float32 that the hub has.
function score(text: string): string | undefined {
  return Number(text) >= 0 && Number(text) <= 5 ? text : undefined;
}

function tsvOf(
  header: readonly string[] | null,
  columns: readonly (readonly string[] | null)[],
): { text: string; respaced: number } {
  let respaced = 0;
  const field = (text: string): string => {
    const fitting = text.replaceAll(/[\t\n\r]+/g, " ");
    if (fitting !== text) respaced++;
    return fitting;
  };
  const count = columns.find((column) => column !== null)?.length ?? 0;
  const lines = Array.from({ length: count }, (_, row) => columns.map((column) => field(column?.[row] ?? "")));
  return { text: [...header ? [header] : [], ...lines].map((line) => line.join("\t") + "\n").join(""), respaced };
}
