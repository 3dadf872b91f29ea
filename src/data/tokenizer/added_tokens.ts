// Tokens that are found in a text before its model sees it, such as `[SEP]` or `<mask>`.

import { described, field, type Fields, fieldsOf, flag, text } from "./fields.ts";
import type { Normalizer } from "./normalizer.ts";
import { wordClass } from "./unicode.ts";

/** A part of a text: what lies between added tokens, or one of them. */
export type Section = { readonly text: string; readonly start: number } | { readonly id: number };

/** Finds the added tokens of a text, as Rust's `AddedVocabulary` does: before normalization, and those marked so after. */
export interface AddedTokens {
  readonly ids: ReadonlyMap<string, number>;
  readonly inRaw: (text: string) => Section[];
  readonly inNormalized: (text: string) => Section[];
}

interface AddedToken {
  readonly id: number;
  readonly singleWord: boolean;
  readonly stripsLeft: boolean;
  readonly stripsRight: boolean;
}

/**
 * A token that the model's vocabulary has keeps that id; a new one gets the next free id, as the Rust implementation
 * counts, whatever the file says.
 *
 * @param section `added_tokens` of a tokenizer.json
 * @param vocabulary the model's tokens
 * @throws {Error} when it is not a list of tokens
 */
export function readAddedTokens(
  section: unknown,
  vocabulary: ReadonlyMap<string, number>,
  normalize: Normalizer,
): AddedTokens {
  const listed: unknown = section === undefined ? [] : section;
  if (!Array.isArray(listed)) throw new Error(`its added_tokens are not a list but ${described(section)}`);
  const ids = new Map<string, number>();
  const raw = new Map<string, AddedToken>();
  const normalized = new Map<string, AddedToken>();
  let next = vocabulary.size;
  for (const value of listed) {
    const fields = fieldsOf(value, "an added token");
    const content = text(fields, "content", "an added token");
    if (content === "") continue;
    const id = vocabulary.get(content) ?? ids.get(content) ?? next;
    next = Math.max(next, id + 1);
    ids.set(content, id);
    const isNormalized = flag(fields, "normalized", "an added token", field(fields, "special") !== true);
    const key = isNormalized ? normalize(content) : content;
    if (key !== "") (isNormalized ? normalized : raw).set(key, readToken(fields, id));
  }
  return { ids, inRaw: finder(raw), inNormalized: finder(normalized) };
}

function readToken(fields: Fields, id: number): AddedToken {
  const option = (name: string): boolean => flag(fields, name, "an added token", false);
  return { id, singleWord: option("single_word"), stripsLeft: option("lstrip"), stripsRight: option("rstrip") };
}

function finder(tokens: ReadonlyMap<string, AddedToken>): (text: string) => Section[] {
  if (tokens.size === 0) return (text) => text === "" ? [] : [{ text, start: 0 }];
  const find = longestMatches([...tokens.keys()]);
  return (text) => {
    const sections: Section[] = [];
    let done = 0;
    for (const { content, index } of find(text)) {
      const token = tokens.get(content);
      if (!token || (token.singleWord && !standsAlone(text, index, index + content.length))) continue;
      const start = token.stripsLeft ? Math.max(beforeSpaces(text, index), done) : index;
      if (start > done) sections.push({ text: text.slice(done, start), start: done });
      sections.push({ id: token.id });
      done = token.stripsRight ? afterSpaces(text, index + content.length) : index + content.length;
    }
    if (done < text.length) sections.push({ text: text.slice(done), start: done });
    return sections;
  };
}

interface Match {
  readonly content: string;
  readonly index: number;
}

/** From left to right, at each place the longest of the tokens that is there. */
function longestMatches(contents: readonly string[]): (text: string) => Iterable<Match> {
  const byFirst = new Map<string, string[]>();
  for (const content of contents.toSorted((a, b) => b.length - a.length)) {
    const first = content.charAt(0);
    const others = byFirst.get(first);
    if (others) others.push(content);
    else byFirst.set(first, [content]);
  }
  const starts = new RegExp(
    [...byFirst.keys()].map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`).join("|"),
    "g",
  );
  return function* (text): Iterable<Match> {
    for (let at = next(0); at >= 0;) {
      const content = byFirst.get(text.charAt(at))?.find((candidate) => text.startsWith(candidate, at));
      if (content !== undefined) yield { content, index: at };
      at = next(at + (content?.length ?? 1));
    }
    function next(from: number): number {
      starts.lastIndex = from;
      return starts.exec(text)?.index ?? -1;
    }
  };
}

const endsWithWord = new RegExp(`[${wordClass}]$`, "u");
const startsWithWord = new RegExp(`^[${wordClass}]`, "u");

function standsAlone(text: string, start: number, end: number): boolean {
  return !endsWithWord.test(text.slice(Math.max(0, start - 2), start)) &&
    !startsWithWord.test(text.slice(end, end + 2));
}

function beforeSpaces(text: string, index: number): number {
  while (index > 0 && isSpace(text.charAt(index - 1))) index--;
  return index;
}

function afterSpaces(text: string, index: number): number {
  while (index < text.length && isSpace(text.charAt(index))) index++;
  return index;
}

function isSpace(character: string): boolean {
  return /\p{White_Space}/u.test(character);
}
