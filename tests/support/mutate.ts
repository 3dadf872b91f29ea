// Hostile variants of a file, the same for the same seed: bytes changed anywhere, or JSON changed in its structure.

import { SeededRandom } from "../../src/data/prng.ts";

/** One hostile variant of `bytes`: a few flipped, swapped, repeated, removed, inserted, or the end cut off. */
export function mutations(seed: number, bytes: Uint8Array): Uint8Array {
  const random = new SeededRandom(seed);
  let mutated = bytes;
  for (let left = 1 + random.below(3); left > 0; left--) mutated = pick(random, byteChanges)(random, mutated);
  return mutated;
}

/**
 * One hostile variant of a JSON text: one to three values, wherever they are, exchanged for another type, a huge
 * number, a deep nesting or one another; removed; or given a key such as `__proto__`. It parses (unless the nesting is
 * too deep for that, or the root itself was removed).
 */
export function jsonMutations(seed: number, json: string): string {
  const random = new SeededRandom(seed);
  const document = { root: JSON.parse(json) };
  for (let left = 1 + random.below(3); left > 0; left--) changeOneValue(random, document);
  return spell(document.root);
}

type Random = SeededRandom;
type Container = Record<string, unknown>;

const byteChanges: readonly ((random: Random, bytes: Uint8Array) => Uint8Array)[] = [
  (random, bytes) => overwritten(random, bytes, (byte) => byte ^ (1 << random.below(8))),
  (random, bytes) => overwritten(random, bytes, () => random.below(256)),
  (random, bytes) => overwritten(random, bytes, () => pick(random, [0, 0x0a, 0x22, 0x5b, 0x7b, 0x7f, 0x80, 0xff])),
  (random, bytes) => bytes.slice(0, random.below(bytes.length + 1)),
  (random, bytes) => {
    const [from, to] = span(random, bytes);
    return joined(bytes.subarray(0, from), bytes.subarray(to));
  },
  (random, bytes) => {
    const [from, to] = span(random, bytes);
    return joined(bytes.subarray(0, to), bytes.subarray(from));
  },
  (random, bytes) => {
    const at = random.below(bytes.length + 1);
    const inserted = Uint8Array.from({ length: 1 + random.below(16) }, () => random.below(256));
    return joined(bytes.subarray(0, at), inserted, bytes.subarray(at));
  },
  (random, bytes) => {
    const changed = bytes.slice();
    const at = random.below(bytes.length + 1);
    const number = pick(random, [0n, 1n, 0x7fffffffn, 0xffffffffn, 1n << 53n, (1n << 63n) - 1n, (1n << 64n) - 1n]);
    const little = new Uint8Array(BigUint64Array.of(number).buffer);
    changed.set(little.subarray(0, Math.max(0, Math.min(8, bytes.length - at))), at);
    return changed;
  },
];

function overwritten(random: Random, bytes: Uint8Array, change: (byte: number) => number): Uint8Array {
  const changed = bytes.slice();
  for (let left = 1 + random.below(4); left > 0 && bytes.length > 0; left--) {
    const at = random.below(bytes.length);
    changed[at] = change(changed[at] ?? 0);
  }
  return changed;
}

function span(random: Random, bytes: Uint8Array): [from: number, to: number] {
  const from = random.below(bytes.length + 1);
  return [from, Math.min(bytes.length, from + 1 + random.below(64))];
}

function joined(...parts: Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Walks down from the root, stopping anywhere, and changes what it stands on. */
function changeOneValue(random: Random, document: Container): void {
  let parent = document;
  let key = "root";
  for (;;) {
    const value = parent[key];
    if (!isContainer(value) || Object.keys(value).length === 0 || random.below(4) === 0) break;
    parent = value;
    key = pick(random, Object.keys(value));
  }
  pick(random, jsonChanges)(random, parent, key);
}

const jsonChanges: readonly ((random: Random, parent: Container, key: string) => void)[] = [
  (random, parent, key) => parent[key] = structuredClone(pick(random, strangeValues)),
  (random, parent, key) => parent[key] = structuredClone(pick(random, strangeValues)),
  (_, parent, key) => Array.isArray(parent) ? parent.splice(Number(key), 1) : delete parent[key],
  (random, parent, key) => {
    const other = pick(random, [key, ...Object.keys(parent)]);
    [parent[key], parent[other]] = [parent[other], parent[key]];
  },
  (_, parent, key) => parent[key] = [parent[key]],
  (_, parent, key) => parent[key] = { [key]: parent[key] },
  (random, parent, key) => {
    const value = parent[key];
    if (typeof value === "string") {
      parent[key] = value.repeat(random.below(4)) + pick(random, ["", "\0", "é", "\ud800"]);
    } else if (typeof value === "number") parent[key] = pick(random, [-value, value + 0.5, value * 2 ** 32, value + 1]);
    else if (typeof value === "boolean") parent[key] = !value;
    else parent[key] = structuredClone(pick(random, strangeValues));
  },
  (random, parent, key) => {
    const value = parent[key];
    if (!isContainer(value) || Array.isArray(value)) return;
    const name = pick(random, ["__proto__", "constructor", "toString", "", "\0", "length", "type"]);
    Object.defineProperty(value, name, {
      value: { polluted: true },
      enumerable: true,
      configurable: true,
      writable: true,
    });
  },
];

/** Stands for nesting that no parser of bounded depth can walk; {@linkcode spell} writes it out. */
const abyss = "\u0000an abyss";

const strangeValues: readonly unknown[] = [
  null,
  true,
  false,
  0,
  -1,
  0.5,
  1e308,
  -1e308,
  2 ** 31,
  2 ** 32 + 1,
  2 ** 53,
  "",
  "0",
  "null",
  "\ud800",
  "../../../etc/passwd",
  "__proto__",
  "(a+)+$",
  "x".repeat(10_000),
  [],
  {},
  [[]],
  [null],
  [1e308, -1],
  { type: "Strange" },
  { "": {} },
  nested(200),
  abyss,
];

function nested(depth: number): unknown {
  return depth === 0 ? 1 : [nested(depth - 1)];
}

function spell(root: unknown): string {
  return (JSON.stringify(root) ?? "").replaceAll(JSON.stringify(abyss), "[".repeat(20_000) + "]".repeat(20_000));
}

function isContainer(value: unknown): value is Container {
  return typeof value === "object" && value !== null;
}

function pick<Item>(random: Random, items: readonly Item[]): Item {
  const item = items[random.below(items.length)];
  if (item === undefined) throw new RangeError("there is nothing to choose from");
  return item;
}
