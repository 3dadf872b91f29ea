// A checkpoint's own tokenizer: text, or a pair of texts, to the ids that its model was trained on.

import { CheckpointError, FewtuneError, OptionError } from "../errors.ts";
import { field, type Fields, isFields } from "./tokenizer/fields.ts";
import { readTokenizerFiles } from "./tokenizer/files.ts";
import { firstLine } from "./tokenizer/folder_files.ts";
import { type Pipeline, readPipeline } from "./tokenizer/pipeline.ts";
import { countSpecial, type Encoding, fillTemplate, keepLongestFirst, readTemplates } from "./tokenizer/template.ts";
import type { Templates } from "./tokenizer/template.ts";

export type { Encoding } from "./tokenizer/template.ts";

/** Raised by each change of what a tokenizer gives for a text: encoded tables in the cache are then made again. */
export const encodingVersion = 1;

/** Gives the same ids as Python's `tokenizers`; read by {@linkcode loadTokenizer}. */
export class Tokenizer {
  /** The padding token's id, if the tokenizer has one. */
  readonly padTokenId: number | undefined;
  /** One more than the largest id: a model's word embedding must have at least so many rows. */
  readonly vocabSize: number;
  /** Which end of a text is cut when it is too long. */
  readonly truncationSide: "left" | "right";
  readonly #pipeline: Pipeline;
  readonly #templates: Templates;

  /**
   * @param tokenizer the content of tokenizer.json
   * @param config the content of tokenizer_config.json
   * @param digest of the files that both came from: tokenizers with the same digest encode alike
   * @throws {Error} of any kind, when they are not what a tokenizer needs
   */
  constructor(tokenizer: Fields, config: Fields, readonly digest: string) {
    this.#pipeline = readPipeline(tokenizer);
    this.#templates = readTemplates(field(tokenizer, "post_processor"));
    this.vocabSize = measureVocabulary(this.#pipeline);
    requireIds(this.#templates, this.vocabSize);
    this.truncationSide = readTruncationSide(tokenizer, config);
    this.padTokenId = this.#idOf(tokenContent(field(config, "pad_token"))) ?? this.#idOf("[PAD]") ??
      this.#idOf("<pad>");
  }

  /**
   * Encodes a text, or a pair of texts, with special tokens, cut to `maxLength` tokens in all. Of a single text the end
   * is cut (the beginning, where the tokenizer's `truncation_side` is left); of a pair the longer one first, as
   * `truncation=True` does in transformers. What tokenizer.json says about padding is not heeded. A lone surrogate,
   * which Python cannot encode, counts as U+FFFD.
   *
   * @throws {OptionError} when not even the special tokens fit into `maxLength`
   */
  encode(text: string, textPair: string | undefined, maxLength: number): Encoding {
    const template = textPair === undefined ? this.#templates.single : this.#templates.pair;
    const room = maxLength - countSpecial(template);
    if (!(room >= 0)) throw new OptionError(`a maximum length of ${maxLength} has no room for the special tokens`);
    const ids = this.#pipeline.encode(text);
    if (textPair === undefined) return fillTemplate(template, this.#cut(ids, room));
    const pairIds = this.#pipeline.encode(textPair);
    const [keptText, keptPair] = keepLongestFirst(ids.length, pairIds.length, room);
    return fillTemplate(template, this.#cut(ids, keptText), this.#cut(pairIds, keptPair));
  }

  #cut(ids: readonly number[], length: number): readonly number[] {
    if (ids.length <= length) return ids;
    return this.truncationSide === "left" ? ids.slice(ids.length - length) : ids.slice(0, length);
  }

  #idOf(token: string | undefined): number | undefined {
    if (token === undefined) return undefined;
    return this.#pipeline.added.ids.get(token) ?? this.#pipeline.model.vocabulary.get(token);
  }
}

/**
 * Reads the tokenizer of a model's folder: `tokenizer.json`, or, where there is none, the files of older checkpoints
 * (vocab.txt; vocab.json and merges.txt; sentencepiece.bpe.model), each with what tokenizer_config.json adds.
 *
 * @throws {CheckpointError} when there is no tokenizer, or a file of it is damaged
 */
export async function loadTokenizer(folder: string): Promise<Tokenizer> {
  const { path, tokenizer, config, digest } = await readTokenizerFiles(folder);
  try {
    return new Tokenizer(tokenizer, config, digest);
  } catch (cause) {
    if (cause instanceof FewtuneError && !(cause instanceof CheckpointError)) throw cause;
    throw new CheckpointError(`${path} is not a tokenizer that can be used: ${firstLine(cause)}`, { cause });
  }
}

function measureVocabulary({ model, added }: Pipeline): number {
  let largest = -1;
  for (const ids of [model.vocabulary, added.ids]) for (const id of ids.values()) largest = Math.max(largest, id);
  return largest + 1;
}

function requireIds(templates: Templates, vocabSize: number): void {
  for (const part of [...templates.single, ...templates.pair]) {
    if (part.kind === "special" && part.id >= vocabSize) {
      throw new Error(`its vocabulary of ${vocabSize} lacks the special token of id ${part.id}`);
    }
  }
}

/** As transformers reads it: tokenizer_config.json goes before tokenizer.json. */
function readTruncationSide(tokenizer: Fields, config: Fields): "left" | "right" {
  const truncation = field(tokenizer, "truncation");
  const side = field(config, "truncation_side") ?? (isFields(truncation) ? field(truncation, "direction") : undefined);
  return typeof side === "string" && side.toLowerCase() === "left" ? "left" : "right";
}

function tokenContent(token: unknown): string | undefined {
  if (isFields(token)) return tokenContent(field(token, "content"));
  return typeof token === "string" ? token : undefined;
}
