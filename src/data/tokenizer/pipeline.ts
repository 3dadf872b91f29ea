// The steps of a tokenizer.json in their order: added tokens, normalizer, pre_tokenizer, model.

import { type AddedTokens, readAddedTokens } from "./added_tokens.ts";
import { field, type Fields } from "./fields.ts";
import { type Model, readModel } from "./model.ts";
import { readNormalizer } from "./normalizer.ts";
import { readPreTokenizer } from "./pre_tokenizer.ts";

/** What makes ids of a text, without the special tokens around it. */
export interface Pipeline {
  readonly model: Model;
  readonly added: AddedTokens;
  readonly encode: (text: string) => number[];
}

/** @throws {Error} when a section is not what this can follow */
export function readPipeline(tokenizer: Fields): Pipeline {
  const model = readModel(field(tokenizer, "model"));
  const normalize = readNormalizer(field(tokenizer, "normalizer"));
  const preTokenize = readPreTokenizer(field(tokenizer, "pre_tokenizer"));
  const added = readAddedTokens(field(tokenizer, "added_tokens"), model.vocabulary, normalize);
  const split = remembering(model.split);
  const encode = (text: string): number[] => {
    const ids: number[] = [];
    for (const section of added.inRaw(text.toWellFormed())) {
      if ("id" in section) {
        ids.push(section.id);
        continue;
      }
      for (const part of added.inNormalized(normalize(section.text))) {
        if ("id" in part) ids.push(part.id);
        else encodePart(part.text, section.start === 0 && part.start === 0, ids);
      }
    }
    return ids;
  };
  const encodePart = (text: string, isFirst: boolean, ids: number[]): void => {
    for (const word of preTokenize({ text, isFirst })) {
      for (const id of split(word.text)) ids.push(id);
    }
  };
  return { model, added, encode };
}

const mostRemembered = 10_000;
const longestRemembered = 64;

/** Words come again and again: the last thousands of them are not split twice. */
function remembering(split: Model["split"]): Model["split"] {
  const known = new Map<string, readonly number[]>();
  return (word) => {
    const before = known.get(word);
    if (before) return before;
    const ids = split(word);
    if (word.length > longestRemembered) return ids;
    if (known.size === mostRemembered) known.clear();
    known.set(word, ids);
    return ids;
  };
}
