// The `normalizer` of a tokenizer.json: what a text becomes before it is cut into words.

import { decodeBase64 } from "./base64.ts";
import { CheckpointError } from "../../errors.ts";
import { deepestNesting, described, field, type Fields, fieldsOf, flag, list, text, typeOf } from "./fields.ts";
import { readPattern } from "./patterns.ts";
import { precompiled } from "./precompiled.ts";
import { cleanText, lowercase, normalize, withoutBertAccents, withoutMarks } from "./unicode.ts";

/** Gives the text that the rest of the tokenizer sees. */
export type Normalizer = (text: string) => string;

/** How much longer a text may become; only a file that means harm asks for more. */
const longestGrowth = 256;

/** @throws {Error} when the section is not one of the known normalizers */
export function readNormalizer(section: unknown): Normalizer {
  return inTurn([readSection(section, 0)]);
}

function readSection(section: unknown, depth: number): Normalizer {
  if (section === undefined || section === null) return (text) => text;
  const fields = fieldsOf(section, "its normalizer");
  const type = typeOf(fields, "its normalizer");
  switch (type) {
    case "BertNormalizer":
      return bertNormalizer(fields);
    case "Precompiled":
      return precompiled(decodeBase64(text(fields, "precompiled_charsmap", "its normalizer")));
    case "Sequence":
      if (depth === deepestNesting) throw new Error("its normalizer is nested too deep");
      return inTurn(list(fields, "normalizers", "its normalizer").map((step) => readSection(step, depth + 1)));
    case "Replace":
      return replacer(fields);
    case "Prepend": {
      const prefix = text(fields, "prepend", "its normalizer");
      return (text) => text === "" ? "" : prefix + text;
    }
    case "Strip":
      return stripper(fields);
    case "StripAccents":
      return withoutMarks;
    case "Lowercase":
      return lowercase;
    case "NFC":
    case "NFD":
    case "NFKC":
    case "NFKD":
      return (text) => normalize(text, type);
    default:
      throw new Error(`its normalizer is a ${described(type)}, which is not known`);
  }
}

function inTurn(steps: readonly Normalizer[]): Normalizer {
  return (text) => {
    const most = longestGrowth * (text.length + 16);
    return steps.reduce((done, step) => {
      const next = step(done);
      if (next.length > most) {
        throw new CheckpointError("the tokenizer's normalizer makes a text out of all proportion long");
      }
      return next;
    }, text);
  };
}

/** CJK ideographs, each a word of its own in BERT. The gaps between the blocks are the original implementation's. */
const ideograph =
  /[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u{20000}-\u{2a6df}\u{2a700}-\u{2b81f}\u{2b920}-\u{2ceaf}\u{2f800}-\u{2fa1f}]/gu;

function bertNormalizer(fields: Fields): Normalizer {
  const what = "its BertNormalizer";
  const lowers = flag(fields, "lowercase", what, true);
  const cleans = flag(fields, "clean_text", what, true);
  const spaces = flag(fields, "handle_chinese_chars", what, true);
  const strips = flag(fields, "strip_accents", what, lowers);
  return (text) => {
    let normalized = text;
    if (cleans) normalized = cleanText(normalized);
    if (spaces) normalized = normalized.replace(ideograph, " $& ");
    if (strips) normalized = withoutBertAccents(normalized);
    return lowers ? lowercase(normalized) : normalized;
  };
}

function replacer(fields: Fields): Normalizer {
  const pattern = readPattern(field(fields, "pattern"), "its normalizer");
  const content = text(fields, "content", "its normalizer");
  if (content.length > 64) {
    throw new Error(`its normalizer replaces by ${content.length} characters, which is too many`);
  }
  return (text) => text.replaceAll(pattern, () => content);
}

function stripper(fields: Fields): Normalizer {
  const left = flag(fields, "strip_left", "its normalizer", false);
  const right = flag(fields, "strip_right", "its normalizer", false);
  return (text) => {
    const start = left ? text.search(/\P{White_Space}|$/u) : 0;
    let end = text.length;
    while (right && end > start && /\p{White_Space}/u.test(text.charAt(end - 1))) end--;
    return text.slice(start, end);
  };
}
