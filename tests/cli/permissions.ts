// The tables of docs/permissions.md, as flags of Deno's.

import assert from "node:assert/strict";
import { cacheFolder } from "../../src/native/cache.ts";
import { findLibTorch } from "../../src/native/libtorch.ts";

const repository = new URL("../../", import.meta.url);
const page = Deno.readTextFileSync(new URL("docs/permissions.md", repository));

/** What the words of the tables stand for: a value, or several with commas between them. */
export type Places = Readonly<Record<string, string>>;

/** The names of the rows that tell of commands. */
export function commandRows(): string[] {
  return [...page.matchAll(/^\| `([a-z]+)` \|/gm)].map(([, name = ""]) => name);
}

/** The flags of some rows, with what their words stand for. */
export function permissions(rows: readonly string[], places: Places): string[] {
  return rows.flatMap(flagsOf).map((flag) => {
    const [name = "", values] = flag.split("=");
    const meant = values?.split(",").map((word) => /^[A-Z]+$/.test(word) ? places[word] ?? word : word);
    return meant ? `${name}=${meant.join(",")}` : name;
  });
}

function flagsOf(row: string): string[] {
  const lines = page.split("\n").filter((line) => line.startsWith(`| ${row} |`) || line.startsWith(`| \`${row}\` |`));
  assert.equal(lines.length, 1, `the rows ${row}`);
  const cell = lines[0]?.split(" | ")[1] ?? "";
  const flags = [...cell.matchAll(/`(--allow[^`]+|-A)`/g)].map(([, flag = ""]) => flag);
  return cell.startsWith("computing") ? [...flagsOf("computing"), ...flags] : flags;
}

/** The places that are the same for every command. */
export async function commonPlaces(): Promise<Places> {
  const libtorch = await findLibTorch();
  assert.ok(libtorch, "the tests need LibTorch");
  const native = new URL("native", repository).pathname;
  const place = libtorch.source === "cache" ? cacheFolder("libtorch") : libtorch.root;
  return { LIBTORCH: place, CACHE: cacheFolder(), SHIM: cacheFolder("shim"), NATIVE: native };
}
