// The pages of a Parquet column without nesting: decompressed, decoded, and their values handed on as text.
import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from "node:zlib";
import { type CompressionCodec, type PageHeader, type SchemaElement, snappyUncompress } from "npm:hyparquet@1.31.5";
import { parquetHeader } from "npm:hyparquet@1.31.5/src/column.js";
import { deltaBinaryUnpack, deltaLengthByteArray } from "npm:hyparquet@1.31.5/src/delta.js";
import { byteStreamSplit } from "npm:hyparquet@1.31.5/src/encoding.js";
import { readPlain } from "npm:hyparquet@1.31.5/src/plain.js";
import { messageLength } from "./thrift.ts";

/** A column's part in one row group, and how its values are read. */
export interface ColumnChunk {
  /** All its pages, as they are in the file. */
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly element: SchemaElement;
  readonly codec: CompressionCodec;
  /** The rows of its group. */
  readonly rows: number;
  /** The text of a value; null where it stands for no value. */
  readonly read: (value: unknown) => string | null;
}

/** Says that so many bytes will be decompressed; throws when that is out of proportion to the file. */
export type Spend = (bytes: number) => void;

interface Page {
  readonly bytes: Uint8Array;
  readonly encoding: string;
  /** Which of the page's rows have a value; null when all have. */
  readonly present: Uint32Array | null;
  readonly rows: number;
}

/**
 * The texts of a chunk's rows, null where there is no value. Throws an ordinary error where the chunk is damaged.
 *
 * Levels and dictionary indices are decoded here: hyparquet, which reads the rest, believes the lengths of runs.
 */
export function readChunk(chunk: ColumnChunk, spend: Spend): (string | null)[] {
  let offset = 0;
  const texts: (string | null)[] = [];
  let dictionary: (string | null)[] = [];
  while (texts.length < chunk.rows) {
    const { header, length } = readHeader(chunk.bytes, offset);
    const start = offset + length;
    const bytes = chunk.bytes.subarray(
      start,
      start + checkedSize(header.compressed_page_size, chunk.bytes.length - start),
    );
    offset = start + bytes.length;
    if (header.type === "INDEX_PAGE") continue;
    spend(header.uncompressed_page_size);
    if (header.type === "DICTIONARY_PAGE") {
      dictionary = readDictionary(bytes, header, chunk);
    } else {
      for (const text of readPage(openPage(bytes, header, chunk), dictionary, chunk)) texts.push(text);
    }
    if (texts.length > chunk.rows) throw new Error(`a column has more values than the ${chunk.rows} rows of its group`);
  }
  return texts;
}

function readHeader(chunk: Uint8Array<ArrayBuffer>, from: number): { header: PageHeader; length: number } {
  if (from === chunk.length) throw new Error("a column ends before its last row");
  const length = messageLength(chunk, from);
  return { header: parquetHeader({ view: viewOf(chunk.subarray(from, from + length)), offset: 0 }), length };
}

function readDictionary(bytes: Uint8Array, header: PageHeader, chunk: ColumnChunk): (string | null)[] {
  const page = decompress(bytes, chunk.codec, header.uncompressed_page_size);
  const count = checkedSize(header.dictionary_page_header?.num_values, page.length);
  return readEncoded(page, "PLAIN", count, chunk.element).map(chunk.read);
}

function openPage(bytes: Uint8Array, header: PageHeader, chunk: ColumnChunk): Page {
  if (header.type === "DATA_PAGE_V2") return openPageV2(bytes, header, chunk);
  const { num_values, encoding, definition_level_encoding } = header.data_page_header ?? {};
  const rows = checkedSize(num_values, chunk.rows);
  const page = decompress(bytes, chunk.codec, header.uncompressed_page_size);
  if (!isNullable(chunk.element)) return { bytes: page, encoding: String(encoding), present: null, rows };
  if (definition_level_encoding !== "RLE") throw new Error(`levels are encoded as ${definition_level_encoding}`);
  const { runs, rest } = prefixed(page);
  return { bytes: rest, encoding: String(encoding), present: readRuns(runs, 1, rows), rows };
}

function openPageV2(bytes: Uint8Array, header: PageHeader, { element, codec, rows: most }: ColumnChunk): Page {
  const page = header.data_page_header_v2;
  const rows = checkedSize(page?.num_values, most);
  checkedSize(page?.repetition_levels_byte_length, 0);
  const levels = checkedSize(page?.definition_levels_byte_length, bytes.length);
  const values = bytes.subarray(levels);
  const size = header.uncompressed_page_size - levels;
  return {
    bytes: page?.is_compressed === false ? values : decompress(values, codec, size),
    encoding: String(page?.encoding),
    present: isNullable(element) ? readRuns(bytes.subarray(0, levels), 1, rows) : null,
    rows,
  };
}

function isNullable({ repetition_type }: SchemaElement): boolean {
  return repetition_type !== "REQUIRED";
}

function readPage(
  { bytes, encoding, present, rows }: Page,
  dictionary: readonly (string | null)[],
  { element, read }: ColumnChunk,
): (string | null)[] {
  const count = present ? present.reduce((sum, isThere) => sum + isThere, 0) : rows;
  const texts = encoding === "RLE_DICTIONARY" || encoding === "PLAIN_DICTIONARY"
    ? lookUp(bytes, count, dictionary)
    : readEncoded(bytes, encoding, count, element).map(read);
  if (texts.length !== count) throw new Error(`a page holds ${texts.length} values where ${count} are announced`);
  if (!present) return texts;
  let next = 0;
  return Array.from(present, (isThere) => isThere ? texts[next++] ?? null : null);
}

function lookUp(bytes: Uint8Array, count: number, dictionary: readonly (string | null)[]): (string | null)[] {
  if (count === 0) return [];
  const ids = readRuns(bytes.subarray(1), checkedSize(bytes[0], 32), count);
  return Array.from(ids, (id) => {
    const text = dictionary[id];
    if (text === undefined) throw new Error(`a value is number ${id} of a dictionary of ${dictionary.length}`);
    return text;
  });
}

function readEncoded(bytes: Uint8Array, encoding: string, count: number, element: SchemaElement): unknown[] {
  const { type, type_length } = element;
  const reader = { view: viewOf(bytes), offset: 0 };
  if (type === undefined) throw new Error("a column has no type");
  switch (encoding) {
    case "PLAIN":
      return Array.from<unknown>(readPlain(reader, type, count, type_length));
    case "RLE":
      return Array.from(readRuns(prefixed(bytes).runs, 1, count), Boolean);
    case "BYTE_STREAM_SPLIT":
      return Array.from<unknown>(byteStreamSplit(reader, count, type, type_length));
    case "DELTA_BINARY_PACKED": {
      const values = type === "INT32" ? new Int32Array(count) : new BigInt64Array(count);
      if (count > 0) deltaBinaryUnpack(reader, count, values);
      return Array.from<unknown>(values);
    }
    case "DELTA_LENGTH_BYTE_ARRAY": {
      const values = new Array<Uint8Array>(count);
      if (count > 0) deltaLengthByteArray(reader, count, values);
      return values;
    }
  }
  throw new Error(`values are encoded as ${encoding}, which is not known here: write the file with another encoding`);
}

/** Runs behind a length of 4 bytes, and what follows them. */
function prefixed(bytes: Uint8Array): { runs: Uint8Array; rest: Uint8Array } {
  const length = checkedSize(viewOf(bytes).getUint32(0, true), bytes.length - 4);
  return { runs: bytes.subarray(4, 4 + length), rest: bytes.subarray(4 + length) };
}

// Parquet's hybrid of run lengths and bit packing, for numbers of `width` bits.
function readRuns(bytes: Uint8Array, width: number, count: number): Uint32Array {
  const values = new Uint32Array(count);
  let offset = 0;
  const next = (): number => {
    const byte = bytes[offset++];
    if (byte === undefined) throw new Error("a page ends inside a run of values");
    return byte;
  };
  for (let filled = 0; width > 0 && filled < count;) {
    const header = readVarint(next);
    const length = Math.min((header >>> 1) * (header % 2 === 1 ? 8 : 1), count - filled);
    if (header % 2 === 1) {
      unpackBits(values.subarray(filled, filled + length), next, width);
      offset += Math.floor(((header >>> 1) * 8 - length) * width / 8);
    } else {
      let value = 0;
      for (let shift = 0; shift < width; shift += 8) value += next() * 2 ** shift;
      values.fill(value, filled, filled + length);
    }
    filled += length;
  }
  return values;
}

function readVarint(next: () => number): number {
  let value = 0;
  for (let shift = 0; shift < 32; shift += 7) {
    const byte = next();
    value += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) return value >>> 0;
  }
  throw new Error("the length of a run never ends");
}

function unpackBits(values: Uint32Array, next: () => number, width: number): void {
  let byte = 0;
  let left = 0;
  for (const index of values.keys()) {
    let value = 0;
    for (let got = 0; got < width;) {
      if (left === 0) [byte, left] = [next(), 8];
      const take = Math.min(left, width - got);
      value += (byte & (2 ** take - 1)) * 2 ** got;
      byte >>>= take;
      left -= take;
      got += take;
    }
    values[index] = value;
  }
}

// A copy in snappy's format is at most 64 bytes for at least 2.
const mostOfSnappy = 32;

function decompress(bytes: Uint8Array, codec: CompressionCodec, size: number): Uint8Array {
  const page = decompressed(bytes, codec, size);
  if (page.length !== size) throw new Error(`a page has ${page.length} bytes where ${size} are announced`);
  return page;
}

function decompressed(bytes: Uint8Array, codec: CompressionCodec, size: number): Uint8Array {
  const most = { maxOutputLength: Math.max(1, size) };
  switch (codec) {
    case "UNCOMPRESSED":
      return bytes;
    case "SNAPPY": {
      const page = new Uint8Array(checkedSize(size, mostOfSnappy * bytes.length));
      if (size > 0) snappyUncompress(bytes, page);
      return page;
    }
    case "GZIP":
      return gunzipSync(bytes, most);
    case "ZSTD":
      return zstdDecompressSync(bytes, most);
    case "BROTLI":
      return brotliDecompressSync(bytes, most);
  }
  throw new Error(`it is compressed with ${codec}: write it with snappy, gzip, zstd, brotli or no compression`);
}

function checkedSize(size: number | undefined, most: number): number {
  if (size !== undefined && Number.isInteger(size) && size >= 0 && size <= most) return size;
  throw new Error(`a page announces ${size} where at most ${most} can be`);
}

function viewOf({ buffer, byteOffset, byteLength }: Uint8Array): DataView<ArrayBuffer> {
  return new DataView(buffer as ArrayBuffer, byteOffset, byteLength);
}
