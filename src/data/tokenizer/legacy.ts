// The tokenizer files from before tokenizer.json, put into its structure as transformers does.

import { encodeBase64 } from "./base64.ts";
import { described, field, type Fields, fieldsOf, flag, isFields, tokenId } from "./fields.ts";
import { readSentencePiece } from "./sentencepiece.ts";

const what = "tokenizer_config.json";

const decoder = new TextDecoder("utf-8", { fatal: true });

/** BERT's vocab.txt: a token a line, whose number is its id. */
export function wordPieceFile(vocabTxt: Uint8Array, config: Fields): Fields {
  const vocab = Object.fromEntries(lines(vocabTxt).map((line, id) => [line.replace(/\p{White_Space}+$/u, ""), id]));
  const special = specialTokens(config, {
    unk_token: "[UNK]",
    sep_token: "[SEP]",
    pad_token: "[PAD]",
    cls_token: "[CLS]",
    mask_token: "[MASK]",
  });
  const added = addedTokens(config, special, new Map(Object.entries(vocab)));
  const accents = field(config, "strip_accents") ?? null;
  return {
    added_tokens: added.tokens,
    normalizer: {
      type: "BertNormalizer",
      clean_text: true,
      handle_chinese_chars: flag(config, "tokenize_chinese_chars", what, true),
      strip_accents: accents,
      lowercase: flag(config, "do_lower_case", what, true),
    },
    pre_tokenizer: { type: "BertPreTokenizer" },
    post_processor: {
      type: "BertProcessing",
      sep: [special.sep_token?.content, added.idOf("sep_token")],
      cls: [special.cls_token?.content, added.idOf("cls_token")],
    },
    model: {
      type: "WordPiece",
      unk_token: special.unk_token?.content,
      continuing_subword_prefix: "##",
      max_input_chars_per_word: 100,
      vocab,
    },
  };
}

/** The vocab.json and merges.txt of RoBERTa, and of GPT-2's tokenizer, which is OPT's too. */
export function bytePairFiles(
  vocabJson: Uint8Array,
  mergesTxt: Uint8Array,
  config: Fields,
  family: "roberta" | "gpt2",
): Fields {
  const vocab = fieldsOf(JSON.parse(decoder.decode(vocabJson)), "the vocabulary");
  const merges = lines(mergesTxt).filter((line) => !line.startsWith("#version"));
  const special = specialTokens(config, family === "roberta" ? robertaTokens : gpt2Tokens);
  const ids = new Map(Object.entries(vocab).map(([token, id]) => [token, tokenId(id, token)]));
  const added = addedTokens(config, special, ids);
  return {
    added_tokens: added.tokens,
    normalizer: null,
    pre_tokenizer: { type: "ByteLevel", add_prefix_space: flag(config, "add_prefix_space", what, false) },
    post_processor: family === "gpt2" ? aroundEach(config, special, added) : {
      type: "RobertaProcessing",
      sep: [special.sep_token?.content, added.idOf("sep_token")],
      cls: [special.cls_token?.content, added.idOf("cls_token")],
    },
    model: { type: "BPE", vocab, merges },
  };
}

const robertaTokens: Readonly<Record<string, string>> = {
  bos_token: "<s>",
  eos_token: "</s>",
  unk_token: "<unk>",
  sep_token: "</s>",
  pad_token: "<pad>",
  cls_token: "<s>",
  mask_token: "<mask>",
};

const gpt2Tokens: Readonly<Record<string, string>> = {
  bos_token: "<|endoftext|>",
  eos_token: "<|endoftext|>",
  unk_token: "<|endoftext|>",
};

/** `add_bos_token` and `add_eos_token` put one around each text, the pair's with segment 1. */
function aroundEach(config: Fields, special: SpecialTokens, added: Added): Fields {
  const special_tokens: Record<string, Fields> = {};
  const token = (name: "bos_token" | "eos_token", type_id: number): Fields[] => {
    const id = special[name]?.content;
    if (id === undefined || !flag(config, `add_${name}`, what, false)) return [];
    special_tokens[id] = { id, ids: [added.idOf(name)], tokens: [id] };
    return [{ SpecialToken: { id, type_id } }];
  };
  const around = (id: string, type_id: number): Fields[] => [
    ...token("bos_token", type_id),
    { Sequence: { id, type_id } },
    ...token("eos_token", type_id),
  ];
  const single = around("A", 0);
  return { type: "TemplateProcessing", single, pair: [...single, ...around("B", 1)], special_tokens };
}

/** The SentencePiece model of XLM-R, whose first three pieces make way for fairseq's four. */
export function sentencePieceFile(model: Uint8Array, config: Fields): Fields {
  const { pieces, charsmap } = readSentencePiece(model);
  const special = specialTokens(config, robertaTokens);
  const name = (key: string): string => special[key]?.content ?? "";
  const first = ["bos_token", "pad_token", "eos_token", "unk_token"].map((key) => [name(key), 0]);
  const vocab = [
    ...first,
    ...pieces.slice(3).map(({ piece, score }) => [piece, score]),
    [name("mask_token"), 0],
  ];
  const ids = new Map(vocab.map(([piece], id) => [String(piece), id]));
  const own = pieces.filter(({ kind }) => kind === "control" || kind === "user")
    .map(({ piece, kind }): AddedToken => ({ ...plainToken(piece), special: kind === "control" }));
  const added = addedTokens(config, special, ids, own);
  const metaspace = {
    type: "Metaspace",
    replacement: "\u2581",
    prepend_scheme: flag(config, "add_prefix_space", what, true) ? "always" : "never",
  };
  return {
    added_tokens: added.tokens,
    normalizer: charsmap.length === 0 ? null : { type: "Precompiled", precompiled_charsmap: encodeBase64(charsmap) },
    pre_tokenizer: { type: "Sequence", pretokenizers: [{ type: "WhitespaceSplit" }, metaspace] },
    post_processor: {
      type: "RobertaProcessing",
      sep: [name("eos_token"), added.idOf("eos_token")],
      cls: [name("bos_token"), added.idOf("bos_token")],
    },
    model: { type: "Unigram", unk_id: 3, vocab },
  };
}

function lines(bytes: Uint8Array): string[] {
  const found = decoder.decode(bytes).split("\n").map((line) => line.replace(/\r$/, ""));
  return found.at(-1) === "" ? found.slice(0, -1) : found;
}

/** A token as tokenizer.json lists it. */
interface AddedToken {
  readonly content: string;
  readonly single_word: boolean;
  readonly lstrip: boolean;
  readonly rstrip: boolean;
  readonly normalized: boolean;
  readonly special: boolean;
}

type SpecialTokens = Readonly<Partial<Record<string, AddedToken>>>;

/** The order in which transformers adds them. */
const names = ["bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token"];

function specialTokens(config: Fields, defaults: Readonly<Record<string, string>>): SpecialTokens {
  const found: Record<string, AddedToken> = {};
  for (const name of names) {
    const value = Object.hasOwn(config, name) ? config[name] : field(defaults, name);
    if (value !== undefined && value !== null) found[name] = readToken(value, name);
  }
  return found;
}

function readToken(value: unknown, name: string): AddedToken {
  if (typeof value === "string") return plainToken(value);
  if (!isFields(value)) throw new Error(`${what} has ${described(value)} for "${name}"`);
  const content = field(value, "content");
  if (typeof content !== "string") throw new Error(`${what} has no content for "${name}"`);
  return {
    content,
    single_word: flag(value, "single_word", what, false),
    lstrip: flag(value, "lstrip", what, false),
    rstrip: flag(value, "rstrip", what, false),
    normalized: flag(value, "normalized", what, false),
    special: true,
  };
}

function plainToken(content: string): AddedToken {
  return { content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
}

interface Added {
  readonly tokens: readonly AddedToken[];
  readonly idOf: (name: string) => number;
}

function addedTokens(
  config: Fields,
  special: SpecialTokens,
  vocabulary: ReadonlyMap<string, number>,
  own: readonly AddedToken[] = [],
): Added {
  const named = names.flatMap((name) => special[name] ?? []);
  const more = field(config, "extra_special_tokens") ?? field(config, "additional_special_tokens");
  const extra = Array.isArray(more) ? more.map((token) => readToken(token, "additional_special_tokens")) : own;
  const tokens = new Map<string, AddedToken>();
  for (const token of [...numberedTokens(config, [...named, ...extra]), ...named, ...extra]) {
    if (!tokens.has(token.content)) tokens.set(token.content, token);
  }
  return { tokens: [...tokens.values()], idOf: (name) => idOf(name, special, vocabulary, [...tokens.keys()]) };
}

/** The tokens of `added_tokens_decoder` (by id) or added_tokens.json (by token), in the order of their ids. */
function numberedTokens(config: Fields, special: readonly AddedToken[]): AddedToken[] {
  const decoder = field(config, "added_tokens_decoder");
  const names = new Set(special.map(({ content }) => content));
  const numbered: [number, AddedToken][] = isFields(decoder)
    ? Object.entries(decoder).map(([id, value]) => {
      const token = readToken(value, `added_tokens_decoder ${id}`);
      const isSpecial = names.has(token.content) || (isFields(value) && field(value, "special") === true);
      return [tokenId(Number(id), token.content), { ...token, special: isSpecial }];
    })
    : Object.entries(fieldsOf(field(config, "added_tokens_encoder") ?? {}, "added_tokens.json")).map(([token, id]) => {
      const isSpecial = names.has(token);
      return [tokenId(id, token), { ...plainToken(token), special: isSpecial, normalized: !isSpecial }];
    });
  return numbered.sort(([a], [b]) => a - b).map(([, token]) => token);
}

function idOf(
  name: string,
  special: SpecialTokens,
  vocabulary: ReadonlyMap<string, number>,
  added: readonly string[],
): number {
  const token = special[name]?.content;
  if (token === undefined) throw new Error(`${what} gives no ${name}`);
  const known = vocabulary.get(token);
  if (known !== undefined) return known;
  const fresh = added.filter((content) => !vocabulary.has(content));
  return vocabulary.size + fresh.indexOf(token);
}
