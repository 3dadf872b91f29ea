// The header of a safetensors file: parsed and validated in full before a byte of any tensor is read.
import { CheckpointError } from "../errors.ts";
import { isObject } from "./json_text.ts";
import { findRepeatedKey } from "./repeated_key.ts";
import { quoteName, show } from "./shown.ts";

/** Bytes of one element, in the order of alignment that the reference implementation sorts tensors by. */
export const dtypeSizes = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  I16: 2,
  F16: 2,
  BF16: 2,
  I32: 4,
  F32: 4,
  F64: 8,
  I64: 8,
} as const;

/** The element types that Fewtune reads and writes, by the format's own names. */
export type SafetensorsDtype = keyof typeof dtypeSizes;

/** Where one tensor lies: `byteOffset` counts from the start of the file, and the data is little-endian, row-major. */
export interface SafetensorsEntry {
  readonly dtype: SafetensorsDtype;
  readonly shape: readonly number[];
  readonly byteOffset: number;
  readonly byteLength: number;
}

/** What a header says: free text metadata, and the tensors in the order of their data. */
export interface SafetensorsHeader {
  readonly metadata: Readonly<Record<string, string>>;
  readonly tensors: ReadonlyMap<string, SafetensorsEntry>;
}

/** The key that holds the metadata, which therefore cannot name a tensor. */
export const metadataKey = "__metadata__";

/** The largest header the format allows, in bytes. */
export const maxHeaderBytes = 100_000_000;

/** Bytes in front of the header, which hold its length. */
export const prefixBytes = 8;

/**
 * Reads the header's JSON and checks it against the file that it describes: the tensors must fill the data part
 * exactly, one after the other.
 *
 * @param bytes the header alone, without the length in front of it
 * @param fileBytes size of the whole file
 * @param path names the file in errors
 * @throws {CheckpointError} when anything in it is wrong
 */
export function parseSafetensorsHeader(bytes: Uint8Array, fileBytes: number, path: string): SafetensorsHeader {
  const fail = (reason: string): never => {
    throw new CheckpointError(`${path} is not a valid safetensors file: ${reason}`);
  };
  const { [metadataKey]: metadata = {}, ...described } = parseObject(bytes, fail);
  const dataStart = prefixBytes + bytes.length;
  const entries = Object.entries(described)
    .map(([name, value]) => [name, parseEntry(name, value, dataStart, fail)] as const)
    .sort(([, a], [, b]) => a.byteOffset - b.byteOffset || a.byteLength - b.byteLength);
  requireContiguous(entries, dataStart, fileBytes, fail);
  return { metadata: parseMetadata(metadata, fail), tensors: new Map(entries) };
}

/** The number of elements of a tensor, or undefined where the shape is none or too large to count exactly. */
export function countElements(shape: readonly unknown[]): number | undefined {
  let count = 1;
  for (const size of shape) {
    if (!isCount(size)) return undefined;
    count *= size;
    if (!Number.isSafeInteger(count)) return undefined;
  }
  return count;
}

type Fail = (reason: string) => never;

function parseObject(bytes: Uint8Array, fail: Fail): Record<string, unknown> {
  if (bytes[0] !== "{".charCodeAt(0)) fail("its header does not begin with {");
  let text = "";
  let value: unknown;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    value = JSON.parse(text);
  } catch {
    fail("its header is not JSON");
  }
  const repeated = findRepeatedKey(text);
  if (repeated !== undefined) fail(`its header has the key ${quoteName(repeated)} twice`);
  return isObject(value) ? value : fail("its header is not a JSON object");
}

function parseMetadata(value: unknown, fail: Fail): Record<string, string> {
  if (!isObject(value)) return fail(`its ${metadataKey} is not an object`);
  for (const [key, text] of Object.entries(value)) {
    if (typeof text !== "string") fail(`its ${metadataKey} has a value that is not a string, under ${quoteName(key)}`);
  }
  return value as Record<string, string>;
}

function parseEntry(name: string, value: unknown, dataStart: number, fail: Fail): SafetensorsEntry {
  const where = `tensor ${quoteName(name)}`;
  if (!isObject(value)) return fail(`${where} is not described by an object`);
  const { dtype, shape, data_offsets: offsets } = value;
  if (!isDtype(dtype)) return fail(`${where} has the dtype ${show(dtype)}, known are ${Object.keys(dtypeSizes)}`);
  if (!Array.isArray(shape)) return fail(`${where} has the shape ${show(shape)}, which is not a list`);
  const elements = countElements(shape);
  if (elements === undefined) return fail(`${where} has the impossible shape ${show(shape)}`);
  if (!isOffsets(offsets)) return fail(`${where} has the impossible data_offsets ${show(offsets)}`);
  const [begin, end] = offsets;
  const byteLength = elements * dtypeSizes[dtype];
  if (end - begin !== byteLength) {
    fail(`${where} has ${end - begin} bytes of data where ${dtype} of shape ${show(shape)} needs ${byteLength}`);
  }
  return { dtype, shape, byteOffset: dataStart + begin, byteLength };
}

function requireContiguous(
  entries: readonly (readonly [string, SafetensorsEntry])[],
  dataStart: number,
  fileBytes: number,
  fail: Fail,
): void {
  let end = dataStart;
  for (const [name, entry] of entries) {
    if (entry.byteOffset < end) fail(`the data of tensor ${quoteName(name)} overlaps another tensor's`);
    if (entry.byteOffset > end) fail(`there is a hole in the data before tensor ${quoteName(name)}`);
    end += entry.byteLength;
  }
  if (end !== fileBytes) fail(`it has ${fileBytes} bytes where its header describes ${end} (is it truncated?)`);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) >= 0;
}

function isDtype(value: unknown): value is SafetensorsDtype {
  return typeof value === "string" && Object.hasOwn(dtypeSizes, value);
}

function isOffsets(value: unknown): value is [number, number] {
  return Array.isArray(value) && value.length === 2 && value.every(isCount);
}
