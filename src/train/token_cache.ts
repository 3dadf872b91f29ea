// Encoded tables in the user's cache, so that a table is tokenized once: found by the hash of all that decides them.

import { createHash } from "node:crypto";
import { join } from "node:path";
import type { EncodedExample } from "../data/encode.ts";
import { type EncodedText, packTexts, unpackTexts } from "../data/encoded_file.ts";
import type { Example } from "../data/examples.ts";
import { encodingVersion, type Tokenizer } from "../data/tokenizer.ts";
import { cacheFolder } from "../native/cache.ts";
import { version } from "../version.ts";
import { chunkSize, encodeInChunks, type EncodeOptions } from "./table_data.ts";

/** How a table is encoded. */
export interface EncodeTableOptions extends EncodeOptions {
  /** Whether encoded tables are kept, and looked for, in the user's cache. Default true. */
  readonly tokenCache?: boolean | undefined;
}

/** The most that the encoded tables take, in bytes; those that were not used for longest go first. */
export const tokenCacheBytes = 2 ** 31;

/**
 * Encodes a table's examples as {@linkcode encodeInChunks} does, or reads from the cache what that gave before: where
 * the tokenizer's files, the length, the texts and the version of Fewtune are the same. Tables of a few hundred rows are
 * not kept. A cache that cannot be read or written is none.
 *
 * Needs `--allow-read` and `--allow-write` of the cache folder, and what {@linkcode cacheFolder} needs.
 */
export async function encodeTable(
  examples: readonly Example[],
  tokenizer: Tokenizer,
  { tokenCache = true, ...options }: EncodeTableOptions,
): Promise<EncodedExample[]> {
  if (!tokenCache || examples.length <= chunkSize) return await encodeInChunks(examples, tokenizer, options);
  const key = tokensKey(examples, tokenizer, options.maxLength);
  const kept = await attempt(() => readTokens(cacheFolder("tokens"), key));
  if (kept?.length === examples.length) {
    options.onProgress?.(examples.length, examples.length);
    return kept.map((text, index) => withLabel(text, examples[index]?.label));
  }
  const encoded = await encodeInChunks(examples, tokenizer, options);
  if (encoded.length === examples.length) await attempt(() => writeTokens(cacheFolder("tokens"), key, encoded));
  return encoded;
}

function withLabel(text: EncodedText, label: number | undefined): EncodedExample {
  return { ...text, ...(label !== undefined && { label }) };
}

// Whatever is wrong with the cache, the work goes on without it.
async function attempt<Result>(work: () => Promise<Result>): Promise<Result | null> {
  try {
    return await work();
  } catch {
    return null;
  }
}

/** The hash of all that decides what examples are encoded to, their labels left out. V8 brings Unicode's tables. */
export function tokensKey(examples: readonly Example[], { digest }: Tokenizer, maxLength: number): string {
  const hash = createHash("sha256");
  hash.update(JSON.stringify([version, encodingVersion, Deno.version.v8, digest, maxLength, examples.length]));
  for (let from = 0; from < examples.length; from += chunkSize) {
    const texts = examples.slice(from, from + chunkSize).map(({ text, textPair }) => [text, textPair]);
    hash.update(JSON.stringify(texts));
  }
  return hash.digest("hex");
}

/**
 * The texts that were kept under a key, whose time of last use becomes now; null when they were not, or the file is
 * damaged.
 *
 * @throws {Error} of the system's when the file cannot be read, or is not there
 */
export async function readTokens(folder: string, key: string): Promise<EncodedText[] | null> {
  const path = fileOf(folder, key);
  const texts = unpackTexts(await Deno.readFile(path), key);
  if (texts !== null) await attempt(() => Deno.utime(path, new Date(), new Date()));
  return texts;
}

/**
 * Keeps texts under a key: a file that takes its name when all is written. Files that were not used for longest are
 * removed where all take more than `limit` bytes.
 *
 * @throws {Error} of the system's when the folder cannot be written
 */
export async function writeTokens(
  folder: string,
  key: string,
  texts: readonly EncodedText[],
  limit: number = tokenCacheBytes,
): Promise<void> {
  await Deno.mkdir(folder, { recursive: true });
  const partial = join(folder, `.${key}.${crypto.randomUUID().slice(0, 8)}.partial`);
  try {
    await Deno.writeFile(partial, packTexts(texts, key), { createNew: true });
    await Deno.rename(partial, fileOf(folder, key));
  } catch (error) {
    await attempt(() => Deno.remove(partial));
    throw error;
  }
  await removeOldest(folder, limit);
}

function fileOf(folder: string, key: string): string {
  return join(folder, `${key}.tokens`);
}

// What a process that was killed left half-written grows old like the rest.
async function removeOldest(folder: string, limit: number): Promise<void> {
  const paths = (await Array.fromAsync(Deno.readDir(folder))).map(({ name }) => join(folder, name));
  const found = await Promise.all(paths.map(async (path) => ({ path, file: await attempt(() => Deno.lstat(path)) })));
  const lastUse = ({ file }: typeof found[number]): number => file?.mtime?.getTime() ?? 0;
  let bytes = 0;
  for (const { path, file } of found.toSorted((a, b) => lastUse(b) - lastUse(a))) {
    bytes += file?.size ?? 0;
    if (bytes > limit) await attempt(() => Deno.remove(path));
  }
}
