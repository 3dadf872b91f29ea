// Characters as the Rust tokenizers see them: its crates know other versions of Unicode than JavaScript does.

import { accents, marks, newlyLowered, numbers, punctuation, removed, unnormalized, words } from "./unicode_tables.ts";

/** Unicode's White_Space, as a class for a regular expression: JavaScript's `\s` has U+FEFF and lacks U+0085. */
export const spaceClass = "\\p{White_Space}";

/** What BERT splits off, as a class for a regular expression. */
export const punctuationClass = decode(punctuation);

/** What `Digits` splits off, as a class for a regular expression. */
export const numberClass = decode(numbers);

/** What a word is made of, as a class for a regular expression. */
export const wordClass = decode(words);

const removable = new RegExp(`[${decode(removed)}]+`, "gu");
const accent = new RegExp(`[${decode(accents)}]+`, "gu");
const mark = new RegExp(`[${decode(marks)}]+`, "gu");
const newLowercase = new Map(newlyLowered.match(/../gu)?.map((pair) => [...pair] as [string, string]));
const newUppercase = new RegExp(`[${[...newLowercase.keys()].join("")}]`, "gu");
const runUnnormalized = new RegExp(`([${decode(unnormalized)}]+)`, "u");

/** Without control, format and private characters, NUL and U+FFFD; every kind of space becomes an ordinary one. */
export function cleanText(text: string): string {
  return text.replace(removable, "").replace(/[\t\n\r\p{Zs}\p{Zl}\p{Zp}]/gu, " ");
}

/** Without what `BertNormalizer` takes for an accent; the text is decomposed. */
export function withoutBertAccents(text: string): string {
  return normalize(text, "NFD").replace(accent, "");
}

/** Without combining marks, for `StripAccents`, which does not decompose. */
export function withoutMarks(text: string): string {
  return text.replace(mark, "");
}

/** Lowercase character by character: no Greek sigma becomes final. */
export function lowercase(text: string): string {
  if (/^[\0-\x7f]*$/.test(text)) return text.toLowerCase();
  return text.replace(newUppercase, (upper) => newLowercase.get(upper) ?? upper)
    .replaceAll("\u03a3", "\u03c3").toLowerCase();
}

/** A normalization form in which characters that are new since are left as they are, and where they are. */
export function normalize(text: string, form: "NFC" | "NFD" | "NFKC" | "NFKD"): string {
  if (/^[\0-\x7f]*$/.test(text)) return text;
  return text.split(runUnnormalized).map((part, index) => index % 2 === 1 ? part : part.normalize(form)).join("");
}

function decode(table: string): string {
  let next = 0;
  return table.split(" ").map((range) => {
    const [gap = "", more = "0"] = range.split(".");
    const first = next + parseInt(gap, 36);
    const last = first + parseInt(more, 36);
    next = last + 1;
    return `\\u{${first.toString(16)}}-\\u{${last.toString(16)}}`;
  }).join("");
}
