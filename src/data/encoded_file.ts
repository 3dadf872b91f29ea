// Encoded texts as bytes, with a checksum: what a cache keeps of a table.

import type { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import type { EncodedExample } from "./encode.ts";

/** A text or a pair of texts as numbers. */
export type EncodedText = Pick<EncodedExample, "inputIds" | "tokenTypeIds">;

const checksumBytes = 32;

/**
 * Packs texts as 32-bit integers in this machine's byte order: their number, the length of each, the ids of all, the
 * types of all. The SHA-256 of the key and of these follows.
 *
 * @param key what {@linkcode unpackTexts} has to be given to read them
 */
export function packTexts(texts: readonly EncodedText[], key: string): Uint8Array {
  const total = texts.reduce((sum, { inputIds }) => sum + inputIds.length, 0);
  const bytes = new Uint8Array(4 * (1 + texts.length + 2 * total) + checksumBytes);
  const words = new Int32Array(bytes.buffer, 0, (bytes.length - checksumBytes) / 4);
  words[0] = texts.length;
  let at = 1 + texts.length;
  texts.forEach(({ inputIds, tokenTypeIds }, index) => {
    words[1 + index] = inputIds.length;
    words.set(inputIds, at);
    words.set(tokenTypeIds, at + total);
    at += inputIds.length;
  });
  bytes.set(checksumOf(bytes, key), bytes.length - checksumBytes);
  return bytes;
}

/** The texts that {@linkcode packTexts} packed with this key; null when these bytes are something else, or damaged. */
export function unpackTexts(bytes: Uint8Array, key: string): EncodedText[] | null {
  if (bytes.length < 4 + checksumBytes || bytes.length % 4 !== 0) return null;
  if (!checksumOf(bytes, key).equals(bytes.subarray(-checksumBytes))) return null;
  const words = new Int32Array(bytes.buffer, bytes.byteOffset, (bytes.length - checksumBytes) / 4);
  const lengths = words.subarray(1, 1 + (words[0] ?? 0));
  const total = lengths.reduce((sum, length) => sum + length, 0);
  let at = 1 + lengths.length;
  return Array.from(lengths, (length) => {
    const [from, to] = [at, at += length];
    return { inputIds: words.subarray(from, to), tokenTypeIds: words.subarray(from + total, to + total) };
  });
}

function checksumOf(bytes: Uint8Array, key: string): Buffer {
  return createHash("sha256").update(key).update(bytes.subarray(0, -checksumBytes)).digest();
}
