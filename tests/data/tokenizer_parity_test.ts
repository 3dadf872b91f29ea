// Tokenizers of every kind, trained on the spot: the same ids and segments as in Python, on thousands of texts and pairs.

import assert from "node:assert/strict";
import { loadTokenizer } from "../../src/data/tokenizer.ts";
import { runPython } from "../support/python.ts";

type Case = [text: string, pair: string | null, maxLength: number];
type Expected = [ids: number[], types: number[] | null];

// The scripts leave room for four special tokens.
const shortest = 4;

const trained = [
  "bert_uncased",
  "bert_cased",
  "bert_characters",
  "bert_cased_characters",
  "bert_accents_characters",
  "roberta",
  "roberta_few_bytes",
  "roberta_left",
  "opt",
  "xlm_r",
  "xlm_r_newer",
  "xlm_r_characters",
  "xlm_r_bytes",
  "others_nfkc",
  "others_nfkd",
  "others_nfc",
];

const legacy = [
  "bert",
  "bert_cased",
  "bert_options",
  "distilbert",
  "roberta",
  "roberta_map",
  "opt",
  "opt_decoder",
  "gpt2",
  "xlm_r",
  "xlm_r_map",
];

async function readJson<Content>(path: string): Promise<Content> {
  return JSON.parse(await Deno.readTextFile(path));
}

async function assertParity(folder: string, name: string, cases: readonly Case[]): Promise<void> {
  const tokenizer = await loadTokenizer(`${folder}/${name}`);
  const expected = await readJson<Expected[]>(`${folder}/${name}.json`);
  assert.equal(expected.length, cases.length);
  const different: string[] = [];
  for (const [index, [ids, types]] of expected.entries()) {
    const [text, pair, maxLength] = cases[index] ?? ["", null, 0];
    const { inputIds, tokenTypeIds } = tokenizer.encode(text, pair ?? undefined, Math.max(maxLength, shortest));
    const isSame = sameNumbers(inputIds, ids) && sameNumbers(tokenTypeIds, types ?? ids.map(() => 0));
    if (!isSame) different.push(JSON.stringify([text, pair, maxLength, ids, inputIds]).slice(0, 1000));
  }
  const some = different.slice(0, 5).join("\n");
  assert.equal(different.length, 0, `${different.length} of ${cases.length}, such as\n${some}`);
}

function sameNumbers(some: readonly number[], others: readonly number[]): boolean {
  return some.length === others.length && some.every((number, index) => number === others[index]);
}

Deno.test("ids and segments are those of Python, with tokenizer.json and with the files from before it", async (test) => {
  const folder = await Deno.makeTempDir();
  const older = await Deno.makeTempDir();
  try {
    await runPython("tokenizer_parity.py", [folder]);
    await runPython("tokenizer_legacy.py", [folder, older]);
    const cases = await readJson<Case[]>(`${folder}/cases.json`);
    assert.ok(cases.length >= 2_500);
    for (const name of trained) await test.step(name, () => assertParity(folder, name, cases));
    const third = cases.filter((_, index) => index % 3 === 0);
    for (const name of legacy) await test.step(`older files: ${name}`, () => assertParity(older, name, third));
  } finally {
    await Deno.remove(folder, { recursive: true });
    await Deno.remove(older, { recursive: true });
  }
});
