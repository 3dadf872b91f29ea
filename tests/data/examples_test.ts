// From tables to examples: labels found or given, and every way in which a label or a column can be wrong.
import assert from "node:assert/strict";
import { readExamples } from "../../src/data/examples.ts";
import { discoverLabels, LabelSet } from "../../src/data/labels.ts";
import type { Table } from "../../src/data/table.ts";
import { DataError, OptionError } from "../../src/errors.ts";

function tableOf(columns: Record<string, string[]>): Table {
  const names = Object.keys(columns);
  const count = Math.max(...Object.values(columns).map((values) => values.length));
  const rows = Array.from(
    { length: count },
    (_, at) => Object.fromEntries(names.map((name) => [name, columns[name]?.[at] ?? ""])),
  );
  return { path: "data.tsv", columns: names, rows, lines: rows.map((_, index) => index + 2) };
}

Deno.test("examples have the text, the pair and the label's id, or what of these there is", () => {
  const table = tableOf({ a: ["x", "y"], b: ["p", ""], c: ["spam", " ham "] });
  const labels = new LabelSet(["ham", "spam"]);
  assert.deepEqual(readExamples(table, { text: "a" }), [{ text: "x" }, { text: "y" }]);
  assert.deepEqual(readExamples(table, { text: "a", textPair: "b", label: "c", labels }), [
    { text: "x", textPair: "p", label: 1 },
    { text: "y", textPair: "", label: 0 },
  ]);
});

Deno.test("words are ordered by their characters, integers by their value", () => {
  const namesOf = (values: string[]): readonly string[] => discoverLabels(tableOf({ c: values }), "c").names;
  assert.deepEqual(namesOf(["neutral", "entailment", "neutral", "contradiction"]), [
    "contradiction",
    "entailment",
    "neutral",
  ]);
  assert.deepEqual(namesOf(["10", "9", "0", "1", "9"]), ["0", "1", "9", "10"]);
  assert.deepEqual(namesOf(["1", "-1"]), ["-1", "1"]);
  assert.deepEqual(namesOf(["10", "9", "b"]), ["10", "9", "b"]);
  assert.deepEqual(namesOf(["__proto__", "constructor"]), ["__proto__", "constructor"]);
});

Deno.test("what cannot be a set of labels is refused", () => {
  assert.throws(
    () => discoverLabels(tableOf({ c: ["a", "b", " "] }), "c"),
    new DataError('data.tsv, line 4: "c" is empty'),
  );
  assert.throws(
    () => discoverLabels(tableOf({ c: ["a", "a"] }), "c"),
    new DataError('data.tsv has only one label, "a": there is nothing to learn'),
  );
  assert.throws(() => new LabelSet([]), OptionError);
  assert.throws(() => new LabelSet(["a", "b", "a"]), OptionError);
});

Deno.test("a label that is not known is named with its line and those that are", () => {
  const table = tableOf({ a: ["x", "y", "z"], c: ["ham", "spam", "eggs"] });
  assert.throws(
    () => readExamples(table, { text: "a", label: "c", labels: new LabelSet(["ham", "spam"]) }),
    new DataError('data.tsv, line 4: the label "eggs" is not a known label (ham, spam)'),
  );
  const numbers = tableOf({ a: ["x", "y"], c: ["1", "3"] });
  assert.throws(
    () => readExamples(numbers, { text: "a", label: "c", labels: LabelSet.numbered(3) }),
    new DataError('data.tsv, line 3: the label "3" is not a known label (0, 1, 2)'),
  );
});

Deno.test("a missing column is named with those that there are", () => {
  const table = tableOf({ sentence: ["x"], label: ["1"] });
  const expected = (column: string): DataError =>
    new DataError(`data.tsv has no column "${column}", it has: sentence, label`);
  assert.throws(() => readExamples(table, { text: "text" }), expected("text"));
  assert.throws(() => readExamples(table, { text: "sentence", textPair: "pair" }), expected("pair"));
  assert.throws(
    () => readExamples(table, { text: "sentence", label: "toString", labels: "regression" }),
    expected("toString"),
  );
  assert.throws(() => discoverLabels(table, "class"), expected("class"));
});

Deno.test("in regression a label is any decimal number, and nothing else", () => {
  const read = (values: string[]): (number | undefined)[] =>
    readExamples(tableOf({ a: values, c: values }), { text: "a", label: "c", labels: "regression" })
      .map(({ label }) => label);
  assert.deepEqual(read(["5.000", "-1", " .5 ", "1e-3", "+2."]), [5, -1, 0.5, 0.001, 2]);
  for (const wrong of ["", "x", "1,5", "0x10", "NaN", "Infinity", "1e999", "1 2", "-"]) {
    assert.throws(
      () => read(["1", wrong]),
      new DataError(`data.tsv, line 3: the label ${JSON.stringify(wrong)} is not a number`),
    );
  }
});
