// A tiny checkpoint with a tokenizer, and tables that it learns from in no time.

import { join } from "node:path";

const fixtures = new URL("../fixtures/", import.meta.url);
const words = ["good", "fine", "great", "bad", "poor", "awful", "the", "film", "was", "not", "very"];
const letters = Array.from("abcdefghijklmnopqrstuvwxyz");

const vocabulary = { small_bert: 120, small_opt: 60 };

/** Writes a checkpoint (3 layers; BERT with 64 positions or OPT with 32) into a new folder. */
export function writeTinyModel(folder: string, fixture: keyof typeof vocabulary = "small_bert"): void {
  Deno.mkdirSync(folder);
  for (const name of ["config.json", "model.safetensors"]) {
    Deno.copyFileSync(new URL(`${fixture}/${name}`, fixtures), join(folder, name));
  }
  Deno.writeTextFileSync(join(folder, "tokenizer.json"), JSON.stringify(wordPiece(vocabulary[fixture])));
}

/** The tokenizer.json of a lower-casing WordPiece tokenizer with so many tokens. */
export function wordPiece(size: number): Record<string, unknown> {
  const known = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", ...words, ...letters, ...letters.map((letter) => `##${letter}`)];
  const tokens = Array.from({ length: size }, (_, id) => known[id] ?? `[unused${id}]`);
  return {
    version: "1.0",
    added_tokens: ["[PAD]", "[UNK]", "[CLS]", "[SEP]"].map((content, id) => ({
      ...{ id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true },
    })),
    normalizer: {
      type: "BertNormalizer",
      clean_text: true,
      handle_chinese_chars: true,
      strip_accents: null,
      lowercase: true,
    },
    pre_tokenizer: { type: "BertPreTokenizer" },
    post_processor: { type: "BertProcessing", sep: ["[SEP]", 3], cls: ["[CLS]", 2] },
    decoder: null,
    model: {
      type: "WordPiece",
      unk_token: "[UNK]",
      continuing_subword_prefix: "##",
      max_input_chars_per_word: 100,
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
    },
  };
}

/** Rows of a text and whether it is good, in a fixed order. */
export function reviews(count: number): readonly { readonly text: string; readonly good: boolean }[] {
  return Array.from({ length: count }, (_, row) => {
    const good = row % 2 === 0;
    const word = words[(good ? 0 : 3) + Math.floor(row / 2) % 3] ?? "";
    return { text: `the film was ${row % 5 < 2 ? "very " : ""}${word}`, good };
  });
}

/** Writes `text,label` rows as CSV, with labels by the function given. */
export function writeCsv(path: string, count: number, label: (good: boolean, row: number) => string): void {
  const rows = reviews(count).map(({ text, good }, row) => `${text},${label(good, row)}\n`);
  Deno.writeTextFileSync(path, `text,label\n${rows.join("")}`);
}
