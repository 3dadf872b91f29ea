// A task of GLUE as tables: from the folder of GLUE's own files, or from the dataset on the hub.

import { openGlueFolder } from "../data/glue/folder.ts";
import {
  glueDataset,
  type GluePart,
  type GlueTask,
  glueTaskNamed,
  indexColumn,
  labelColumn,
  labelSpellings,
} from "../data/glue/tasks.ts";
import type { Table } from "../data/table.ts";
import { columnOf, placeOf } from "../data/table_column.ts";
import { DataError, OptionError } from "../errors.ts";
import type { HubOptions } from "../hub/options.ts";
import { type Dataset, openDataset } from "./dataset.ts";
import { withLabels } from "./glue_labels.ts";
import type { Columns, Task } from "./table_data.ts";

/** Which task of GLUE, and where it is. */
export interface GlueSource {
  /** The task: `CoLA`, `SST-2`, `MRPC`, `QQP`, `MNLI`, `QNLI`, `RTE` or `STS-B`. */
  readonly glue?: string | undefined;
  /** The folder that holds the folders of GLUE's own files. Default: the dataset on the hub. */
  readonly glueDir?: string | undefined;
  /** Of the dataset on the hub: a branch, a tag or a commit. Default `main`. */
  readonly datasetRevision?: string | undefined;
}

/** How tables of GLUE are read. */
export interface GlueReadOptions extends Omit<HubOptions, "revision"> {
  /** Told what a person may not expect: rows or files that are not there. */
  readonly onNotice?: ((message: string) => void) | undefined;
}

/** Parts of a task. */
export interface GlueData {
  readonly task: GlueTask;
  /** Whether there is such a part. */
  has(part: GluePart): boolean;
  /** Throws {@linkcode DataError} and {@linkcode HubError}. */
  read(part: GluePart): Promise<Table>;
}

/**
 * Opens a task. Its tables have the columns that {@linkcode glueColumns} names, with labels by the hub's names of the
 * classes, which lie beside them in the order of their ids. Test tables have the rows' numbers (`idx`) instead.
 *
 * @throws {DataError} when the folder or the dataset has no such task
 * @throws {HubError} when the dataset cannot be had
 * @throws {OptionError} when there is no such task
 */
export async function openGlue(source: GlueSource, options: GlueReadOptions = {}): Promise<GlueData> {
  const { glue, glueDir, datasetRevision } = source;
  if (glue === undefined) {
    throw new OptionError(`${JSON.stringify(glueDir ?? "")} has the files of GLUE's tasks: say which task (glue)`);
  }
  const task = glueTaskNamed(glue);
  const { onNotice, ...hub } = options;
  if (glueDir === undefined) {
    return fromHub(task, await openDataset(`${glueDataset}:${task.config}`, { ...hub, revision: datasetRevision }));
  }
  if (datasetRevision !== undefined) {
    throw new OptionError(
      `${
        JSON.stringify(datasetRevision)
      } is a revision of the dataset on the hub, but GLUE's files are in ${glueDir}: ` +
        `leave out one of the two`,
    );
  }
  const folder = await openGlueFolder(glueDir, task);
  return {
    task,
    has: (part) => folder.parts.includes(part),
    read: async (part) => {
      const { notice, ...table } = await folder.read(part);
      if (notice !== null) onNotice?.(notice);
      return table;
    },
  };
}

function fromHub(task: GlueTask, dataset: Dataset): GlueData {
  const fileOf = (part: GluePart): GlueTask["files"][number] | undefined =>
    task.files.find((file) => file.part === part);
  return {
    task,
    has: (part) => dataset.splits.includes(fileOf(part)?.split ?? ""),
    read: async (part) => {
      const file = fileOf(part);
      const isTest = file?.submission !== undefined;
      const texts = [task.text, ...task.textPair === undefined ? [] : [task.textPair]];
      const table = await dataset.readSplit(file?.split ?? part, [...texts, isTest ? indexColumn : labelColumn]);
      return isTest ? table : withNamedLabels(table, task);
    },
  };
}

// The hub's dataset has names with its class ids, a copy of it may have ids alone.
function withNamedLabels(table: Table, task: GlueTask): Table {
  if (task.labels === "regression") return table;
  const spellings = labelSpellings(task);
  const labels = columnOf(table, labelColumn).map((written, row) => {
    const label = spellings.get(written.trim());
    if (label !== undefined) return label;
    throw new DataError(`${placeOf(table, row)}: the label ${JSON.stringify(written)} is none of ${task.name}`);
  });
  return withLabels(table, labels, task.labels);
}

/** The parts of a task that training reads. Throws as {@linkcode openGlue}; without dev {@linkcode DataError}. */
export async function readGlueTables(
  source: GlueSource,
  options: GlueReadOptions,
): Promise<{ train: Table; dev: Table; devMismatched?: Table }> {
  const data = await openGlue(source, options);
  return { train: await data.read("train"), ...await readGlueDev(data, options) };
}

/** What a task is evaluated on; a file of mismatched texts that is not there is a notice. */
export async function readGlueDev(
  data: GlueData,
  { onNotice }: Pick<GlueReadOptions, "onNotice">,
): Promise<{ dev: Table; devMismatched?: Table }> {
  const dev = await data.read("dev");
  if (!data.task.files.some(({ part }) => part === "devMismatched")) return { dev };
  if (data.has("devMismatched")) return { dev, devMismatched: await data.read("devMismatched") };
  onNotice?.(`${dev.path} has no mismatched dev beside it: ${data.task.name} is evaluated on the matched one alone`);
  return { dev };
}

/** The columns of a task's tables. */
export function glueColumns({ text, textPair }: GlueTask): Required<Pick<Columns, "text" | "label">> & Columns {
  return { text, textPair, label: labelColumn };
}

/** What a run on GLUE is told besides by its task. */
export interface GlueSettings {
  readonly glue: string;
  readonly columns: Columns;
  readonly task: Task;
}

/**
 * The settings that a task of GLUE brings; none without one.
 *
 * @throws {OptionError} when there is no such task, or columns or the kind of task are given that are not its own
 */
export function glueSettings(
  { glue, columns = {}, task: kind }: GlueSource & { columns?: Columns; task?: Task | undefined },
): GlueSettings | Record<never, never> {
  if (glue === undefined) return {};
  const task = glueTaskNamed(glue);
  const own = { ...glueColumns(task), task: task.labels === "regression" ? "regression" : "classification" } as const;
  for (const [name, value] of Object.entries({ ...columns, task: kind })) {
    if (value === undefined || value === own[name as keyof typeof own]) continue;
    throw new OptionError(`GLUE's ${task.name} has its own columns and task, but ${name} is ${JSON.stringify(value)}`);
  }
  return { glue: task.name, columns: glueColumns(task), task: own.task };
}
