// Makes src/data/tokenizer/unicode_tables.ts: FEWTUNE_TEST_PYTHON=PYTHON deno run -A tools/unicode_tables.ts

import { runPython } from "../tests/support/python.ts";

type Ranges = [first: number, last: number][];
type Pairs = [text: string, changed: string][];

interface Classes {
  removed: Ranges;
  accents: Ranges;
  marks: Ranges;
  punctuation: Ranges;
  words: Ranges;
  numbers: Ranges;
  reordered: Ranges;
  decomposed: Pairs;
  lowered: Pairs;
}

const points: number[] = [];
for (let point = 0; point < 0x110000; point++) if (point < 0xd800 || point > 0xdfff) points.push(point);

const classes: Classes = JSON.parse(await runPython("unicode_classes.py"));
const path = new URL("../src/data/tokenizer/unicode_tables.ts", import.meta.url);
const tables: [name: string, comment: string, ranges: Ranges][] = [
  ["removed", "What BertNormalizer's clean_text removes, noncharacters and surrogates aside.", classes.removed],
  ["accents", "What BertNormalizer's strip_accents removes after decomposition.", classes.accents],
  ["marks", "What StripAccents removes.", classes.marks],
  ["punctuation", "What BertPreTokenizer and Punctuation split off.", classes.punctuation],
  ["words", "What a word is made of, for Whitespace and for `single_word`.", classes.words],
  ["numbers", "What Digits splits off.", classes.numbers],
  [
    "unnormalized",
    "What JavaScript decomposes, composes or reorders, and the Rust implementation does not.",
    unnormalized(),
  ],
];
await Deno.writeTextFile(path, render());

function render(): string {
  const parts = tables.map(([name, comment, ranges]) =>
    `/** ${comment} */\nexport const ${name} =\n  "${encode(ranges)}";\n`
  );
  return `// The classes of characters as the Rust tokenizers know them, written by tools/unicode_tables.ts.\n` +
    `// Of each range, in base 36: the gap since the last one, and, if it is longer than one, a dot and what it has more.\n\n` +
    parts.join("\n") +
    `\n/** Of what JavaScript does not lowercase: a character and its lowercase, and so on. */\n` +
    `export const newlyLowered =\n  "${newlyLowered()}";\n`;
}

function encode(ranges: Ranges): string {
  let next = 0;
  return ranges.map(([first, last]) => {
    const gap = (first - next).toString(36);
    next = last + 1;
    return last > first ? `${gap}.${(last - first).toString(36)}` : gap;
  }).join(" ");
}

/** What Rust lowercases and JavaScript does not: in turn a character and its lowercase. */
function newlyLowered(): string {
  const pairs = classes.lowered.filter(([text, lowered]) =>
    text.toLowerCase() !== lowered && text.length === lowered.length
  );
  return pairs.flat().map((text) => `\\u{${(text.codePointAt(0) ?? 0).toString(16)}}`).join("");
}

/** With what the decompositions are made of, so that nothing is composed of it either. */
function unnormalized(): Ranges {
  const decomposed = new Map(classes.decomposed);
  const reordered = new Set(
    classes.reordered.flatMap(([first, last]) => points.filter((at) => at >= first && at <= last)),
  );
  const isNew = (text: string): boolean =>
    (text.normalize("NFKD") !== text && !decomposed.has(text)) ||
    (hasCombiningClass(text) && !reordered.has(text.codePointAt(0) ?? 0));
  const parts = points.map((point) => String.fromCodePoint(point)).filter((text) => text.normalize("NFD") !== text)
    .filter(isNew).flatMap((text) => [...text.normalize("NFD")]);
  const starters = new Set(parts.filter((part) => !hasCombiningClass(part)));
  return ranges((text) => isNew(text) || starters.has(text));
}

function hasCombiningClass(text: string): boolean {
  const alone = text.normalize("NFD");
  return ("a" + text + "\u0334").normalize("NFD") !== "a" + alone + "\u0334" ||
    ("a\u0345" + text).normalize("NFD") !== "a\u0345" + alone;
}

function ranges(holds: (text: string) => boolean): Ranges {
  const found: Ranges = [];
  for (const point of points) {
    if (!holds(String.fromCodePoint(point))) continue;
    const last = found.at(-1);
    if (last?.[1] === point - 1) last[1] = point;
    else found.push([point, point]);
  }
  return found;
}
