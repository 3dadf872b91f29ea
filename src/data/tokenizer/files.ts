// The files of a folder that a tokenizer is read from: tokenizer.json, or those of older checkpoints.

import { CheckpointError } from "../../errors.ts";
import { field, type Fields, isFields } from "./fields.ts";
import { bytePairFiles, sentencePieceFile, wordPieceFile } from "./legacy.ts";

/** What a tokenizer is made of, and the file that it came from. */
export interface TokenizerFiles {
  readonly path: string;
  /** In the structure of tokenizer.json. */
  readonly tokenizer: Fields;
  /** tokenizer_config.json; empty where there is none. */
  readonly config: Fields;
}

/** @throws {CheckpointError} when there is no tokenizer, or a file of it is damaged */
export async function readTokenizerFiles(folder: string): Promise<TokenizerFiles> {
  const config = await readJson(`${folder}/tokenizer_config.json`) ?? {};
  const path = `${folder}/tokenizer.json`;
  const tokenizer = await readJson(path);
  return tokenizer ? { path, tokenizer, config } : await readLegacy(folder, config);
}

type Family = "bert" | "roberta" | "gpt2" | "xlm-roberta";

const families: Readonly<Record<string, Family>> = {
  BertTokenizer: "bert",
  DistilBertTokenizer: "bert",
  RobertaTokenizer: "roberta",
  GPT2Tokenizer: "gpt2",
  XLMRobertaTokenizer: "xlm-roberta",
  bert: "bert",
  distilbert: "bert",
  roberta: "roberta",
  opt: "gpt2",
  "xlm-roberta": "xlm-roberta",
};

/** What the published OPT checkpoints say in their tokenizer_config.json. */
const optConfig: Fields = {
  bos_token: "</s>",
  eos_token: "</s>",
  unk_token: "</s>",
  pad_token: "<pad>",
  add_bos_token: true,
};

async function readLegacy(folder: string, config: Fields): Promise<TokenizerFiles> {
  const [vocabTxt, vocabJson, merges, pieces] = await Promise.all([
    read(`${folder}/vocab.txt`),
    read(`${folder}/vocab.json`),
    read(`${folder}/merges.txt`),
    read(`${folder}/sentencepiece.bpe.model`),
  ]);
  const modelType = field(await readJson(`${folder}/config.json`) ?? {}, "model_type");
  const family = familyOf(field(config, "tokenizer_class")) ?? familyOf(modelType) ??
    (vocabTxt ? "bert" : pieces ? "xlm-roberta" : undefined);
  const options = await withSpecialTokens(folder, modelType === "opt" && isEmpty(config) ? optConfig : config);
  const made = (path: string, make: () => Fields): TokenizerFiles => {
    try {
      return { path, tokenizer: make(), config: options };
    } catch (cause) {
      throw damaged(path, cause);
    }
  };
  if (family === "bert" && vocabTxt) return made(`${folder}/vocab.txt`, () => wordPieceFile(vocabTxt, options));
  if (family === "xlm-roberta" && pieces) {
    return made(`${folder}/sentencepiece.bpe.model`, () => sentencePieceFile(pieces, options));
  }
  if ((family === "roberta" || family === "gpt2") && vocabJson && merges) {
    return made(`${folder}/vocab.json with its merges.txt`, () => bytePairFiles(vocabJson, merges, options, family));
  }
  throw new CheckpointError(
    `${folder}/tokenizer.json does not exist; a model folder needs a tokenizer in this format, or, of the model types ` +
      "bert, distilbert, roberta, opt and xlm-roberta, the vocab.txt, vocab.json and merges.txt, or sentencepiece.bpe.model",
  );
}

function familyOf(name: unknown): Family | undefined {
  const known = typeof name === "string" ? name.replace(/Fast$/, "") : "";
  return Object.hasOwn(families, known) ? families[known] : undefined;
}

function isEmpty(fields: Fields): boolean {
  return Object.keys(fields).length === 0;
}

/** With what special_tokens_map.json and added_tokens.json say, which newer files say in `added_tokens_decoder`. */
async function withSpecialTokens(folder: string, config: Fields): Promise<Fields> {
  if (isFields(field(config, "added_tokens_decoder"))) return config;
  const special = await readJson(`${folder}/special_tokens_map.json`) ?? {};
  const added = await readJson(`${folder}/added_tokens.json`);
  return { ...config, ...special, ...(added ? { added_tokens_encoder: added } : {}) };
}

async function readJson(path: string): Promise<Fields | undefined> {
  const bytes = await read(path);
  if (!bytes) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(bytes));
  } catch (cause) {
    throw damaged(path, cause);
  }
  if (typeof value === "object" && value !== null) return value as Fields;
  throw damaged(path, new Error("it is not a JSON object"));
}

async function read(path: string): Promise<Uint8Array | undefined> {
  try {
    return await Deno.readFile(path);
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) return undefined;
    throw damaged(path, cause);
  }
}

function damaged(path: string, cause: unknown): CheckpointError {
  return new CheckpointError(`${path} cannot be read: ${firstLine(cause)}`, { cause });
}

/** Of an error's message. */
export function firstLine(cause: unknown): string {
  const message = cause instanceof Error ? cause.message : String(cause);
  return message.split("\n")[0] ?? message;
}
