// The files of a folder that a tokenizer is read from: tokenizer.json, or those of older checkpoints.

import { CheckpointError } from "../../errors.ts";
import { field, type Fields, isFields } from "./fields.ts";
import { damaged, FolderFiles } from "./folder_files.ts";
import { bytePairFiles, sentencePieceFile, wordPieceFile } from "./legacy.ts";

/** What a tokenizer is made of, and the file that it came from. */
export interface TokenizerFiles {
  readonly path: string;
  /** In the structure of tokenizer.json. */
  readonly tokenizer: Fields;
  /** tokenizer_config.json; empty where there is none. */
  readonly config: Fields;
  /** Of all files that were read: see {@link FolderFiles}. */
  readonly digest: string;
}

/** @throws {CheckpointError} when there is no tokenizer, or a file of it is damaged */
export async function readTokenizerFiles(folder: string): Promise<TokenizerFiles> {
  const files = new FolderFiles(folder);
  const config = await files.readJson("tokenizer_config.json") ?? {};
  const tokenizer = await files.readJson("tokenizer.json");
  const read = tokenizer ? { path: `${folder}/tokenizer.json`, tokenizer, config } : await readLegacy(files, config);
  return { ...read, digest: files.digest };
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

type Read = Omit<TokenizerFiles, "digest">;

async function readLegacy(files: FolderFiles, config: Fields): Promise<Read> {
  const { folder } = files;
  const [vocabTxt, vocabJson, merges, pieces] = await Promise.all([
    files.read("vocab.txt"),
    files.read("vocab.json"),
    files.read("merges.txt"),
    files.read("sentencepiece.bpe.model"),
  ]);
  const modelType = field(await files.readJson("config.json") ?? {}, "model_type");
  const family = familyOf(field(config, "tokenizer_class")) ?? familyOf(modelType) ??
    (vocabTxt ? "bert" : pieces ? "xlm-roberta" : undefined);
  const options = await withSpecialTokens(files, modelType === "opt" && isEmpty(config) ? optConfig : config);
  const made = (path: string, make: () => Fields): Read => {
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
async function withSpecialTokens(files: FolderFiles, config: Fields): Promise<Fields> {
  if (isFields(field(config, "added_tokens_decoder"))) return config;
  const special = await files.readJson("special_tokens_map.json") ?? {};
  const added = await files.readJson("added_tokens.json");
  return { ...config, ...special, ...(added ? { added_tokens_encoder: added } : {}) };
}
