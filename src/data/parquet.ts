// Parquet files as tables: the columns that can be text, and why the others cannot.
import {
  type CompressionCodec,
  type FileMetaData,
  parquetMetadata,
  parquetSchema,
  type RowGroup,
  type SchemaTree,
} from "npm:hyparquet@1.31.5";
import { DataError } from "../errors.ts";
import { readChunk, type Spend } from "./parquet_pages.ts";
import { classNamesOf, columnReader } from "./parquet_text.ts";
import { messageLength } from "./thrift.ts";
import { requireDistinct, type Table, type TableOptions, unreadable } from "./table.ts";

/**
 * Reads a Parquet file: strings, whole numbers, floats and booleans; ids of classes as the classes' names. A column of
 * another type, or with a row that has no value, is left out of the rows, and `unread` says why.
 *
 * What a file may take is bounded by its size, whatever it announces.
 *
 * @throws {DataError} when the file cannot be read, is damaged, or has no rows
 */
export async function readParquet(path: string, options: TableOptions = {}): Promise<Table> {
  using file = await openFile(path);
  try {
    return await readTable(file, path, options);
  } catch (cause) {
    if (cause instanceof DataError) throw cause;
    throw new DataError(`${path} cannot be read as Parquet: ${reasonOf(cause)}`, { cause });
  }
}

async function openFile(path: string): Promise<Deno.FsFile> {
  try {
    return await Deno.open(path);
  } catch (cause) {
    throw unreadable(path, cause);
  }
}

// What the readers stumble over in damaged bytes says nothing to a person.
function reasonOf(cause: unknown): string {
  if (cause instanceof RangeError || cause instanceof TypeError) return "it is damaged or cut off";
  return cause instanceof Error ? cause.message : String(cause);
}

interface OpenParquet {
  readonly file: Deno.FsFile;
  readonly size: number;
  readonly metadata: FileMetaData;
  readonly spend: Spend;
}

async function readTable(file: Deno.FsFile, path: string, options: TableOptions): Promise<Table> {
  const { size } = await file.stat();
  if (size === 0) throw new DataError(`${path} is empty`);
  const metadata = await readMetadata(file, size);
  const count = checkedRows(metadata, size);
  if (count === 0) throw new DataError(`${path} has no rows`);
  const { children } = parquetSchema(metadata);
  const columns = children.map(({ element }) => element.name);
  requireDistinct(columns, path);
  const classNames = new Map([...options.classNames ?? [], ...classNamesOf(metadata)]);
  const parquet = { file, size, metadata, spend: budget(size) };
  const unread = new Map<string, string>();
  const named = new Map<string, readonly string[]>();
  const read = new Map<string, readonly string[]>();
  for (const column of children) {
    const { name, type } = column.element;
    const names = type?.startsWith("INT") ? classNames.get(name) : undefined;
    const isWanted = options.columns?.includes(name) ?? true;
    const values = isWanted ? await readColumn(parquet, column, names) : "it was not read";
    if (typeof values === "string") unread.set(name, values);
    else read.set(name, values);
    if (names) named.set(name, names);
  }
  const numbers = Array.from({ length: count }, (_, index) => index + 1);
  return { path, columns, rows: rowsOf(read, count), lines: numbers, unit: "row", unread, classNames: named };
}

function rowsOf(columns: ReadonlyMap<string, readonly string[]>, count: number): Record<string, string>[] {
  const entries = [...columns];
  return Array.from(
    { length: count },
    (_, row) => Object.fromEntries(entries.map(([name, values]) => [name, values[row] ?? ""])),
  );
}

const magicBytes = 4;
const tailBytes = 8;

async function readMetadata(file: Deno.FsFile, size: number): Promise<FileMetaData> {
  if (size < magicBytes + tailBytes) throw new Error("it is too short for one");
  const tail = await readRange(file, size - tailBytes, tailBytes);
  if (new TextDecoder().decode(tail.subarray(magicBytes)) !== "PAR1") {
    throw new Error("it does not end as one: it is cut off, encrypted, or something else");
  }
  const length = new DataView(tail.buffer).getUint32(0, true) + tailBytes;
  if (length > size - magicBytes) throw new Error("its footer is longer than the file");
  const footer = await readRange(file, size - length, length);
  messageLength(footer.subarray(0, -tailBytes), 0);
  return parquetMetadata(footer, { geoparquet: false });
}

async function readRange(file: Deno.FsFile, from: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(length);
  await file.seek(from, Deno.SeekMode.Start);
  for (let read = 0; read < length;) {
    const more = await file.read(bytes.subarray(read));
    if (more === null) throw new Error("it became shorter while it was read");
    read += more;
  }
  return bytes;
}

// Rows of nothing but repeated values take hardly a bit each in the file.
const rowsAlways = 1e6;
const rowsPerByte = 64;

function checkedRows({ num_rows, row_groups }: FileMetaData, size: number): number {
  const count = row_groups.reduce((sum, { num_rows }) => sum + Number(num_rows), 0);
  if (count !== Number(num_rows)) throw new Error(`it announces ${num_rows} rows, its row groups ${count}`);
  if (row_groups.some(({ num_rows }) => num_rows < 0) || count > rowsAlways + rowsPerByte * size) {
    throw new Error(`it announces ${count} rows in ${size} bytes`);
  }
  return count;
}

const bytesAlways = 64 * 2 ** 20;
const bytesPerByte = 100;

function budget(size: number): Spend {
  let left = bytesAlways + bytesPerByte * size;
  return (bytes) => {
    left -= bytes;
    if (!(bytes >= 0 && left >= 0)) throw new Error(`it unpacks to more than ${bytesPerByte} times its ${size} bytes`);
  };
}

/** The column's texts, or why it cannot be read. */
async function readColumn(
  parquet: OpenParquet,
  column: SchemaTree,
  classNames: readonly string[] | undefined,
): Promise<readonly string[] | string> {
  const { element } = column;
  const { read, refused } = columnReader(column, classNames);
  if (refused !== undefined) return refused;
  const texts: string[] = [];
  for (const group of parquet.metadata.row_groups) {
    const { bytes, codec } = await readBytes(parquet, group, element.name);
    for (const text of readChunk({ bytes, codec, element, rows: Number(group.num_rows), read }, parquet.spend)) {
      if (text === null) return `row ${texts.length + 1} has no value in it`;
      texts.push(text);
    }
  }
  return texts;
}

async function readBytes(
  { file, size }: OpenParquet,
  group: RowGroup,
  name: string,
): Promise<{ bytes: Uint8Array<ArrayBuffer>; codec: CompressionCodec }> {
  const chunk = group.columns.find(({ meta_data }) => meta_data?.path_in_schema.join("\0") === name);
  if (!chunk?.meta_data || chunk.file_path) throw new Error(`the column ${JSON.stringify(name)} is not in it`);
  const { codec, dictionary_page_offset, data_page_offset, total_compressed_size } = chunk.meta_data;
  const start = Number(dictionary_page_offset || data_page_offset);
  const length = Number(total_compressed_size);
  if (!(start >= magicBytes && length >= 0 && start + length <= size - tailBytes)) {
    throw new Error(`the column ${JSON.stringify(name)} is said to be outside of it`);
  }
  return { bytes: await readRange(file, start, length), codec };
}
