// SentencePiece's compiled normalization: a double-array trie over UTF-8 that leads to replacement strings.

import { CheckpointError } from "../../errors.ts";

/** Longer than any replacement of Unicode's (U+FDFA has 33 bytes), and short enough to bound what a file can ask for. */
const longestReplacement = 256;

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const graphemes = new Intl.Segmenter("und", { granularity: "grapheme" });

/**
 * Reads a charsmap: the trie's size in bytes (uint32, little-endian), the trie (uint32 each), and the replacements, each
 * ended by NUL. The trie is Darts-clone's: a unit holds a label in its low byte, whether a value follows in bit 8, and
 * the offset to its children above.
 *
 * As the Rust implementation does it: a grapheme of fewer than six bytes is looked up whole, then each character by
 * itself; and of all keys that a part begins with, the shortest one's replacement stands for the whole part.
 *
 * @throws {Error} when the charsmap is too short for what it says
 */
export function precompiled(charsmap: Uint8Array): (text: string) => string {
  const { units, strings } = split(charsmap);
  const buffer = new Uint8Array(8);
  const replace = (part: string): string | undefined => {
    const { written } = encoder.encodeInto(part, buffer);
    const at = firstMatch(units, buffer.subarray(0, written));
    return at === undefined ? undefined : replacement(strings, at);
  };
  const normalizeGrapheme = (grapheme: string): string => {
    const whole = byteLength(grapheme) < 6 ? replace(grapheme) : undefined;
    if (whole !== undefined || grapheme.length === 1) return whole ?? grapheme;
    let normalized = "";
    for (const character of grapheme) normalized += replace(character) ?? character;
    return normalized;
  };
  const normalizeAll = (text: string): string => {
    let normalized = "";
    for (const { segment } of graphemes.segment(text)) normalized += normalizeGrapheme(segment);
    return normalized;
  };
  const leavesAscii = Array.from({ length: 95 }, (_, index) => replace(String.fromCharCode(32 + index)))
    .every((replaced) => replaced === undefined);
  return leavesAscii ? (text) => text.replace(beyondAscii, normalizeAll) : normalizeAll;
}

/** Everything that a printable ASCII character is a grapheme away from, with the neighbours it may be joined to. */
const beyondAscii = /[ -~]?[^ -~]+(?:[ -~][^ -~]+)*[ -~]?/g;

function split(charsmap: Uint8Array): { units: Uint32Array; strings: Uint8Array } {
  const view = new DataView(charsmap.buffer, charsmap.byteOffset, charsmap.byteLength);
  const size = charsmap.length < 4 ? NaN : view.getUint32(0, true);
  if (!(size >= 4 && size % 4 === 0 && size <= charsmap.length - 4)) {
    throw new Error(`its charsmap of ${charsmap.length} bytes has no room for a trie of ${size}`);
  }
  const units = Uint32Array.from({ length: size / 4 }, (_, index) => view.getUint32(4 + 4 * index, true));
  return { units, strings: charsmap.subarray(4 + size) };
}

/** The value of the shortest key that `bytes` begins with. */
function firstMatch(units: Uint32Array, bytes: Uint8Array): number | undefined {
  let at = childrenOf(units[0] ?? 0);
  for (const byte of bytes) {
    at ^= byte;
    const unit = units[at];
    if (byte === 0 || unit === undefined || (unit & 0x800000ff) >>> 0 !== byte) return undefined;
    at ^= childrenOf(unit);
    if ((unit >>> 8) & 1) return (units[at] ?? 0) & 0x7fffffff;
  }
  return undefined;
}

function childrenOf(unit: number): number {
  return (unit >>> 10) << ((unit & 0x200) >>> 6);
}

function replacement(strings: Uint8Array, at: number): string {
  const end = strings.subarray(at, at + longestReplacement).indexOf(0);
  if (end < 0 && at + longestReplacement < strings.length) {
    throw new CheckpointError(`the tokenizer's charsmap replaces a character by more than ${longestReplacement} bytes`);
  }
  return decoder.decode(end < 0 ? strings.subarray(at) : strings.subarray(at, at + end));
}

function byteLength(grapheme: string): number {
  if (grapheme.length >= 6) return 6;
  let length = 0;
  for (const character of grapheme) {
    const point = character.codePointAt(0) ?? 0;
    length += point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
  }
  return length;
}
