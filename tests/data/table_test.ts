// Tables from TSV, CSV and JSONL: what files of real life hold, and one clear line for what they should not.
import assert from "node:assert/strict";
import { readTable, type Table } from "../../src/data/table.ts";
import { DataError } from "../../src/errors.ts";

async function readAs(name: string, content: string | Uint8Array): Promise<Table> {
  const folder = await Deno.makeTempDir();
  try {
    const path = `${folder}/${name}`;
    await Deno.writeFile(path, typeof content === "string" ? new TextEncoder().encode(content) : content);
    return await readTable(path);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function assertRefused(name: string, content: string | Uint8Array, reason: string): Promise<void> {
  await assert.rejects(readAs(name, content), (error) => {
    assert.ok(error instanceof DataError, String(error));
    assert.match(error.message, /^\/[^\n]*$/);
    assert.ok(error.message.endsWith(reason), `${error.message}\ndoes not end with\n${reason}`);
    return true;
  });
}

function values({ columns, rows }: Table): (string | undefined)[][] {
  return rows.map((row) => columns.map((column) => row[column]));
}

Deno.test("in TSV quotes are literal, wherever they are", async () => {
  const table = await readAs("a.tsv", 'text\tlabel\n"open\t1\nin "the" middle"\t0\n""\t1\n\'\t\\\n');
  assert.deepEqual(table.columns, ["text", "label"]);
  assert.deepEqual(values(table), [['"open', "1"], ['in "the" middle"', "0"], ['""', "1"], ["'", "\\"]]);
  assert.deepEqual(table.lines, [2, 3, 4, 5]);
});

Deno.test("in CSV quoted fields hold commas, quotes and line breaks, and rows know their lines", async () => {
  const table = await readAs("a.CSV", 'text,label\n"one, ""two""\nthree",a\n\nfour,b\n"five\r\nsix\n",c');
  assert.deepEqual(values(table), [['one, "two"\nthree', "a"], ["four", "b"], ["five\nsix\n", "c"]]);
  assert.deepEqual(table.lines, [2, 5, 6]);
});

Deno.test("byte-order marks, carriage returns, blank lines, empty fields and odd names are no matter", async () => {
  for (const ending of ["\n", "\r\n"]) {
    const csv = await readAs("a.csv", ["\uFEFFtext,__proto__", "é,", ",日本", "", ""].join(ending));
    assert.deepEqual(csv.columns, ["text", "__proto__"]);
    assert.deepEqual(values(csv), [["é", ""], ["", "日本"]]);
    const jsonl = await readAs("a.jsonl", ["\uFEFF", '{"text":"a"}', "", '{"text":"b"} ', ""].join(ending));
    assert.deepEqual(values(jsonl), [["a"], ["b"]]);
    assert.deepEqual(jsonl.lines, [2, 4]);
  }
});

Deno.test("a lone carriage return is part of a field, and moves no line number", async () => {
  const table = await readAs("a.tsv", "a\tb\nx\ry\t1\r\n\n2\t3\n");
  assert.deepEqual(values(table), [["x\ry", "1"], ["2", "3"]]);
  assert.deepEqual(table.lines, [2, 4]);
});

Deno.test("JSONL values become text, in whatever order the keys come", async () => {
  const table = await readAs("a.jsonl", '{"text":"a\\nb","n":1.50,"ok":true}\n{"ok":false,"n":-2,"text":""}\n');
  assert.deepEqual(table.columns, ["text", "n", "ok"]);
  assert.deepEqual(values(table), [["a\nb", "1.5", "true"], ["", "-2", "false"]]);
});

Deno.test("a row that does not fit is named by its line", async () => {
  await assertRefused("a.tsv", "a\tb\n1\t2\n\n3\n", "line 4: 1 value where the header names 2 columns");
  await assertRefused("a.csv", 'a,b\n"1\n2",3\n4,5,6\n', "line 4: 3 values where the header names 2 columns");
  await assertRefused("a.csv", 'a,b\n1,2\n3,"4\n5,6\n', "a quote that is opened after line 2 is never closed");
  await assertRefused(
    "a.csv",
    'a,b\n1,x"2"\n',
    'Invalid Opening Quote: a quote is found on field 1 at line 2, value is "x"',
  );
  await assertRefused("a.csv", "a,b,a\n1,2,3\n", 'has two columns named "a"');
  await assertRefused("a.jsonl", '{"a":"1"}\n{"a":"1"\n', "line 2: not valid JSON");
  await assertRefused("a.jsonl", '{"a":"1"}\n\n["1"]\n', "line 3: not a JSON object");
  await assertRefused("a.jsonl", '{"a":null}\n', 'line 1: "a" is null, not a string, number or boolean');
  await assertRefused("a.jsonl", '{"a":["x"]}\n', 'line 1: "a" is a list, not a string, number or boolean');
  await assertRefused("a.jsonl", '{"a":"1","b":"2"}\n{"a":"1"}\n', 'line 2: "b" is missing');
  await assertRefused("a.jsonl", '{"a":"1"}\n{"a":"1","c":"2"}\n', 'line 2: "c" is not in the first line');
});

Deno.test("a file without rows, or that is no table, is refused", async () => {
  for (const name of ["a.tsv", "a.csv", "a.jsonl"]) {
    await assertRefused(name, "", "is empty");
    await assertRefused(name, "\uFEFF\r\n \n", "is empty");
    await assertRefused(name, Uint8Array.of(97, 0xFF, 10), "is not UTF-8 text; convert it first");
  }
  await assertRefused("a.tsv", "text\tlabel\n", "has a header but no rows");
  await assertRefused("a.csv", "text,label\r\n\r\n", "has a header but no rows");
  await assertRefused(
    "a.txt",
    "a\n1\n",
    "is not a table that can be read: its name must end in .tsv, .csv, .jsonl or .parquet",
  );
  await assert.rejects(readTable("/nowhere/x.tsv"), new DataError("/nowhere/x.tsv does not exist"));
  const folder = await Deno.makeTempDir({ suffix: ".csv" });
  await assert.rejects(readTable(folder), /cannot be read: Is a directory/);
  await Deno.remove(folder);
});
