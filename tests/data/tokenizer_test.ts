// Tokenizing: the same ids as Python's tokenizers on real and hostile texts, and damaged files refused.
import assert from "node:assert/strict";
import { encodeExamples } from "../../src/data/encode.ts";
import { loadTokenizer, type Tokenizer } from "../../src/data/tokenizer.ts";
import { CheckpointError, OptionError } from "../../src/errors.ts";
import { minilmFolder } from "../../src/experiments/minilm.ts";
import { cacheFolder } from "../../src/native/cache.ts";

const fixtures = new URL("../fixtures/", import.meta.url).pathname;
const byteLevelFolder = `${fixtures}byte_level_bpe`;

interface Case {
  text: string;
  pair?: string;
  maxLength: number;
  ids: number[];
  /** Where absent, all are 0. */
  types?: number[];
}

function assertEqualsPython(tokenizer: Tokenizer, fixture: string): void {
  const cases: Case[] = JSON.parse(Deno.readTextFileSync(fixtures + fixture));
  assert.ok(cases.length >= 300);
  for (const { text, pair, maxLength, ids, types = ids.map(() => 0) } of cases) {
    const { inputIds, tokenTypeIds } = tokenizer.encode(text, pair, maxLength);
    const what = JSON.stringify({ text, pair, maxLength });
    assert.deepEqual(inputIds, ids, what);
    assert.deepEqual(tokenTypeIds, types, what);
  }
}

Deno.test("MiniLM's tokenizer gives Python's ids and segments, truncation included", async () => {
  const tokenizer = await loadTokenizer(await minilmFolder(cacheFolder("models")));
  assertEqualsPython(tokenizer, "tokenizer_minilm.json");
  assert.equal(tokenizer.padTokenId, 0);
  assert.equal(tokenizer.vocabSize, 30522);
});

Deno.test("a byte-level tokenizer of RoBERTa's kind gives Python's ids and segments", async () => {
  const tokenizer = await loadTokenizer(byteLevelFolder);
  assertEqualsPython(tokenizer, "tokenizer_byte_level_bpe.json");
  assert.equal(tokenizer.vocabSize, 700);
});

Deno.test("examples are encoded in their order, each with its label", async () => {
  const tokenizer = await loadTokenizer(byteLevelFolder);
  const [first, second] = encodeExamples([{ text: "a b c d", label: 1 }, { text: "a", textPair: "b" }], tokenizer, 4);
  assert.deepEqual(first?.inputIds, Int32Array.from(tokenizer.encode("a b c d", undefined, 4).inputIds));
  assert.equal(first?.inputIds.length, 4);
  assert.equal(first?.label, 1);
  assert.equal(second && "label" in second, false);
});

Deno.test("a length without room for the special tokens is refused", async () => {
  const tokenizer = await loadTokenizer(byteLevelFolder);
  assert.deepEqual(tokenizer.encode("text", undefined, 2).inputIds, [0, 2]);
  for (const length of [1, 0, -1, NaN]) assert.throws(() => tokenizer.encode("text", undefined, length), OptionError);
  assert.throws(() => tokenizer.encode("text", "pair", 3), OptionError);
});

Deno.test("a missing or damaged tokenizer is one clear line", async () => {
  const sound = JSON.parse(await Deno.readTextFile(`${byteLevelFolder}/tokenizer.json`));
  const folder = await Deno.makeTempDir();
  const refused = async (tokenizer: string, reason: RegExp, config?: string): Promise<void> => {
    await Deno.writeTextFile(`${folder}/tokenizer.json`, tokenizer);
    if (config !== undefined) await Deno.writeTextFile(`${folder}/tokenizer_config.json`, config);
    await assert.rejects(loadTokenizer(folder), (error) => {
      assert.ok(error instanceof CheckpointError, String(error));
      assert.match(error.message, new RegExp(`^${folder}/tokenizer[^\n]*$`));
      assert.match(error.message, reason);
      return true;
    });
  };
  try {
    await assert.rejects(loadTokenizer(folder), /tokenizer\.json does not exist; a model folder needs/);
    await refused("", /cannot be read/);
    await refused("{", /cannot be read/);
    await refused("[]", /not a tokenizer that can be used/);
    await refused("null", /cannot be read: it is not a JSON object/);
    await refused("{}", /not a tokenizer that can be used: .*model/);
    await refused(JSON.stringify({ ...sound, model: { type: "Strange" } }), /Strange/);
    await refused(JSON.stringify({ ...sound, model: { ...sound.model, vocab: { a: "x" } } }), /gives "a" the id "x"/);
    await refused(JSON.stringify({ ...sound, model: { ...sound.model, vocab: {} }, added_tokens: [] }), /empty/);
    await refused(
      JSON.stringify({ ...sound, model: { ...sound.model, vocab: { a: 0 }, merges: [] }, added_tokens: [] }),
      /special/,
    );
    await refused(JSON.stringify({ ...sound, added_tokens: null }), /not a tokenizer that can be used/);
    await refused(JSON.stringify({ ...sound, post_processor: { type: "Strange" } }), /Strange/);
    await refused(JSON.stringify({ ...sound, post_processor: { type: "TemplateProcessing" } }), /not a tokenizer/);
    await refused(JSON.stringify(sound), /tokenizer_config\.json cannot be read/, "{");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
