// The `model` of a tokenizer.json: how a word is split into tokens, as ids.

import { BPE } from "npm:@huggingface/tokenizers@0.2.0";
import { described, field, type Fields, fieldsOf, flag, list, text, tokenId } from "./fields.ts";
import { unigram } from "./unigram.ts";

/** A vocabulary, and how a word becomes ids of it. */
export interface Model {
  readonly vocabulary: ReadonlyMap<string, number>;
  readonly split: (word: string) => readonly number[];
}

const what = "its model";

/** @throws {Error} when the section is not one of the known models, or its vocabulary is not one */
export function readModel(section: unknown): Model {
  const fields = fieldsOf(section, what);
  const type = field(fields, "type") ?? guess(fields);
  switch (type) {
    case "WordPiece":
      return wordPiece(fields);
    case "BPE":
      return bytePairs(fields);
    case "Unigram":
      return unigramModel(fields);
    default:
      throw new Error(`${what} is ${type === undefined ? "of no type" : `a ${described(type)}, which is not known`}`);
  }
}

/** Old files do not say the type. */
function guess(fields: Fields): string | undefined {
  if (Array.isArray(field(fields, "vocab"))) return "Unigram";
  if (Array.isArray(field(fields, "merges"))) return "BPE";
  return field(fields, "max_input_chars_per_word") === undefined ? undefined : "WordPiece";
}

function readVocabulary(fields: Fields): Map<string, number> {
  const entries = Object.entries(fieldsOf(field(fields, "vocab"), `${what}'s vocabulary`));
  if (entries.length === 0) throw new Error("its vocabulary is empty");
  return new Map(entries.map(([token, id]) => [token, tokenId(id, token)]));
}

/** Greedy: the longest token that the word begins with, and so on (Devlin et al., 2018). */
function wordPiece(fields: Fields): Model {
  const vocabulary = readVocabulary(fields);
  const unknown = idOf(vocabulary, text(fields, "unk_token", what, "[UNK]"));
  const prefix = text(fields, "continuing_subword_prefix", what, "##");
  const most = field(fields, "max_input_chars_per_word") ?? 100;
  if (typeof most !== "number") throw new Error(`${what} has max_input_chars_per_word ${described(most)}`);
  let longest = 0;
  for (const token of vocabulary.keys()) longest = Math.max(longest, token.length);
  const longestPiece = (word: string, start: number): [id: number, end: number] | undefined => {
    const before = start > 0 ? prefix : "";
    for (let end = Math.min(word.length, start + longest - before.length); end > start; end--) {
      const id = vocabulary.get(before + word.slice(start, end));
      if (id !== undefined) return [id, end];
    }
    return undefined;
  };
  const split = (word: string): readonly number[] => {
    if (countCharacters(word) > most) return [unknown];
    const ids: number[] = [];
    for (let start = 0; start < word.length;) {
      const piece = longestPiece(word, start);
      if (!piece) return [unknown];
      ids.push(piece[0]);
      start = piece[1];
    }
    return ids;
  };
  return { vocabulary, split };
}

function countCharacters(word: string): number {
  let count = 0;
  for (const _ of word) count++;
  return count;
}

function idOf(vocabulary: ReadonlyMap<string, number>, token: string): number {
  const id = vocabulary.get(token);
  if (id === undefined) throw new Error(`its vocabulary lacks the unknown token ${described(token)}`);
  return id;
}

/** Byte-pair encoding by the npm package, whose merging is right; what it is given and gives is set right around it. */
function bytePairs(fields: Fields): Model {
  const vocabulary = readVocabulary(fields);
  const merges = list(fields, "merges", what).map((merge) => readMerge(merge, vocabulary));
  const named = field(fields, "unk_token") ?? "";
  if (typeof named !== "string") throw new Error(`${what} has the unknown token ${described(named)}`);
  const unknown = named === "" ? undefined : named;
  if (unknown !== undefined) idOf(vocabulary, unknown);
  refuseRareOptions(fields);
  const inner = new BPE({
    type: "BPE",
    vocab: Object.fromEntries(vocabulary),
    merges,
    unk_token: unknown ?? null,
    fuse_unk: flag(fields, "fuse_unk", what, false),
    byte_fallback: flag(fields, "byte_fallback", what, false),
    ignore_merges: flag(fields, "ignore_merges", what, false),
  });
  const keeps = unknown !== undefined || inner.byte_fallback;
  const split = (word: string): readonly number[] => {
    const known = keeps ? word : [...word].filter((character) => vocabulary.has(character)).join("");
    return inner([known]).flatMap((token: string) => vocabulary.get(token) ?? []);
  };
  return { vocabulary, split };
}

function readMerge(merge: unknown, vocabulary: ReadonlyMap<string, number>): [string, string] {
  const pair = typeof merge === "string" ? merge.split(" ") : merge;
  if (Array.isArray(pair) && pair.length === 2) {
    const [left, right]: unknown[] = pair;
    if (typeof left === "string" && typeof right === "string") {
      for (const token of [left, right, left + right]) {
        if (!vocabulary.has(token)) throw new Error(`its vocabulary lacks ${described(token)}, which is merged`);
      }
      return [left, right];
    }
  }
  throw new Error(`${what} has a merge that is not of two tokens: ${described(merge)}`);
}

function refuseRareOptions(fields: Fields): void {
  for (const name of ["continuing_subword_prefix", "end_of_word_suffix"]) {
    const value = field(fields, name) ?? "";
    if (value !== "") throw new Error(`${what} has a ${name} (${described(value)}), which is not known of byte pairs`);
  }
}

function unigramModel(fields: Fields): Model {
  const pieces = list(fields, "vocab", what).map((entry) => readPiece(entry));
  const unknown = field(fields, "unk_id");
  if (typeof unknown !== "number" || !(unknown in pieces)) {
    throw new Error(`${what} has ${pieces.length} pieces and the unknown token ${described(unknown)}`);
  }
  return unigram(pieces, unknown, flag(fields, "byte_fallback", what, false));
}

function readPiece(entry: unknown): [piece: string, score: number] {
  const [piece, score]: unknown[] = Array.isArray(entry) ? entry : [];
  if (typeof piece === "string" && typeof score === "number" && Number.isFinite(score)) return [piece, score];
  throw new Error(`its vocabulary has a piece that is not a string and a number: ${described(entry)}`);
}
