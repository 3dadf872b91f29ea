// The zip container of torch.save: where its records lie in the file. All are stored as they are, none is compressed.
//
// The format: PKWARE's APPNOTE 6.3.9, sections 4.3 and 4.5.3 (zip64), as PyTorch's `PyTorchStreamWriter` writes it.

import type { ByteFile } from "./byte_file.ts";
import { quoteName } from "./shown.ts";

/** Where a record's bytes lie. */
export interface ZipRecord {
  readonly byteOffset: number;
  readonly byteLength: number;
}

/** Throws an error that names the file and says `reason`. */
export type Fail = (reason: string) => never;

interface Directory {
  readonly offset: number;
  readonly bytes: Uint8Array;
  readonly count: number;
}

interface DirectoryEntry extends ZipRecord {
  readonly name: string;
  readonly headerOffset: number;
}

/** What a zip file begins with. */
export const zipSignature = 0x04034b50;

const entrySignature = 0x02014b50;
const endSignature = 0x06054b50;
const end64Signature = 0x06064b50;
const locator64Signature = 0x07064b50;

const headerBytes = 30;
const entryBytes = 46;
const endBytes = 22;
const end64Bytes = 56;
const locator64Bytes = 20;
const maxCommentBytes = 0xffff;
const maxDirectoryBytes = 1 << 24;

const isEncrypted = 1;
const inExtra = 0xffffffff;
const extra64 = 1;

/** The records by name. They lie inside the file and none overlaps another. */
export function readZipRecords(file: ByteFile, fail: Fail): Map<string, ZipRecord> {
  const directory = readDirectory(file, fail);
  const records = new Map<string, ZipRecord>();
  let end = 0;
  for (const entry of parseEntries(directory, fail).sort((a, b) => a.headerOffset - b.headerOffset)) {
    const { name, headerOffset, byteLength } = entry;
    if (records.has(name)) fail(`it has two records ${quoteName(name)}`);
    if (headerOffset < end) fail(`the record ${quoteName(name)} overlaps another`);
    const byteOffset = dataOffset(file, entry, directory.offset, fail);
    end = byteOffset + byteLength;
    if (end > directory.offset) fail(`the record ${quoteName(name)} reaches beyond the records`);
    records.set(name, { byteOffset, byteLength });
  }
  return records;
}

function dataOffset(file: ByteFile, { name, headerOffset }: DirectoryEntry, limit: number, fail: Fail): number {
  if (headerOffset + headerBytes > limit) fail(`the record ${quoteName(name)} begins beyond the records`);
  const header = viewOf(file.bytes(headerOffset, headerBytes));
  if (header.getUint32(0, true) !== zipSignature) fail(`the record ${quoteName(name)} has no header`);
  return headerOffset + headerBytes + header.getUint16(26, true) + header.getUint16(28, true);
}

function readDirectory(file: ByteFile, fail: Fail): Directory {
  const tailOffset = Math.max(0, file.size - endBytes - maxCommentBytes);
  const tail = viewOf(file.bytes(tailOffset, file.size));
  const at = findEnd(tail);
  if (at === undefined) return fail("the end of the zip file is missing (is it truncated?)");
  const isLarge = at >= locator64Bytes && tail.getUint32(at - locator64Bytes, true) === locator64Signature;
  const [count, size, offset] = isLarge
    ? readEnd64(file, number64(tail, at - locator64Bytes + 8), fail)
    : [tail.getUint16(at + 10, true), tail.getUint32(at + 12, true), tail.getUint32(at + 16, true)] as const;
  if (size > maxDirectoryBytes) fail(`its directory claims ${size} bytes, at most ${maxDirectoryBytes} can be`);
  if (offset + size > tailOffset + at) fail("its directory reaches beyond the end of the zip file");
  return { offset, bytes: file.bytes(offset, size), count };
}

// The last place from which the end record with its comment fills the file.
function findEnd(tail: DataView): number | undefined {
  for (let at = tail.byteLength - endBytes; at >= 0; at--) {
    const isEnd = tail.getUint32(at, true) === endSignature &&
      at + endBytes + tail.getUint16(at + 20, true) === tail.byteLength;
    if (isEnd) return at;
  }
  return undefined;
}

function readEnd64(file: ByteFile, at: number, fail: Fail): readonly [count: number, size: number, offset: number] {
  if (at + end64Bytes > file.size) fail("the zip64 end record lies beyond the file");
  const end = viewOf(file.bytes(at, end64Bytes));
  if (end.getUint32(0, true) !== end64Signature) fail("the zip64 end record is missing");
  return [number64(end, 32), number64(end, 40), number64(end, 48)];
}

function parseEntries({ bytes, count }: Directory, fail: Fail): DirectoryEntry[] {
  const entries: DirectoryEntry[] = [];
  let at = 0;
  while (at < bytes.length) {
    const [entry, end] = parseEntry(bytes, at, fail);
    entries.push(entry);
    at = end;
  }
  if (entries.length !== count) fail(`its directory has ${entries.length} records where it claims ${count}`);
  return entries;
}

function parseEntry(bytes: Uint8Array, at: number, fail: Fail): [DirectoryEntry, end: number] {
  const view = viewOf(bytes.subarray(at));
  if (view.byteLength < entryBytes || view.getUint32(0, true) !== entrySignature) fail("its directory is damaged");
  const [nameEnd, extraBytes, commentBytes] = [
    entryBytes + view.getUint16(28, true),
    view.getUint16(30, true),
    view.getUint16(32, true),
  ];
  const extraEnd = nameEnd + extraBytes;
  if (extraEnd + commentBytes > view.byteLength) fail("its directory is truncated");
  const name = new TextDecoder().decode(bytes.subarray(at + entryBytes, at + nameEnd));
  const long = longFields(bytes.subarray(at + nameEnd, at + extraEnd));
  const field = (offset: number): number => {
    const value = view.getUint32(offset, true);
    return value === inExtra ? long.shift() ?? fail(`the record ${quoteName(name)} lacks its zip64 sizes`) : value;
  };
  const [byteLength, storedLength, headerOffset] = [field(24), field(20), field(42)];
  if ((view.getUint16(8, true) & isEncrypted) !== 0) fail(`the record ${quoteName(name)} is encrypted`);
  if (view.getUint16(10, true) !== 0 || storedLength !== byteLength) {
    fail(`the record ${quoteName(name)} is compressed, which torch.save does not do`);
  }
  return [{ name, byteLength, headerOffset, byteOffset: 0 }, at + extraEnd + commentBytes];
}

// The 8-byte sizes and offset of an entry's zip64 field, in their order.
function longFields(extra: Uint8Array): number[] {
  const view = viewOf(extra);
  for (let at = 0; at + 4 <= extra.length;) {
    const [id, length] = [view.getUint16(at, true), view.getUint16(at + 2, true)];
    const fits = Math.min(length, extra.length - at - 4);
    if (id === extra64) return Array.from({ length: fits >> 3 }, (_, index) => number64(view, at + 4 + 8 * index));
    at += 4 + length;
  }
  return [];
}

// Numbers too large to be exact are larger than any file, which is all that is asked of them.
function number64(view: DataView, at: number): number {
  return Number(view.getBigUint64(at, true));
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
