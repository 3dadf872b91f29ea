// One of GLUE's own files as a table with the hub's columns: quotes are literal, and broken rows are told of.
import { DataError } from "../../errors.ts";
import type { Table } from "../table.ts";
import { type GlueFile, type GlueTask, indexColumn, labelColumn, labelSpellings } from "./tasks.ts";

/** A table and what of its file is not in it. */
export interface GlueTable extends Table {
  /** One line for a person; null when every row is there. */
  readonly notice: string | null;
}

/** At which place of a row each column is. */
type Places = ReadonlyMap<string, number>;

/** The fields of a row, and its line from 1. */
interface Line {
  readonly fields: readonly string[];
  readonly number: number;
}

/**
 * Reads the text of a file. The table has the hub's columns: the texts, then `label`, by the hub's names of the classes,
 * or in a test file `idx`, the row's number, which is counted from 0 where the file has none.
 *
 * Rows that lack a field are left out, and so are those with too many fields where the label should be: a tab or a line
 * break got into a text. Further fields behind those that are needed are no harm. In a test file every row counts.
 *
 * @throws {DataError} when columns are missing, a label is not one of the task's, a test file has a broken row, or no
 * row is left
 */
export function readGlueText(text: string, path: string, task: GlueTask, file: GlueFile): GlueTable {
  const lines = text.split("\n").flatMap((line, index) =>
    line.trim() === "" ? [] : [{ fields: fieldsOf(line), number: index + 1 }]
  );
  const [first] = lines;
  if (!first) throw new DataError(`${path} is empty`);
  const isTest = file.submission !== undefined;
  const columns = [task.text, ...task.textPair === undefined ? [] : [task.textPair], ...isTest ? [] : [labelColumn]];
  const header = headerOf(first.fields, columns, path, file);
  const records = header === first.fields ? lines.slice(1) : lines;
  const reader = new RowReader(path, task, file, placesOf(header, file), columns, header.length);
  const kept = records.flatMap((line, row) => {
    const read = reader.read(line, row);
    return read ? [{ row: read, number: line.number }] : [];
  });
  if (kept.length === 0) throw new DataError(`${path} has no rows of ${header.length} columns`);
  return {
    path,
    columns: isTest ? [...columns, indexColumn] : columns,
    rows: kept.map(({ row }) => row),
    lines: kept.map(({ number }) => number),
    ...(task.labels !== "regression" && !isTest && { classNames: new Map([[labelColumn, task.labels]]) }),
    notice: noticeOf(path, reader.leftOut),
  };
}

function fieldsOf(line: string): string[] {
  return (line.endsWith("\r") ? line.slice(0, -1) : line).split("\t");
}

// A file that should have none may have a header all the same.
function headerOf(
  first: readonly string[],
  columns: readonly string[],
  path: string,
  file: GlueFile,
): readonly string[] {
  const names = first.map((name) => name.trim());
  const missing = columns.map((column) => headerFor(file, column)).find((name) => !names.includes(name));
  if (missing === undefined) return first;
  if (!file.hasHeader) return file.columns.map(([name]) => name);
  const has = JSON.stringify(names.join(", ").slice(0, 200));
  throw new DataError(
    `${path} has no column ${JSON.stringify(missing)}, which GLUE's ${file.name} has; its first line is ${has}`,
  );
}

// MNLI's gold label is the last of the columns that hold the label.
function headerFor({ columns }: GlueFile, column: string): string {
  return columns.findLast(([, from]) => from === column)?.[0] ?? column;
}

function placesOf(header: readonly string[], file: GlueFile): Places {
  const names = header.map((name) => name.trim());
  const wanted = new Set(file.columns.flatMap(([, from]) => from === null ? [] : [from]));
  return new Map([...wanted].map((column) => [column, names.indexOf(headerFor(file, column))]));
}

class RowReader {
  /** The lines of the rows that were left out. */
  readonly leftOut: number[] = [];
  readonly #spellings: ReadonlyMap<string, string>;

  constructor(
    readonly path: string,
    readonly task: GlueTask,
    readonly file: GlueFile,
    readonly places: Places,
    readonly columns: readonly string[],
    readonly width: number,
  ) {
    this.#spellings = labelSpellings(task);
  }

  /** The row, or null when it is left out. */
  read({ fields, number }: Line, row: number): Record<string, string> | null {
    const values = this.columns.map((column) => [column, fields[this.places.get(column) ?? -1]] as const);
    const lacking = values.find(([, value]) => value === undefined)?.[0];
    if (lacking !== undefined) return this.#leaveOut(number, `${fields.length} fields where ${this.width} belong`);
    const read = Object.fromEntries(values.map(([column, value = ""]) => [column, value]));
    const written = read[labelColumn]?.trim();
    if (written === undefined) return { ...read, [indexColumn]: this.#indexOf(fields) ?? String(row) };
    const label = this.#labelOf(written);
    if (label === undefined && fields.length !== this.width) return this.#leaveOut(number, "");
    if (label === undefined) throw new DataError(this.#unknownLabel(written, number));
    read[labelColumn] = label;
    return read;
  }

  #indexOf(fields: readonly string[]): string | undefined {
    return fields[this.places.get(indexColumn) ?? -1]?.trim();
  }

  #leaveOut(number: number, what: string): null {
    if (this.file.submission !== undefined) {
      throw new DataError(`${this.path}, line ${number}: ${what}, but a prediction is wanted for every row`);
    }
    this.leftOut.push(number);
    return null;
  }

  #labelOf(written: string): string | undefined {
    if (this.task.labels !== "regression") return this.#spellings.get(written);
    return written !== "" && Number.isFinite(Number(written)) ? written : undefined;
  }

  #unknownLabel(written: string, number: number): string {
    const { name, labels, writtenLabels = labels } = this.task;
    const expected = labels === "regression" ? "a number" : `a label of ${name} (${[...writtenLabels].join(", ")})`;
    return `${this.path}, line ${number}: the label ${JSON.stringify(written.slice(0, 80))} is not ${expected}`;
  }
}

function noticeOf(path: string, lines: readonly number[]): string | null {
  const [first, ...others] = lines;
  if (first === undefined) return null;
  if (others.length === 0) return `${path}: a broken row was left out (line ${first})`;
  const shown = lines.slice(0, 5).join(", ") + (lines.length > 5 ? ", ..." : "");
  return `${path}: ${lines.length} broken rows were left out (lines ${shown})`;
}
