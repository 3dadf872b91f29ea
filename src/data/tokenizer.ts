// A checkpoint's own tokenizer: text, or a pair of texts, to the ids that its model was trained on.
import { type PostProcessor, Tokenizer as HuggingFaceTokenizer } from "npm:@huggingface/tokenizers@0.2.0";
import { CheckpointError, OptionError } from "../errors.ts";
import { textCorrection } from "./tokenizer_corrections.ts";
import { countSpecial, type Encoding, fillTemplate, keepLongestFirst, type Template } from "./tokenizer_template.ts";

export type { Encoding } from "./tokenizer_template.ts";

/** Gives the same ids as Python's `tokenizers`; read by {@linkcode loadTokenizer}. */
export class Tokenizer {
  /** The padding token's id, if the tokenizer has one. */
  readonly padTokenId: number | undefined;
  /** One more than the largest id: a model's word embedding must have at least so many rows. */
  readonly vocabSize: number;
  readonly #inner: HuggingFaceTokenizer;
  readonly #correct: (text: string) => string;
  readonly #single: Template;
  readonly #pair: Template;

  /**
   * @param tokenizer the content of tokenizer.json
   * @param config the content of tokenizer_config.json
   * @throws {Error} of any kind, when they are not what a tokenizer needs
   */
  constructor(tokenizer: TokenizerJson, config: Record<string, unknown>) {
    this.#inner = new HuggingFaceTokenizer(tokenizer, config);
    this.#correct = textCorrection(tokenizer.normalizer);
    this.vocabSize = measureVocabulary(this.#inner);
    requireUnknownToken(this.#inner);
    this.#single = readTemplate(this.#inner, tokenizer, false);
    this.#pair = readTemplate(this.#inner, tokenizer, true);
    this.padTokenId = this.#inner.token_to_id(tokenContent(config["pad_token"]) ?? "[PAD]");
  }

  /**
   * Encodes a text, or a pair of texts, with special tokens, cut to `maxLength` tokens in all. Of a single text the end
   * is cut; of a pair the end of the longer one first, as `truncation=True` does in transformers. What tokenizer.json
   * says about truncation and padding is not heeded.
   *
   * @throws {OptionError} when not even the special tokens fit into `maxLength`
   */
  encode(text: string, textPair: string | undefined, maxLength: number): Encoding {
    const template = textPair === undefined ? this.#single : this.#pair;
    const room = maxLength - countSpecial(template);
    if (!(room >= 0)) throw new OptionError(`a maximum length of ${maxLength} has no room for the special tokens`);
    const ids = this.#encodePlain(text);
    if (textPair === undefined) return fillTemplate(template, ids.slice(0, room));
    const pairIds = this.#encodePlain(textPair);
    const [keptText, keptPair] = keepLongestFirst(ids.length, pairIds.length, room);
    return fillTemplate(template, ids.slice(0, keptText), pairIds.slice(0, keptPair));
  }

  #encodePlain(text: string): number[] {
    return this.#inner.encode(this.#correct(text), { add_special_tokens: false }).ids;
  }
}

/**
 * Reads `tokenizer.json`, and `tokenizer_config.json` where there is one, from a model's folder.
 *
 * @throws {CheckpointError} when tokenizer.json is missing, or either file is damaged
 */
export async function loadTokenizer(folder: string): Promise<Tokenizer> {
  const path = `${folder}/tokenizer.json`;
  const tokenizer = await readJsonObject(path);
  if (!tokenizer) throw new CheckpointError(`${path} does not exist; a model folder needs a tokenizer in this format`);
  const config = await readJsonObject(`${folder}/tokenizer_config.json`) ?? {};
  try {
    return new Tokenizer(tokenizer, config);
  } catch (cause) {
    throw new CheckpointError(`${path} is not a tokenizer that can be used: ${firstLine(cause)}`, { cause });
  }
}

/** The sections of a tokenizer.json that are looked at here; the library reads the rest. */
export interface TokenizerJson {
  readonly normalizer?: unknown;
  readonly post_processor?: unknown;
}

async function readJsonObject(path: string): Promise<Record<string, unknown> | undefined> {
  try {
    const value: unknown = JSON.parse(await Deno.readTextFile(path));
    if (typeof value === "object" && value !== null) return value as Record<string, unknown>;
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) return undefined;
    throw new CheckpointError(`${path} cannot be read: ${firstLine(cause)}`, { cause });
  }
  throw new CheckpointError(`${path} cannot be read: it is not a JSON object`);
}

function measureVocabulary(inner: HuggingFaceTokenizer): number {
  let largest = -1;
  for (const [token, id] of inner.model?.tokens_to_ids ?? []) {
    if (!Number.isSafeInteger(id) || id < 0) {
      throw new Error(`its vocabulary gives ${JSON.stringify(token)} the id ${id}`);
    }
    largest = Math.max(largest, id);
  }
  if (largest < 0) throw new Error("its vocabulary is empty");
  return largest + 1;
}

function requireUnknownToken(inner: HuggingFaceTokenizer): void {
  const token = inner.model?.unk_token;
  if (typeof token === "string" && inner.token_to_id(token) === undefined) {
    throw new Error(`its vocabulary lacks the unknown token ${JSON.stringify(token)}`);
  }
}

const textMark = "\0text";
const pairMark = "\0pair";

/** Has the library place two marks, which shows where it puts special tokens, whatever kind of post-processor it is. */
function readTemplate(inner: HuggingFaceTokenizer, tokenizer: TokenizerJson, withPair: boolean): Template {
  const placed = placeMarks(inner.post_processor, withPair);
  const types = placed.token_type_ids;
  return placed.tokens.map((token, index) => {
    const type = hasOneSegment(tokenizer.post_processor) ? 0 : types?.[index] ?? (token === pairMark ? 1 : 0);
    if (token === textMark) return { kind: "text", type };
    if (token === pairMark) return { kind: "pair", type };
    const id = inner.token_to_id(token);
    if (id === undefined) throw new Error(`its vocabulary lacks the special token ${JSON.stringify(token)}`);
    return { kind: "special", id, type };
  });
}

function placeMarks(postProcessor: PostProcessor | null, withPair: boolean): PlacedTokens {
  const placed = postProcessor?.post_process([textMark], withPair ? [pairMark] : null, true) ?? { tokens: [textMark] };
  if (!withPair || placed.tokens.includes(pairMark)) return placed;
  return { tokens: [...placed.tokens, pairMark] };
}

interface PlacedTokens {
  readonly tokens: readonly string[];
  readonly token_type_ids?: readonly number[];
}

/** RoBERTa's post-processor gives every token segment 0, also a pair's; the npm package does not. */
function hasOneSegment(postProcessor: unknown): boolean {
  return typeof postProcessor === "object" && postProcessor !== null && "type" in postProcessor &&
    postProcessor.type === "RobertaProcessing";
}

function tokenContent(token: unknown): string | undefined {
  if (typeof token === "string") return token;
  if (typeof token === "object" && token !== null && "content" in token) return tokenContent(token.content);
  return undefined;
}

function firstLine(cause: unknown): string {
  const message = cause instanceof Error ? cause.message : String(cause);
  return message.split("\n")[0] ?? message;
}
