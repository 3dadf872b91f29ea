// Tokenizer files that mean harm: each is refused in a line that names it, or works, and no text takes quadratic time.

import assert from "node:assert/strict";
import { loadTokenizer, type Tokenizer } from "../../src/data/tokenizer.ts";
import { CheckpointError } from "../../src/errors.ts";
import { jsonMutations, mutations } from "../support/mutate.ts";

const bytePairs = new URL("../fixtures/byte_level_bpe/tokenizer.json", import.meta.url).pathname;

const around = {
  type: "TemplateProcessing",
  single: [{ SpecialToken: { id: "[SEP]", type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }],
  pair: [{ Sequence: { id: "A", type_id: 0 } }, { Sequence: { id: "B", type_id: 1 } }],
  special_tokens: { "[SEP]": { id: "[SEP]", ids: [1], tokens: ["[SEP]"] } },
};

const sep = {
  id: 1,
  content: "[SEP]",
  single_word: false,
  lstrip: true,
  rstrip: false,
  normalized: false,
  special: true,
};

const letters = [..."abcdefghijklmnopqrstuvwxyz"];

const wordPiece = {
  added_tokens: [sep, { ...sep, id: 200, content: "new", normalized: true, single_word: true }],
  truncation: { direction: "Right", max_length: 512, strategy: "LongestFirst", stride: 0 },
  normalizer: {
    type: "BertNormalizer",
    clean_text: true,
    handle_chinese_chars: true,
    strip_accents: null,
    lowercase: true,
  },
  pre_tokenizer: { type: "BertPreTokenizer" },
  post_processor: around,
  model: {
    type: "WordPiece",
    unk_token: "[UNK]",
    continuing_subword_prefix: "##",
    max_input_chars_per_word: 100,
    vocab: Object.fromEntries(
      ["[UNK]", "[SEP]", ...letters, ...letters.map((letter) => `##${letter}`)].map((t, id) => [t, id]),
    ),
  },
};

/** A trie of one key: "a" becomes "bc". */
function charsmap(): Uint8Array {
  const units = new Uint32Array(1024);
  units[0] = 256 << 10;
  units[256 ^ 0x61] = 0x61 | 0x100 | (512 << 10);
  const strings = new TextEncoder().encode("bc\0");
  const bytes = new Uint8Array(4 + units.byteLength + strings.length);
  new DataView(bytes.buffer).setUint32(0, units.byteLength, true);
  bytes.set(new Uint8Array(units.buffer), 4);
  bytes.set(strings, 4 + units.byteLength);
  return bytes;
}

const pieces: [string, number][] = [["<unk>", 0], ["[SEP]", 0], ["\u2581", -2], ["\u2581b", -3], ["bc", -1.5]];

const unigram = {
  ...wordPiece,
  normalizer: {
    type: "Sequence",
    normalizers: [
      { type: "Precompiled", precompiled_charsmap: btoa(String.fromCharCode(...charsmap())) },
      { type: "Replace", pattern: { Regex: " {2,}" }, content: " " },
      { type: "NFKC" },
    ],
  },
  pre_tokenizer: {
    type: "Sequence",
    pretokenizers: [
      { type: "WhitespaceSplit" },
      { type: "Split", pattern: { Regex: " ?\\p{L}+|[^\\s]+" }, behavior: "Isolated", invert: false },
      { type: "Metaspace", replacement: "\u2581", prepend_scheme: "always", split: true },
    ],
  },
  model: {
    type: "Unigram",
    unk_id: 0,
    byte_fallback: false,
    vocab: [...pieces, ...letters.map((letter) => [letter, -6])],
  },
};

const config = {
  tokenizer_class: "BertTokenizer",
  do_lower_case: true,
  strip_accents: null,
  bos_token: { __type: "AddedToken", content: "</s>", lstrip: false },
  pad_token: "<pad>",
  additional_special_tokens: ["[NEW]"],
  added_tokens_decoder: { "3": { content: "[X]", special: true, lstrip: false, normalized: false } },
};

/** SentencePiece's protocol buffer, of small fields only. */
function sentencePieceModel(): Uint8Array {
  const field = (number: number, content: number[]): number[] => {
    const length = content.length < 128 ? [content.length] : [content.length % 128 + 128, content.length >> 7];
    return [number * 8 + 2, ...length, ...content];
  };
  const score = [...new Uint8Array(new Float32Array([-2.5]).buffer)];
  const piece = (text: string, kind: number): number[] =>
    field(1, [...field(1, [...new TextEncoder().encode(text)]), 21, ...score, 24, kind]);
  const all = [
    piece("<unk>", 2),
    piece("<s>", 3),
    piece("</s>", 3),
    ...["\u2581", "bc", ...letters].map((text) => piece(text, 1)),
  ];
  return Uint8Array.from([...all.flat(), ...field(2, [24, 1]), ...field(3, field(2, [...charsmap()]))]);
}

const texts = [
  "",
  "a new text [SEP]  ",
  "h\u00e9llo \ud83d\ude42 \u4e2d\u6587 \ud800 \0",
  "a".repeat(500),
  "new".repeat(50) + " \u0301\u0301",
];

function encodeAll(tokenizer: Tokenizer): void {
  for (const text of texts) {
    for (const pair of [undefined, "a pair"]) {
      const { inputIds, tokenTypeIds } = tokenizer.encode(text, pair, 600);
      assert.equal(inputIds.length, tokenTypeIds.length);
      assert.ok(inputIds.every((id) => Number.isInteger(id) && id >= 0 && id < tokenizer.vocabSize));
    }
  }
}

type Files = Readonly<Record<string, Uint8Array>>;

/** Whether the folder's tokenizer works; throws when it is anything but that or refused in one line that names it. */
async function works(folder: string, files: Files): Promise<boolean> {
  for (const [name, content] of Object.entries(files)) await Deno.writeFile(`${folder}/${name}`, content);
  const start = performance.now();
  try {
    encodeAll(await loadTokenizer(folder));
    return true;
  } catch (error) {
    const isMeant = error instanceof CheckpointError && !error.message.includes("\n") && error.message.length < 1000;
    const says = error instanceof CheckpointError &&
      (error.message.startsWith(folder) || /^the tokenizer's/.test(error.message));
    if (!isMeant || !says) throw error;
    return false;
  } finally {
    assert.ok(performance.now() - start < 10_000, "it took longer than ten seconds");
  }
}

const utf8 = (value: unknown): Uint8Array =>
  new TextEncoder().encode(typeof value === "string" ? value : JSON.stringify(value));

const vocabJson = JSON.parse(Deno.readTextFileSync(bytePairs)).model;

const samples: Readonly<Record<string, { files: Files; mutated: string; rounds: number }>> = {
  "byte pairs": { files: { "tokenizer.json": Deno.readFileSync(bytePairs) }, mutated: "tokenizer.json", rounds: 800 },
  "WordPiece": { files: { "tokenizer.json": utf8(wordPiece) }, mutated: "tokenizer.json", rounds: 1600 },
  "unigram": { files: { "tokenizer.json": utf8(unigram) }, mutated: "tokenizer.json", rounds: 1600 },
  "tokenizer_config.json": {
    files: { "vocab.txt": utf8(Object.keys(wordPiece.model.vocab).join("\n")), "tokenizer_config.json": utf8(config) },
    mutated: "tokenizer_config.json",
    rounds: 1200,
  },
  "vocab.txt": {
    files: { "vocab.txt": utf8(Object.keys(wordPiece.model.vocab).join("\n")) },
    mutated: "vocab.txt",
    rounds: 600,
  },
  "vocab.json": {
    files: {
      "vocab.json": utf8(vocabJson.vocab),
      "merges.txt": utf8(
        "#version: 0.2\n" + vocabJson.merges.map((merge: string | string[]) => [merge].flat().join(" ")).join("\n"),
      ),
      "config.json": utf8({ model_type: "roberta" }),
    },
    mutated: "vocab.json",
    rounds: 600,
  },
  "merges.txt": {
    files: {
      "vocab.json": utf8(vocabJson.vocab),
      "merges.txt": utf8(
        "#version: 0.2\n" + vocabJson.merges.map((merge: string | string[]) => [merge].flat().join(" ")).join("\n"),
      ),
      "config.json": utf8({ model_type: "opt" }),
    },
    mutated: "merges.txt",
    rounds: 400,
  },
  "sentencepiece.bpe.model": {
    files: { "sentencepiece.bpe.model": sentencePieceModel(), "config.json": utf8({ model_type: "xlm-roberta" }) },
    mutated: "sentencepiece.bpe.model",
    rounds: 1200,
  },
};

for (const [kind, { files, mutated, rounds }] of Object.entries(samples)) {
  Deno.test(`${rounds} mutated files, ${kind}: each works or is refused by name`, async () => {
    const folder = await Deno.makeTempDir();
    try {
      assert.ok(await works(folder, files), "the sound files work");
      const sound = files[mutated] ?? new Uint8Array();
      const text = new TextDecoder().decode(sound);
      let refused = 0;
      for (let seed = 0; seed < rounds; seed++) {
        const isJson = mutated.endsWith(".json") && seed % 3 !== 0;
        const changed = isJson ? utf8(jsonMutations(seed, text)) : mutations(seed, sound);
        if (!await works(folder, { [mutated]: changed })) refused++;
      }
      assert.ok(refused > rounds / 50 && refused < rounds, `${refused} of ${rounds} were refused`);
      assert.equal(Object.getOwnPropertyDescriptor(Object.prototype, "polluted"), undefined);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  });
}

async function withTokenizer(tokenizer: unknown, use: (tokenizer: Tokenizer) => void): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await Deno.writeFile(`${folder}/tokenizer.json`, utf8(tokenizer));
    use(await loadTokenizer(folder));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

Deno.test("of a file's regular expressions only those are taken that need linear time", async () => {
  const load = (Regex: string): Promise<void> =>
    withTokenizer(
      { ...wordPiece, pre_tokenizer: { type: "Split", pattern: { Regex }, behavior: "Isolated" } },
      (tokenizer) => {
        tokenizer.encode("a".repeat(100_000) + "!", undefined, 1_000_000);
      },
    );
  const gpt2 = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";
  for (const taken of [" {2,}", "\\s+", gpt2, "[a-z]+|\\d{1,3}", "'(?:[sdmt]|ll|ve|re)", "a"]) await load(taken);
  const refused = [
    "(a+)+$",
    "(a|a)*b",
    "a*a*a*b",
    "\\s+$",
    "(?=a)b",
    "(a)\\1",
    "a?a?a?a",
    "(?:a|a)(?:a|a)(?:a|a)",
    "a{0,99}b",
    "(?<n>a)",
    "[a&&b]",
    "(?:(?:a+)+)+",
    "a+b",
    "",
    "(",
    "[",
    "a**",
    "\\p{" + "L".repeat(50) + "}",
    "a".repeat(2000),
  ];
  for (const pattern of refused) await assert.rejects(load(pattern), CheckpointError, pattern);
});

Deno.test("a normalizer that blows a text up is refused", async () => {
  const step = { type: "Replace", pattern: { String: "a" }, content: "a".repeat(64) };
  const blown = { ...wordPiece, normalizer: { type: "Sequence", normalizers: Array(16).fill(step) } };
  await withTokenizer(blown, (tokenizer) => {
    assert.throws(
      () => tokenizer.encode("aaa", undefined, 10),
      new CheckpointError("the tokenizer's normalizer makes a text out of all proportion long"),
    );
  });
});

Deno.test("a lone surrogate counts as U+FFFD", async () => {
  const folder = new URL("../fixtures/byte_level_bpe", import.meta.url).pathname;
  const tokenizer = await loadTokenizer(folder);
  assert.deepEqual(
    tokenizer.encode("a\ud800b \udc00", "\udbff", 99),
    tokenizer.encode("a\ufffdb \ufffd", "\ufffd", 99),
  );
});

Deno.test("four times the text takes not much more than four times as long, whatever it is made of", async () => {
  const units = [
    "a",
    "a\u0301",
    "\u0301",
    " ",
    "\n",
    "\u4e2d",
    "[SEP]",
    " [SEP]",
    "new ",
    "new",
    "!",
    "\u200d",
    "\u1100",
    "'",
  ];
  const sound = JSON.parse(await Deno.readTextFile(bytePairs));
  for (const kind of [wordPiece, unigram, sound]) {
    await withTokenizer(kind, (tokenizer) => {
      for (const unit of units) {
        const seconds = (length: number): number => {
          const text = unit.repeat(length / unit.length);
          const start = performance.now();
          tokenizer.encode(text, undefined, 1e9);
          return (performance.now() - start) / 1000;
        };
        const short = Math.max(seconds(40_000), seconds(40_000));
        assert.ok(seconds(160_000) < 12 * short + 0.5, `${JSON.stringify(unit)} takes too long`);
      }
    });
  }
});
