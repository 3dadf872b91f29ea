// Tables of text from TSV, CSV, JSONL and Parquet files: named columns, every row whole, and its line for error messages.
import { CsvError, parse } from "npm:csv-parse@7.0.3/sync";
import { DataError } from "../errors.ts";

/** A table read whole. Every row has every column, but for those that are unread. */
export interface Table {
  readonly path: string;
  readonly columns: readonly string[];
  readonly rows: readonly Readonly<Record<string, string>>[];
  /** The line of the file, or where it has none the row, at which each row begins; counted from 1. */
  readonly lines: readonly number[];
  /** What `lines` counts. Default `line`. */
  readonly unit?: "line" | "row";
  /** Columns that are not in the rows, and why: only Parquet has what is no text. */
  readonly unread?: ReadonlyMap<string, string>;
  /** Of columns whose values are names of classes, all names in the order of their ids. */
  readonly classNames?: ClassNames;
}

/** Names of classes in the order of their ids, by the name of the column that holds them. */
export type ClassNames = ReadonlyMap<string, readonly string[]>;

/** What is read of a Parquet file; the other formats are read whole. */
export interface TableOptions {
  /** The columns to read. Default: all. */
  readonly columns?: readonly string[] | undefined;
  /** The class names of columns that the file itself has none for. */
  readonly classNames?: ClassNames | undefined;
}

/**
 * Reads a table, by the file's extension:
 *
 * - `.tsv`: tab-separated with a header, quotes are literal (as in GLUE's files).
 * - `.csv`: comma-separated with a header, quoted as in RFC 4180, fields may hold line breaks.
 * - `.jsonl`: an object a line; its values are strings, numbers or booleans, and every object has the same keys.
 * - `.parquet`: strings, numbers, booleans, and the class labels of Hugging Face's `datasets` by their names.
 *
 * All text is UTF-8, with or without a byte-order mark. Lines end in `\n` or `\r\n` (which becomes `\n` also inside a
 * field); blank lines are skipped.
 *
 * @throws {DataError} when the file cannot be read, is empty or has no rows, or a row does not fit the columns
 */
export async function readTable(path: string, options: TableOptions = {}): Promise<Table> {
  const extension = extensionOf(path);
  if (extension === ".parquet") return (await import("./parquet.ts")).readParquet(path, options);
  const read = readers.get(extension);
  if (!read) {
    throw new DataError(
      `${path} is not a table that can be read: its name must end in .tsv, .csv, .jsonl or .parquet`,
    );
  }
  const text = await readText(path);
  if (text.trim() === "") throw new DataError(`${path} is empty`);
  const table = read(text, path);
  if (table.rows.length === 0) throw new DataError(`${path} has a header but no rows`);
  return table;
}

/** Whether a file's name ends as that of a table. */
export function isTableName(path: string): boolean {
  return extensionOf(path) === ".parquet" || readers.has(extensionOf(path));
}

function extensionOf(path: string): string {
  return /\.[^./\\]*$/.exec(path)?.[0].toLowerCase() ?? "";
}

const readers: ReadonlyMap<string, (text: string, path: string) => Table> = new Map([
  [".tsv", (text, path) => readSeparated(text, path, "\t")],
  [".csv", (text, path) => readSeparated(text, path, ",")],
  [".jsonl", readJsonLines],
]);

/** The text of a file of UTF-8, without a byte-order mark. Throws {@linkcode DataError}. */
export async function readText(path: string): Promise<string> {
  let bytes: Uint8Array;
  try {
    bytes = await Deno.readFile(path);
  } catch (cause) {
    throw unreadable(path, cause);
  }
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new DataError(`${path} is not UTF-8 text; convert it first`, { cause });
  }
}

function readSeparated(text: string, path: string, delimiter: "\t" | ","): Table {
  const { records, lines } = parseRecords(text, path, delimiter);
  const [columns = [], ...filled] = records;
  requireDistinct(columns, path);
  const rows = filled.map((record, index) => {
    if (record.length !== columns.length) {
      const values = record.length === 1 ? "1 value" : `${record.length} values`;
      throw new DataError(
        `${path}, line ${lines[index + 1]}: ${values} where the header names ${columns.length} columns`,
      );
    }
    return Object.fromEntries(columns.map((column, at) => [column, record[at] ?? ""]));
  });
  return { path, columns, rows, lines: lines.slice(1) };
}

/** All records, the header too, each with the line that it begins at. */
function parseRecords(text: string, path: string, delimiter: "\t" | ","): { records: string[][]; lines: number[] } {
  const lines: number[] = [];
  let carriageReturns = 0;
  try {
    const records = parse(text.replaceAll("\r\n", "\n"), {
      delimiter,
      quote: delimiter === "\t" ? null : '"',
      record_delimiter: "\n",
      relax_column_count: true,
      skip_empty_lines: true,
      on_record: (record: string[], context) => {
        // The parser counts up to the record's last line, and takes every carriage return for a line break.
        carriageReturns += count(record, "\r");
        lines.push(context.lines - carriageReturns - count(record, "\n"));
        return record;
      },
    });
    return { records, lines };
  } catch (cause) {
    if (!(cause instanceof CsvError)) throw cause;
    const reason = cause.code === "CSV_QUOTE_NOT_CLOSED"
      ? `a quote that is opened after line ${lines.at(-1) ?? 0} is never closed`
      : cause.message;
    throw new DataError(`${path} is not valid CSV: ${reason}`, { cause });
  }
}

function count(record: readonly string[], character: string): number {
  return record.reduce((sum, field) => sum + field.split(character).length - 1, 0);
}

/** Throws {@linkcode DataError} when two columns have the same name. */
export function requireDistinct(columns: readonly string[], path: string): void {
  const repeated = columns.find((column, index) => columns.indexOf(column) !== index);
  if (repeated !== undefined) throw new DataError(`${path} has two columns named ${JSON.stringify(repeated)}`);
}

function readJsonLines(text: string, path: string): Table {
  const numbered = text.split("\n").map((line, index) => ({ line, number: index + 1 }));
  const filled = numbered.filter(({ line }) => line.trim() !== "");
  const rows = filled.map(({ line, number }) => parseJsonRow(line, `${path}, line ${number}`));
  const columns = Object.keys(rows[0] ?? {});
  rows.forEach((row, index) => requireSameColumns(row, columns, `${path}, line ${filled[index]?.number}`));
  return { path, columns, rows, lines: filled.map(({ number }) => number) };
}

function parseJsonRow(line: string, where: string): Record<string, string> {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (cause) {
    throw new DataError(`${where}: not valid JSON`, { cause });
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new DataError(`${where}: not a JSON object`);
  }
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => {
      if (["string", "number", "boolean"].includes(typeof item)) return [key, String(item)];
      const kind = item === null ? "null" : Array.isArray(item) ? "a list" : "an object";
      throw new DataError(`${where}: ${JSON.stringify(key)} is ${kind}, not a string, number or boolean`);
    }),
  );
}

function requireSameColumns(row: Record<string, string>, columns: readonly string[], where: string): void {
  const missing = columns.find((column) => !Object.hasOwn(row, column));
  if (missing !== undefined) throw new DataError(`${where}: ${JSON.stringify(missing)} is missing`);
  const extra = Object.keys(row).find((key) => !columns.includes(key));
  if (extra !== undefined) throw new DataError(`${where}: ${JSON.stringify(extra)} is not in the first line`);
}

/** The error for a file that could not be opened or read. */
export function unreadable(path: string, cause: unknown): DataError {
  if (cause instanceof Deno.errors.NotFound) return new DataError(`${path} does not exist`, { cause });
  return new DataError(`${path} cannot be read: ${cause instanceof Error ? cause.message : cause}`, { cause });
}
