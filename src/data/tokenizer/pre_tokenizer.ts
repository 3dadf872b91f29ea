// The `pre_tokenizer` of a tokenizer.json: how a normalized text is cut into the words that its model splits further.

import { deepestNesting, described, field, type Fields, fieldsOf, flag, list, text, typeOf } from "./fields.ts";
import { readPattern } from "./patterns.ts";
import { numberClass, punctuationClass, spaceClass, wordClass } from "./unicode.ts";

/** A part of a text, and whether the text begins with it. */
export interface Piece {
  readonly text: string;
  readonly isFirst: boolean;
}

/** Cuts a piece into smaller ones, none of them empty. */
export type PreTokenizer = (piece: Piece) => readonly Piece[];

const what = "its pre_tokenizer";

/** @throws {Error} when the section is not one of the known pre-tokenizers */
export function readPreTokenizer(section: unknown, depth = 0): PreTokenizer {
  if (section === undefined || section === null) return (piece) => [piece];
  const fields = fieldsOf(section, what);
  const type = typeOf(fields, what);
  switch (type) {
    case "BertPreTokenizer":
      return bertPreTokenizer;
    case "WhitespaceSplit":
      return (piece) => cut(piece, spaces, "Removed");
    case "Whitespace":
      return (piece) => cut(piece, words, "Removed", true);
    case "Metaspace":
      return metaspace(fields);
    case "ByteLevel":
      return byteLevel(fields);
    case "Punctuation":
      return cutter(new RegExp(`[${punctuationClass}]`, "gu"), fields, "Isolated");
    case "Digits":
      return digits(fields);
    case "Split":
      return cutter(readPattern(field(fields, "pattern"), what), fields, "Removed");
    case "Sequence": {
      if (depth === deepestNesting) throw new Error(`${what} is nested too deep`);
      const steps = list(fields, "pretokenizers", what).map((step) => readPreTokenizer(step, depth + 1));
      return (piece) => steps.reduce<readonly Piece[]>((pieces, step) => pieces.flatMap(step), [piece]);
    }
    default:
      throw new Error(`${what} is a ${described(type)}, which is not known`);
  }
}

const spaces = new RegExp(spaceClass, "gu");
const words = new RegExp(`[${wordClass}]+|[^${wordClass}${spaceClass}]+`, "gu");
const numbers = new RegExp(`[${numberClass}]`, "gu");
const bertWords = new RegExp(`[${punctuationClass}]|[^${punctuationClass}${spaceClass}]+`, "gu");

function bertPreTokenizer(piece: Piece): readonly Piece[] {
  return cut(piece, bertWords, "Removed", true);
}

function digits(fields: Fields): PreTokenizer {
  const behavior = flag(fields, "individual_digits", what, false) ? "Isolated" : "Contiguous";
  return (piece) => cut(piece, numbers, behavior);
}

/** What becomes of what a pattern matches: the names are those of the Rust implementation. */
type Behavior = "Removed" | "Isolated" | "MergedWithPrevious" | "MergedWithNext" | "Contiguous";

const behaviors: readonly Behavior[] = ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"];

function cutter(pattern: RegExp, fields: Fields, orElse: Behavior): PreTokenizer {
  const named = text(fields, "behavior", what, orElse);
  const behavior = behaviors.find((name) => name === named);
  if (!behavior) throw new Error(`${what} has the unknown behavior ${described(named)}`);
  const invert = flag(fields, "invert", what, false);
  return (piece) => cut(piece, pattern, behavior, invert);
}

/** Cuts where the pattern matches; `invert` takes what lies between the matches for the matches. */
function cut(piece: Piece, pattern: RegExp, behavior: Behavior, invert = false): readonly Piece[] {
  const spans: Span[] = [];
  let end = 0;
  for (const { 0: match, index } of piece.text.matchAll(pattern)) {
    if (match === "") continue;
    if (index > end) spans.push({ start: end, end: index, matches: invert });
    end = index + match.length;
    spans.push({ start: index, end, matches: !invert });
  }
  if (end < piece.text.length) spans.push({ start: end, end: piece.text.length, matches: invert });
  return joined(spans, behavior).map(({ start, end }) => ({
    text: piece.text.slice(start, end),
    isFirst: piece.isFirst && start === 0,
  }));
}

interface Span {
  readonly start: number;
  readonly end: number;
  readonly matches: boolean;
}

function joined(spans: readonly Span[], behavior: Behavior): readonly Span[] {
  if (behavior === "Removed") return spans.filter((span) => !span.matches);
  if (behavior === "Isolated") return spans;
  const kept: Span[] = [];
  for (const span of spans) {
    const last = kept.at(-1);
    if (last && goTogether(last, span, behavior)) kept[kept.length - 1] = { ...span, start: last.start };
    else kept.push(span);
  }
  return kept;
}

function goTogether(last: Span, next: Span, behavior: Behavior): boolean {
  if (behavior === "Contiguous") return last.matches === next.matches;
  return behavior === "MergedWithPrevious" ? next.matches && !last.matches : last.matches && !next.matches;
}

function metaspace(fields: Fields): PreTokenizer {
  const mark = text(fields, "replacement", what, "\u2581");
  if ([...mark].length !== 1) throw new Error(`${what} replaces a space by ${mark.length} characters`);
  const scheme = flag(fields, "add_prefix_space", what, true)
    ? text(fields, "prepend_scheme", what, "always")
    : "never";
  if (!["always", "first", "never"].includes(scheme)) {
    throw new Error(`${what} has the unknown prepend_scheme ${described(scheme)}`);
  }
  const splits = flag(fields, "split", what, true);
  const marks = readPattern({ String: mark }, what);
  return (piece) => {
    const marked = piece.text.replaceAll(" ", () => mark);
    const prepends = scheme === "always" || (scheme === "first" && piece.isFirst);
    const whole = { ...piece, text: prepends && !marked.startsWith(mark) ? mark + marked : marked };
    return splits ? cut(whole, marks, "MergedWithNext") : [whole];
  };
}

const byteLevelWords =
  /'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\p{White_Space}\p{L}\p{N}]+|\p{White_Space}+(?!\P{White_Space})|\p{White_Space}+/gu;

/** What stands for each byte: itself where it is printable, and the characters from U+0100 on for the others. */
const byteCharacters = byteAlphabet();

const encoder = new TextEncoder();

function byteLevel(fields: Fields): PreTokenizer {
  const adds = flag(fields, "add_prefix_space", what, true);
  const splits = flag(fields, "use_regex", what, true);
  return (piece) => {
    const whole = adds && !piece.text.startsWith(" ") ? { ...piece, text: " " + piece.text } : piece;
    const words = splits ? cut(whole, byteLevelWords, "Isolated") : [whole];
    return words.map((word) => ({ ...word, text: asBytes(word.text) }));
  };
}

function asBytes(text: string): string {
  let characters = "";
  for (const byte of encoder.encode(text)) characters += byteCharacters[byte] ?? "";
  return characters;
}

function byteAlphabet(): readonly string[] {
  let next = 256;
  return Array.from({ length: 256 }, (_, byte) => {
    const isPrintable = (byte > 32 && byte < 127) || (byte > 160 && byte < 256 && byte !== 173);
    return String.fromCharCode(isPrintable ? byte : next++);
  });
}
