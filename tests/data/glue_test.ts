// GLUE's own files and their quirks: read as Python's csv module reads them for the hub, and what is broken is told.

import assert from "node:assert/strict";
import { join } from "node:path";
import { openGlueFolder } from "../../src/data/glue/folder.ts";
import { type GlueTable, readGlueText } from "../../src/data/glue/read_file.ts";
import { type GluePart, glueTaskNamed, glueTasks } from "../../src/data/glue/tasks.ts";
import { DataError, OptionError } from "../../src/errors.ts";
import { temporaryFolder } from "../native/fakes.ts";
import { writeGlueTask } from "../support/glue_files.ts";
import { runPython } from "../support/python.ts";

function read(name: string, part: GluePart, text: string): GlueTable {
  const task = glueTaskNamed(name);
  const file = task.files.find((file) => file.part === part);
  assert.ok(file);
  return readGlueText(text, file.name, task, file);
}

function texts({ rows }: GlueTable): string[] {
  return rows.map((row) => Object.values(row).join("|"));
}

Deno.test("every file of every task, in folders of any spelling", async () => {
  using temporary = temporaryFolder();
  for (const task of glueTasks) {
    writeGlueTask(temporary.path, task.name);
    const spelled = task.name === "STS-B" ? "stsb" : task.name === "SST-2" ? "sst_2" : task.name.toLowerCase();
    Deno.renameSync(join(temporary.path, task.name), join(temporary.path, spelled));
    const folder = await openGlueFolder(temporary.path, task);
    assert.equal(folder.path, join(temporary.path, spelled));
    assert.deepEqual(folder.parts, task.files.map(({ part }) => part));
    const train = await folder.read("train");
    assert.equal(train.rows.length, 48);
    assert.deepEqual(train.rows[0]?.["label"], task.labels === "regression" ? "4.5" : task.labels[1]);
    assert.deepEqual(train.rows[1]?.[task.textPair ?? task.text], "the film was very bad");
    const test = await folder.read(task.name === "MNLI" ? "testMismatched" : "test");
    assert.deepEqual([test.rows[0]?.["idx"], test.rows[0]?.["label"], test.classNames], ["900", undefined, undefined]);
  }
});

const qqpHeader = "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate";
const qqp = [
  qqpHeader,
  '7\t1\t2\tWhat is "this?\tWhat is that?\t0',
  '8\t1\t2\t"quoted"\t\t1',
  "9\t1\t2\tcut off",
  "10\t1\t2\ta\ttab\tin a text\t1",
  "",
  "11\t1\t2\t trailing spaces   \té 🙂\u2028\u0085x\t0 ",
  "12\t1\t2\tmore\tcolumns\t1\tthan named\t",
  "13\t1\t2",
];

Deno.test("literal quotes, blank fields, blank lines and CRLF; broken rows are left out and told of", () => {
  for (const end of ["\n", "\r\n"]) {
    const table = read("QQP", "train", qqp.map((line) => line + end).join(""));
    assert.deepEqual(table.columns, ["question1", "question2", "label"]);
    assert.deepEqual(texts(table), [
      'What is "this?|What is that?|not_duplicate',
      '"quoted"||duplicate',
      " trailing spaces   |é 🙂\u2028\u0085x|not_duplicate",
      "more|columns|duplicate",
    ]);
    assert.deepEqual(table.lines, [2, 3, 7, 8]);
    assert.equal(table.notice, "train.tsv: 3 broken rows were left out (lines 4, 5, 9)");
    assert.deepEqual(table.classNames?.get("label"), ["not_duplicate", "duplicate"]);
  }
  const one = read("QQP", "train", qqp.slice(0, 4).join("\n"));
  assert.equal(one.notice, "train.tsv: a broken row was left out (line 4)");
  const many = read("QQP", "dev", [...qqp.slice(0, 2), ...Array(9).fill("1\t2")].join("\n"));
  assert.equal(many.notice, "dev.tsv: 9 broken rows were left out (lines 3, 4, 5, 6, 7, ...)");
  assert.equal(read("QQP", "dev", qqp.slice(0, 2).join("\n")).notice, null);
});

Deno.test("CoLA has no header but in test, and may have one all the same", () => {
  const rows = ["gj04\t1\t\tThey drank the pub dry.", 'gj04\t0\t*\t"They drank the pub.'];
  for (const text of [rows.join("\n"), ["source\tlabel\tmark\tsentence", ...rows].join("\n")]) {
    assert.deepEqual(texts(read("CoLA", "dev", text)), [
      ...["They drank the pub dry.|acceptable", '"They drank the pub.|unacceptable'],
    ]);
  }
  assert.deepEqual(texts(read("CoLA", "test", "index\tsentence\n3\tBill left.\n5\tBill.\n")), [
    "Bill left.|3",
    "Bill.|5",
  ]);
  assert.throws(() => read("CoLA", "test", rows.join("\n")), /has no column "sentence", which GLUE's test\.tsv has/);
});

Deno.test("columns are found by their names: MNLI's train and dev, a test file without an index", () => {
  const parses = "sentence1_binary_parse\tsentence2_binary_parse\tsentence1_parse\tsentence2_parse";
  const start = `index\tpromptID\tpairID\tgenre\t${parses}\tsentence1\tsentence2`;
  const row = "0\t1\t1n\tfiction\t( a )\t( b )\t(ROOT a)\t(ROOT b)\tA dog.\tA cat.";
  const train = `${start}\tlabel1\tgold_label\n${row}\tentailment\tneutral\n`;
  assert.deepEqual(texts(read("MNLI", "train", train)), ["A dog.|A cat.|neutral"]);
  const five = "neutral\tneutral\tneutral\tentailment\tneutral";
  const dev = `${start}\tlabel1\tlabel2\tlabel3\tlabel4\tlabel5\tgold_label\n${row}\t${five}\tcontradiction\n`;
  for (const part of ["dev", "devMismatched"] as const) {
    assert.deepEqual(texts(read("MNLI", part, dev)), ["A dog.|A cat.|contradiction"]);
  }
  assert.deepEqual(texts(read("SST-2", "test", "sentence\nfine \nbad\n")), ["fine |0", "bad|1"]);
});

Deno.test("a byte-order mark before the header is no part of its first name", async () => {
  using temporary = temporaryFolder();
  Deno.mkdirSync(join(temporary.path, "MRPC"));
  const text = "\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\r\n1\t1\t2\tHe said .\tShe said .\r\n";
  Deno.writeTextFileSync(join(temporary.path, "MRPC/dev.tsv"), text);
  const folder = await openGlueFolder(temporary.path, glueTaskNamed("mrpc"));
  assert.deepEqual(texts(await folder.read("dev")), ["He said .|She said .|equivalent"]);
  await assert.rejects(folder.read("train"), new DataError(`${temporary.path}/MRPC/train.tsv does not exist`));
  await assert.rejects(folder.read("devMismatched"), /MRPC has no part devMismatched, it has: train, dev, test/);
});

Deno.test("the same rows as Python's csv module, of the file with every quirk", async () => {
  using temporary = temporaryFolder();
  const at = (name: string): string => join(temporary.path, name);
  // Python keeps the row with a tab in its text, whose label is then no number.
  Deno.writeTextFileSync(at("qqp"), qqp.filter((line) => !line.includes("tab")).map((line) => `${line}\r\n`).join(""));
  Deno.writeTextFileSync(at("cola"), 'gj04\t1\t\tOne "or two.\ngj04\t0\t*\t"One" two\ngj04\t0\n\nx\t1\t\t \n');
  Deno.writeTextFileSync(at("stsb"), "index\tscore\tsentence1\tsentence2\n0\t5.000\ta\tb\n1\t2.2\t\"\t'\n");
  const printed = await runPython("glue_rows.py", [
    ...[`qqp=${at("qqp")}`, `cola=${at("cola")}=source,label,mark,sentence`, `stsb=${at("stsb")}`],
  ]);
  const expected: Record<string, Record<string, string>[]> = JSON.parse(printed);
  const same = (name: string, part: GluePart, columns: Record<string, string>, from: string): void => {
    const table = read(name, part, Deno.readTextFileSync(at(from)));
    const { labels, writtenLabels = labels } = glueTaskNamed(name);
    const written = (text = ""): string =>
      labels === "regression" ? text : writtenLabels[labels.indexOf(text)] ?? "none";
    const own = table.rows.map((row) =>
      Object.fromEntries(
        Object.entries(columns).map(([theirs, ours]) => {
          return [theirs, ours === "label" ? written(row[ours]) : row[ours]];
        }),
      )
    );
    const theirs = expected[from]?.map((row) =>
      Object.fromEntries(
        Object.entries(columns).map(([name, ours]) => {
          return [name, ours === "label" ? row[name]?.trim() : row[name]];
        }),
      )
    );
    assert.deepEqual(own, theirs);
  };
  same("QQP", "train", { question1: "question1", question2: "question2", is_duplicate: "label" }, "qqp");
  same("CoLA", "train", { sentence: "sentence", label: "label" }, "cola");
  same("STS-B", "train", { sentence1: "sentence1", sentence2: "sentence2", score: "label" }, "stsb");
});

Deno.test("what cannot be read is refused in one line that says where", async () => {
  const cases: [string, GluePart, string, RegExp][] = [
    ["QQP", "train", "", /^train\.tsv is empty$/],
    ["QQP", "train", "\n \r\n", /^train\.tsv is empty$/],
    ["QQP", "train", qqpHeader, /^train\.tsv has no rows of 6 columns$/],
    ["QQP", "train", `${qqpHeader}\n1\t2`, /^train\.tsv has no rows of 6 columns$/],
    [
      "QQP",
      "train",
      qqp.slice(1).join("\n"),
      /^train\.tsv has no column "question1", which GLUE's train\.tsv has; its/,
    ],
    [
      "QQP",
      "train",
      `${qqpHeader}\n1\t1\t2\ta\tb\t2`,
      /^train\.tsv, line 2: the label "2" is not a label of QQP \(0, 1\)/,
    ],
    ["QQP", "train", `${qqpHeader}\n\n1\t1\t2\ta\tb\t`, /^train\.tsv, line 3: the label "" is not a label of QQP/],
    [
      "MNLI",
      "dev",
      "sentence1\tsentence2\tgold_label\na\tb\t-",
      /the label "-" is not a label of MNLI \(entailment, n/,
    ],
    ["STS-B", "dev", "sentence1\tsentence2\tscore\na\tb\tfive", /^dev\.tsv, line 2: the label "five" is not a number$/],
    ["STS-B", "dev", "sentence1\tsentence2\tscore\na\tb\t", /^dev\.tsv, line 2: the label "" is not a number$/],
    ["RTE", "test", "index\tsentence1\tsentence2\n0\ta\tb\n1\tc", /^test\.tsv, line 3: 2 fields where 3 belong, but a/],
  ];
  for (const [task, part, text, message] of cases) {
    assert.throws(() => read(task, part, text), (error) => {
      assert.ok(error instanceof DataError && !error.message.includes("\n"));
      assert.match(error.message, message);
      return true;
    });
  }
  assert.throws(() => glueTaskNamed("WNLI"), OptionError);

  using temporary = temporaryFolder();
  const { path } = temporary;
  const cola = glueTaskNamed("CoLA");
  await assert.rejects(
    openGlueFolder(path, cola),
    new DataError(`${path} has no folder CoLA with GLUE's files, it is empty`),
  );
  await assert.rejects(openGlueFolder(join(path, "none"), cola), new DataError(`${path}/none does not exist`));
  for (const name of ["cola", "COLA"]) Deno.mkdirSync(join(path, name));
  await assert.rejects(openGlueFolder(path, cola), /has COLA and cola, which both mean CoLA: call the right one so$/);
  Deno.mkdirSync(join(path, "CoLA"));
  assert.deepEqual((await openGlueFolder(path, cola)).parts, []);
  Deno.writeTextFileSync(join(path, "file"), "");
  await assert.rejects(openGlueFolder(join(path, "file"), cola), DataError);
  Deno.writeFileSync(join(path, "CoLA/dev.tsv"), new Uint8Array([0xff, 0x09]));
  await assert.rejects((await openGlueFolder(path, cola)).read("dev"), /is not UTF-8 text/);
});
