// Parquet files that pyarrow wrote, in every layout: the same values as pyarrow reads, and one clear line for the rest.
import assert from "node:assert/strict";
import { SeededRandom } from "../../src/data/prng.ts";
import { readTable, type Table } from "../../src/data/table.ts";
import { columnOf } from "../../src/data/table_column.ts";
import { readExamples } from "../../src/data/examples.ts";
import { discoverLabels, LabelSet } from "../../src/data/labels.ts";
import { DataError } from "../../src/errors.ts";
import { runPython } from "../support/python.ts";

interface Described {
  readonly path: string;
  readonly columns: readonly string[];
  readonly rows: readonly (readonly (string | number)[])[];
}

const folder = Deno.makeTempDirSync();
addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));
const written: Record<string, Described> = JSON.parse(await runPython("parquet.py", [folder]));

const read = (name: string): Promise<Table> => readTable(`${folder}/${name}.parquet`);

async function readRefused(name: string, reason: RegExp): Promise<void> {
  await assert.rejects(read(name), (error) => {
    assert.ok(error instanceof DataError, String(error));
    assert.match(error.message, new RegExp(`^${folder}/${name}\\.parquet [^\\n]*$`));
    assert.match(error.message, reason);
    return true;
  });
}

for (const [name, expected] of Object.entries(written)) {
  Deno.test(`every value as pyarrow reads it: ${name}`, async () => {
    const table = await readTable(expected.path);
    assert.deepEqual(table.columns, expected.columns);
    assert.equal(table.rows.length, expected.rows.length);
    for (const [index, row] of expected.rows.entries()) {
      for (const [at, value] of row.entries()) {
        const column = expected.columns[at] ?? "";
        const text = table.rows[index]?.[column] ?? "";
        if (typeof value === "string") assert.equal(text, value, `${column}, row ${index}`);
        else {assert.ok(
            (column === "float" ? Math.fround(Number(text)) : Number(text)) === value,
            `${column}, row ${index}`,
          );}
      }
    }
    assert.deepEqual(table.lines.slice(0, 3), [1, 2, 3].slice(0, table.rows.length));
  });
}

Deno.test("a float has the digits it was written with, not those of its double", async () => {
  const { rows } = await read("snappy");
  for (const { float = "" } of rows) assert.match(float, /^-?\d(\.\d{1,3})?(e-\d)?$/);
  const odd = await read("odd_floats");
  assert.deepEqual(odd.rows.map(({ float }) => float), ["NaN", "Infinity", "0", "0.1", "3.4e+38"]);
});

Deno.test("ids of classes become their names, as datasets says in the file", async () => {
  const table = await read("labelled");
  assert.deepEqual(columnOf(table, "label"), ["positive", "negative", "positive"]);
  assert.deepEqual(columnOf(table, "topic"), ["ü", "0", "a b"]);
  assert.deepEqual(discoverLabels(table, "label").names, ["negative", "positive"]);
  const labels = new LabelSet(["positive", "other"]);
  assert.throws(() => readExamples(table, { text: "text", label: "label", labels }), {
    message: `${folder}/labelled.parquet, row 2: the label "negative" is not a known label (positive, other)`,
  });
});

Deno.test("class names from elsewhere name what the file has no names for", async () => {
  const classNames = new Map([["label", ["not", "used"]], ["text", ["not", "used"]]]);
  const named = await readTable(`${folder}/labelled.parquet`, { classNames });
  assert.deepEqual(columnOf(named, "label"), ["positive", "negative", "positive"]);
  const huge = await readTable(`${folder}/huge.parquet`, { classNames: new Map([["label", ["no", "yes"]]]) });
  assert.deepEqual(columnOf(huge, "label"), ["no", "yes", "no"]);
});

Deno.test("a column that holds no text, or has gaps, is refused when it is asked for, and no sooner", async () => {
  const table = await read("odd");
  assert.deepEqual(columnOf(table, "text"), ["a", "b", "c"]);
  assert.deepEqual(columnOf(table, "a.b"), ["p", "q", "r"]);
  assert.deepEqual(columnOf(table, "__proto__"), ["s", "t", "u"]);
  const reasons = {
    null: "row 2 has no value in it",
    nothing: "row 1 has no value in it",
    list: "it holds lists or structs",
    struct: "it holds lists or structs",
    binary: "it is binary",
    date: "it is of type date",
    time: "it is of type timestamp",
    decimal: "it is of type decimal",
  };
  for (const [column, reason] of Object.entries(reasons)) {
    const message = `${folder}/odd.parquet: the column "${column}" cannot be used, ${reason}`;
    assert.throws(() => columnOf(table, column), new DataError(message));
  }
  for (const name of ["hidden", "null_label"]) {
    const secret = await read(name);
    assert.equal(columnOf(secret, "text").length, 3);
    assert.throws(() => columnOf(secret, "label"), /"label" cannot be used, row [12] has no value in it$/);
  }
});

Deno.test("only the columns that are wanted are read", async () => {
  const table = await readTable(`${folder}/huge.parquet`, { columns: ["label"] });
  assert.deepEqual(columnOf(table, "label"), ["0", "1", "0"]);
  assert.throws(() => columnOf(table, "text"), /"text" cannot be used, it was not read$/);
  // What is not wanted may be what cannot be read.
  await readRefused("beyond", /a class has the id 2 where there are 2 class names$/);
  assert.equal((await readTable(`${folder}/beyond.parquet`, { columns: ["text"] })).rows.length, 3);
});

Deno.test("large strings, and many rows in a small file", async () => {
  const [first, , third] = columnOf(await read("huge"), "text");
  assert.equal(first?.length, 3_000_000);
  assert.equal(third, [...first ?? ""].reverse().join(""));
  const repeated = await read("repeated");
  assert.equal(repeated.rows.length, 900_000);
  assert.deepEqual(repeated.rows.at(-1), { text: "the same text again", label: "0" });
});

Deno.test("files that are no tables are refused in one line", async () => {
  await readRefused("no_rows", /has no rows$/);
  await readRefused("twice", /has two columns named "x"$/);
  await readRefused("lz4", /compressed with LZ4\w*: write it with snappy, gzip, zstd/);
  await readRefused("prefixed", /encoded as DELTA_BYTE_ARRAY, which is not known here/);
  await readRefused("bomb", /unpacks to more than 100 times its \d+ bytes$/);
  const whole = Deno.readFileSync(`${folder}/labelled.parquet`);
  for (
    const [content, reason] of [
      [new Uint8Array(), /is empty$/],
      [whole.subarray(0, 11), /too short/],
      [whole.subarray(0, -1), /does not end as one: it is cut off/],
      [whole.subarray(whole.length - 200), /footer is longer than the file/],
      [new TextEncoder().encode("text\tlabel\na\tb\n"), /does not end as one/],
    ] as const
  ) {
    Deno.writeFileSync(`${folder}/wrong.parquet`, content);
    await readRefused("wrong", reason);
  }
  await assert.rejects(read("nowhere"), new DataError(`${folder}/nowhere.parquet does not exist`));
  Deno.mkdirSync(`${folder}/directory.parquet`);
  await readRefused("directory", /cannot be read/);
});

Deno.test("a footer that would take hyparquet hours, or more memory than there is, is refused at once", async () => {
  const magic = new TextEncoder().encode("PAR1");
  const footers: [reason: RegExp, footer: Uint8Array<ArrayBuffer>][] = [
    [/a number without an end$/, new Uint8Array(2 ** 20).fill(0xFF, 1).fill(0x16, 0, 1)],
    [/a list longer than the file$/, Uint8Array.of(0x29, 0xFC, 0xFF, 0xFF, 0xFF, 0xFF, 0x07, 0)],
    [/is too deep$/, new Uint8Array(5000).fill(0x1C)],
    [/is longer than the file$/, Uint8Array.of(0x18, 0xFF, 0xFF, 0xFF, 0x07, 0)],
    [/is cut off$/, Uint8Array.of(0x15, 0x02, 0x15, 0x80)],
    [/the unknown type 13$/, Uint8Array.of(0x1D, 0, 0)],
    [/damaged or cut off$/, Uint8Array.of(0)],
  ];
  for (const [reason, footer] of footers) {
    const file = new Blob([magic, footer, Uint32Array.of(footer.length), magic]);
    Deno.writeFileSync(`${folder}/wrong.parquet`, await file.bytes());
    const started = performance.now();
    await readRefused("wrong", reason);
    assert.ok(performance.now() - started < 5000);
  }
});

Deno.test("damaged files are read or refused: no crash, no hang, no memory out of proportion", async () => {
  const random = new SeededRandom(5);
  const below = (limit: number): number => Math.floor(random.nextUint32() / 2 ** 32 * limit);
  const outcomes = { read: 0, refused: 0 };
  for (const name of ["labelled", "odd", "no_rows", "pages_v2_none", "delta", "groups"]) {
    const whole = Deno.readFileSync(`${folder}/${name}.parquet`);
    const from = Math.max(0, whole.length - 4000);
    for (let round = 0; round < 150; round++) {
      const bytes = whole.slice();
      for (let change = 0; change <= round % 4; change++) {
        // Half of the changes are in the footer, which decides most.
        const at = change % 2 === 0 ? from + below(whole.length - from) : below(whole.length);
        bytes[at] = [0xFF, 0, 0x80, below(256)][below(4)] ?? 0;
      }
      Deno.writeFileSync(`${folder}/damaged.parquet`, bytes);
      try {
        const { rows, columns } = await read("damaged");
        assert.ok(rows.length > 0 && columns.length > 0);
        outcomes.read++;
      } catch (error) {
        assert.ok(error instanceof DataError, `${name}, round ${round}: ${(error as Error).stack}`);
        assert.match(error.message, /^\/[^\n]*damaged\.parquet [^\n]*$/);
        outcomes.refused++;
      }
    }
  }
  assert.ok(outcomes.read > 50 && outcomes.refused > 50, JSON.stringify(outcomes));
});
