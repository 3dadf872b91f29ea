// The cache of encoded tables: what is found there is what the tokenizer gives, and a cache that fails is none.

import assert from "node:assert/strict";
import { join } from "node:path";
import {
  encodeExamples,
  type Example,
  fineTune,
  type FineTuneEvent,
  initialize,
  loadTokenizer,
  type Tokenizer,
} from "../../mod.ts";
import { packTexts, unpackTexts } from "../../src/data/encoded_file.ts";
import { encodeTable, readTokens, tokensKey, writeTokens } from "../../src/train/token_cache.ts";
import { reviews, wordPiece, writeTinyModel } from "../cli/tiny_model.ts";
import { contents, environment, temporaryFolder } from "../native/fakes.ts";
import { mutations } from "../support/mutate.ts";

const examples: readonly Example[] = reviews(300).map(({ text, good }, row) => ({
  text: `${text} ${row}`,
  ...(row % 3 === 0 && { textPair: "the other film" }),
  label: Number(good),
}));
const maxLength = 12;

interface Place extends Disposable {
  readonly folder: string;
  readonly tokens: string;
  readonly tokenizer: Tokenizer;
}

async function makePlace(): Promise<Place> {
  const temporary = temporaryFolder();
  const variables = environment({ FEWTUNE_CACHE: join(temporary.path, "cache") });
  const tokenizer = await tokenizerOf(join(temporary.path, "tokenizer"), wordPiece(120));
  return {
    folder: temporary.path,
    tokens: join(temporary.path, "cache/tokens"),
    tokenizer,
    [Symbol.dispose]: () => {
      variables[Symbol.dispose]();
      temporary[Symbol.dispose]();
    },
  };
}

async function tokenizerOf(folder: string, fields: unknown, config?: unknown): Promise<Tokenizer> {
  Deno.mkdirSync(folder);
  Deno.writeTextFileSync(join(folder, "tokenizer.json"), JSON.stringify(fields));
  if (config) Deno.writeTextFileSync(join(folder, "tokenizer_config.json"), JSON.stringify(config));
  return await loadTokenizer(folder);
}

/** The same tokenizer, which cannot encode: whoever gets an encoded table with it has read it. */
async function mute({ folder }: Place): Promise<Tokenizer> {
  const refuse = (): never => assert.fail("nothing is to be tokenized");
  return Object.assign(await loadTokenizer(join(folder, "tokenizer")), { encode: refuse });
}

/** How often the tokenizer encodes while `work` runs. */
async function encodings(tokenizer: Tokenizer, work: () => Promise<unknown>): Promise<number> {
  const encode = tokenizer.encode.bind(tokenizer);
  let count = 0;
  tokenizer.encode = (...text) => {
    count++;
    return encode(...text);
  };
  await work();
  tokenizer.encode = encode;
  return count;
}

Deno.test("a table is tokenized once: then it is read, with the labels that it has now", async () => {
  using place = await makePlace();
  const expected = encodeExamples(examples, place.tokenizer, maxLength);
  assert.deepEqual(await encodeTable(examples, place.tokenizer, { maxLength }), expected);
  const silent = await mute(place);
  const progress: number[][] = [];
  const onProgress = (done: number, total: number): void => void progress.push([done, total]);
  assert.deepEqual(await encodeTable(examples, silent, { maxLength, onProgress }), expected);
  assert.deepEqual(progress, [[300, 300]]);
  const relabelled = examples.map(({ label: _, ...texts }, row) => row % 2 ? { ...texts, label: 0.5 + row } : texts);
  assert.deepEqual(
    await encodeTable(relabelled, silent, { maxLength }),
    encodeExamples(relabelled, place.tokenizer, maxLength),
  );
  assert.deepEqual(contents(place.tokens), [`${tokensKey(examples, place.tokenizer, maxLength)}.tokens`]);
});

Deno.test("the key is of all that decides the ids, and of nothing else", async () => {
  using place = await makePlace();
  const { tokenizer, folder } = place;
  const [first, second, ...rest] = examples;
  assert.ok(first?.textPair !== undefined && second !== undefined);
  const other = (name: string, config?: unknown): Promise<Tokenizer> =>
    tokenizerOf(join(folder, name), wordPiece(name === "larger" ? 121 : 120), config);
  const keys = [
    tokensKey(examples, tokenizer, maxLength),
    tokensKey(examples, tokenizer, maxLength + 1),
    tokensKey([second, first, ...rest], tokenizer, maxLength),
    tokensKey(examples.slice(1), tokenizer, maxLength),
    tokensKey([{ text: first.text + first.textPair }, second, ...rest], tokenizer, maxLength),
    tokensKey([{ text: first.text, textPair: "" }, second, ...rest], tokenizer, maxLength),
    tokensKey([{ text: first.text }, second, ...rest], tokenizer, maxLength),
    tokensKey([{ text: first.text, textPair: `${first.textPair} ` }, second, ...rest], tokenizer, maxLength),
    tokensKey(examples, await other("larger"), maxLength),
    tokensKey(examples, await other("left", { truncation_side: "left" }), maxLength),
  ];
  assert.equal(new Set(keys).size, keys.length);
  assert.equal(tokensKey(examples.map((each) => ({ ...each, label: 7 })), await other("same"), maxLength), keys[0]);
});

Deno.test("a tokenizer of older files has a digest of all of them", async () => {
  using temporary = temporaryFolder();
  const write = (name: string, text: string): void => Deno.writeTextFileSync(join(temporary.path, name), text);
  write("config.json", JSON.stringify({ model_type: "bert" }));
  write("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nfilm\n");
  const digests = [(await loadTokenizer(temporary.path)).digest];
  assert.equal((await loadTokenizer(temporary.path)).digest, digests[0]);
  write("special_tokens_map.json", "{}");
  digests.push((await loadTokenizer(temporary.path)).digest);
  write("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nfilms\n");
  digests.push((await loadTokenizer(temporary.path)).digest);
  assert.equal(new Set(digests).size, 3);
});

Deno.test("a damaged file, or one under another's name, is never believed", async () => {
  using place = await makePlace();
  const texts = encodeExamples(examples.slice(0, 9), place.tokenizer, maxLength).map(({ label: _, ...text }) => text);
  const packed = packTexts(texts, "key");
  assert.deepEqual(unpackTexts(packed, "key"), texts);
  assert.deepEqual(unpackTexts(packTexts([], "key"), "key"), []);
  assert.equal(unpackTexts(packed, "yek"), null);
  for (let length = 0; length < packed.length; length++) {
    assert.equal(unpackTexts(packed.slice(0, length), "key"), null);
  }
  let changed = 0;
  for (let seed = 0; seed < 2000; seed++) {
    const mutated = mutations(seed, packed);
    if (mutated.length === packed.length && mutated.every((byte, index) => byte === packed[index])) continue;
    changed++;
    assert.equal(unpackTexts(mutated, "key"), null, `mutation ${seed}`);
  }
  assert.ok(changed > 1500);
});

Deno.test("what was damaged is made again", async () => {
  using place = await makePlace();
  const expected = await encodeTable(examples, place.tokenizer, { maxLength });
  const [name = ""] = contents(place.tokens);
  const path = join(place.tokens, name);
  const whole = Deno.readFileSync(path);
  for (const damaged of [new Uint8Array(), whole.slice(0, 999), whole.with(500, (whole[500] ?? 0) ^ 4)]) {
    Deno.writeFileSync(path, damaged);
    assert.deepEqual(await encodeTable(examples, place.tokenizer, { maxLength }), expected);
    assert.deepEqual(Deno.readFileSync(path), whole);
  }
});

Deno.test("nothing is kept of small tables, of what was interrupted, or when it is turned off", async () => {
  using place = await makePlace();
  const { tokenizer, tokens } = place;
  await encodeTable(examples.slice(0, 256), tokenizer, { maxLength });
  await encodeTable(examples, tokenizer, { maxLength, tokenCache: false });
  const controller = new AbortController();
  const part = await encodeTable(examples, tokenizer, {
    maxLength,
    signal: controller.signal,
    onProgress: () => controller.abort(),
  });
  assert.equal(part.length, 256);
  assert.deepEqual(contents(tokens), []);
  await encodeTable(examples, tokenizer, { maxLength });
  const again = (): Promise<unknown> => encodeTable(examples, tokenizer, { maxLength, tokenCache: false });
  assert.equal(await encodings(tokenizer, again), 300);
});

Deno.test("without a cache that can be used, tables are tokenized", async () => {
  using place = await makePlace();
  const { tokenizer, folder } = place;
  const expected = encodeExamples(examples, tokenizer, maxLength);
  Deno.writeTextFileSync(join(folder, "file"), "");
  for (const cache of [{ FEWTUNE_CACHE: join(folder, "file") }, noCache, { FEWTUNE_CACHE: "/proc/fewtune" }]) {
    using _ = environment(cache);
    assert.deepEqual(await encodeTable(examples, tokenizer, { maxLength }), expected);
  }
});

const noCache = { FEWTUNE_CACHE: null, XDG_CACHE_HOME: null, HOME: null };

Deno.test("over the limit, those go that were not used for longest, half-written ones too", async () => {
  using place = await makePlace();
  const texts = encodeExamples(examples, place.tokenizer, maxLength);
  const size = packTexts(texts, "a").length;
  const age = (name: string, seconds: number): void => {
    const time = new Date(Date.now() - 1000 * seconds);
    Deno.utimeSync(join(place.tokens, name), time, time);
  };
  for (const key of ["a", "b", "c"]) await writeTokens(place.tokens, key, texts);
  Deno.writeTextFileSync(join(place.tokens, ".d.1234.partial"), "half");
  ["a.tokens", "b.tokens", ".d.1234.partial", "c.tokens"].forEach((name, index) => age(name, 400 - 100 * index));
  assert.equal((await readTokens(place.tokens, "a"))?.length, 300);
  await writeTokens(place.tokens, "e", texts, 3 * size);
  assert.deepEqual(contents(place.tokens).toSorted(), ["a.tokens", "c.tokens", "e.tokens"]);
  await writeTokens(place.tokens, "f", texts, size - 1);
  assert.deepEqual(contents(place.tokens), []);
});

Deno.test("several that write and read the same table leave one whole file", async () => {
  using place = await makePlace();
  const expected = encodeExamples(examples, place.tokenizer, maxLength);
  const all = await Promise.all(
    Array.from({ length: 8 }, () => encodeTable(examples, place.tokenizer, { maxLength })),
  );
  for (const encoded of all) assert.deepEqual(encoded, expected);
  assert.equal(contents(place.tokens).length, 1);
  assert.deepEqual(await encodeTable(examples, await mute(place), { maxLength }), expected);
});

Deno.test("training from the cache gives the same bytes as training without it", async () => {
  await initialize();
  using place = await makePlace();
  const { folder, tokens } = place;
  const model = join(folder, "model");
  writeTinyModel(model);
  const train = join(folder, "train.tsv");
  const rows = examples.map(({ text, label }) => `${text}\t${label}\n`).join("");
  Deno.writeTextFileSync(train, `text\tlabel\n${rows}`);
  const weights = async (name: string, tokenCache: boolean): Promise<Uint8Array> => {
    const outputDir = join(folder, name);
    const events: FineTuneEvent[] = [];
    const onEvent = (event: FineTuneEvent): void => void events.push(event);
    await fineTune({ model, train, outputDir, tokenCache, maxSteps: 2, batchSize: 8, threads: 1, onEvent });
    assert.ok(events.some((event) => event.type === "progress" && event.done === 300));
    return Deno.readFileSync(join(outputDir, "model.safetensors"));
  };
  const without = await weights("without", false);
  assert.deepEqual(contents(tokens), []);
  assert.deepEqual(await weights("first", true), without);
  assert.equal(contents(tokens).length, 1);
  assert.deepEqual(await weights("second", true), without);
});
