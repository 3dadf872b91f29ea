// GLUE from a hub into GLUE's own files: every column in its place, labels by GLUE's names, whole folders or none.

import assert from "node:assert/strict";
import { glueDataset } from "../../src/data/glue/tasks.ts";
import { pullGlue, type PullGlueOptions } from "../../src/experiments/pull_glue.ts";
import { CheckpointError, DataError, OptionError } from "../../src/errors.ts";
import { openGlue } from "../../src/train/glue_data.ts";
import { type HubPlace, hubPlace } from "../hub/support.ts";
import { fail, succeed } from "../cli/run_cli.ts";
import { runPython } from "../support/python.ts";
import { filesUnder, hubEnvironment } from "../support/served_dataset.ts";

const source = Deno.makeTempDirSync();
addEventListener("unload", () => Deno.removeSync(source, { recursive: true }));
await runPython("glue_parquet.py", [source]);

interface Place extends AsyncDisposable {
  readonly served: HubPlace;
  readonly folder: string;
  readonly options: PullGlueOptions;
  readonly lines: (path: string) => string[];
}

function place(files = filesUnder(source)): Place {
  const served = hubPlace();
  served.hub.add("dataset", glueDataset, files);
  const folder = Deno.makeTempDirSync();
  return {
    served,
    folder,
    options: served.options,
    lines: (path) => {
      const text = Deno.readTextFileSync(`${folder}/${path}`);
      assert.ok(text.endsWith("\n"));
      return text.slice(0, -1).split("\n");
    },
    [Symbol.asyncDispose]: async () => {
      await served[Symbol.asyncDispose]();
      Deno.removeSync(folder, { recursive: true });
    },
  };
}

Deno.test("all tasks in the layout of GLUE's own files", async () => {
  await using at = place();
  const pulled = await pullGlue(at.folder, at.options);
  assert.deepEqual(pulled.map(({ task }) => task.name), [
    "CoLA",
    "SST-2",
    "MRPC",
    "QQP",
    "MNLI",
    "QNLI",
    "RTE",
    "STS-B",
  ]);
  const names = Object.keys(filesUnder(at.folder)).sort();
  const mnli = ["dev_matched", "dev_mismatched", "test_matched", "test_mismatched", "train"].map((file) =>
    `MNLI/${file}`
  );
  const others = ["CoLA", "MRPC", "QNLI", "QQP", "RTE", "SST-2", "STS-B"]
    .flatMap((task) => ["dev", "test", "train"].map((file) => `${task}/${file}`));
  assert.deepEqual(names, [...mnli, ...others].sort().map((name) => `${name}.tsv`));

  const [first, second, , fourth] = at.lines("CoLA/train.tsv");
  assert.equal(first, '\t0\t\tHe said "no');
  assert.equal(second, '\t1\t\t"Both" of them, “quoted”');
  assert.equal(fourth, "\t1\t\ta tab and lines here");
  assert.equal(at.lines("CoLA/train.tsv").length, 12);

  assert.deepEqual(at.lines("SST-2/dev.tsv").slice(0, 4), [
    ...["sentence\tlabel", 'He said "no\t0', '"Both" of them, “quoted”\t1', "it 's a charming film . \t0"],
  ]);
  assert.deepEqual(at.lines("MRPC/train.tsv").slice(0, 2), [
    "Quality\t#1 ID\t#2 ID\t#1 String\t#2 String",
    '0\t\t\tHe said "no\t"Both" of them, “quoted”',
  ]);
  assert.deepEqual(at.lines("QQP/train.tsv").slice(0, 3), [
    "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate",
    '0\t\t\tHe said "no\t"Both" of them, “quoted”\t0',
    '1\t\t\t"Both" of them, “quoted”\tit \'s a charming film . \t1',
  ]);
  const parses = "sentence1_binary_parse\tsentence2_binary_parse\tsentence1_parse\tsentence2_parse";
  assert.deepEqual(at.lines("MNLI/train.tsv").slice(0, 2), [
    `index\tpromptID\tpairID\tgenre\t${parses}\tsentence1\tsentence2\tlabel1\tgold_label`,
    '0\t\t\t\t\t\t\t\tHe said "no\t"Both" of them, “quoted”\tentailment\tentailment',
  ]);
  for (const file of ["MNLI/dev_matched.tsv", "MNLI/dev_mismatched.tsv"]) {
    const [header, , second = "", third = ""] = at.lines(file);
    assert.equal(
      header,
      `index\tpromptID\tpairID\tgenre\t${parses}\tsentence1\tsentence2\tlabel1\tlabel2\tlabel3\tlabel4\tlabel5\tgold_label`,
    );
    assert.ok(second.endsWith("\t\t\t\t\t\tneutral") && third.endsWith("\t\t\t\t\t\tcontradiction"));
  }
  assert.deepEqual(at.lines("QNLI/dev.tsv").slice(0, 2), [
    "index\tquestion\tsentence\tlabel",
    '0\tHe said "no\t"Both" of them, “quoted”\tentailment',
  ]);
  const start = (path: string): string[] => at.lines(path).slice(0, 2);
  assert.deepEqual(start("CoLA/test.tsv"), ["index\tsentence", '0\tHe said "no']);
  assert.deepEqual(start("RTE/test.tsv"), ["index\tsentence1\tsentence2", '0\tHe said "no\t"Both" of them, “quoted”']);
  assert.deepEqual(start("MRPC/test.tsv")[0], "index\t#1 ID\t#2 ID\t#1 String\t#2 String");
  assert.deepEqual(start("QQP/test.tsv")[0], "id\tquestion1\tquestion2");
  assert.equal(start("MNLI/test_mismatched.tsv")[0], `index\tpromptID\tpairID\tgenre\t${parses}\tsentence1\tsentence2`);
  const scores = at.lines("STS-B/train.tsv").map((line) => line.split("\t"));
  assert.deepEqual(
    scores[0]?.join(" "),
    "index genre filename year old_index source1 source2 sentence1 sentence2 score",
  );
  assert.deepEqual(scores.slice(1, 7).map((row) => row.at(-1)), ["0", "3.8", "5", "2.917", "1.25", "0.333"]);

  for (const { respaced, rows } of pulled) assert.ok(respaced > 0 && rows?.["train.tsv"] === 12);
});

Deno.test("what was pulled is read with the same labels as from the hub", async () => {
  await using at = place();
  for (const { task } of await pullGlue(at.folder, at.options)) {
    const [hub, folder] = [
      await openGlue({ glue: task.name }, at.options),
      await openGlue({ glue: task.name, glueDir: at.folder }),
    ];
    for (const { part, submission } of task.files) {
      const [there, here] = [await hub.read(part), await folder.read(part)];
      assert.ok(hub.has(part) && folder.has(part));
      if (submission === undefined) assert.deepEqual(here.classNames?.get("label"), there.classNames?.get("label"));
      const spaced = there.rows.map((row) => Object.fromEntries(Object.entries(row).map(([k, v]) => [k, oneLine(v)])));
      assert.deepEqual(here.rows, spaced);
    }
  }
});

function oneLine(text: string): string {
  return text.replaceAll(/[\t\n\r]+/g, " ");
}

Deno.test("some tasks only; what is there stays, and is not fetched", async () => {
  await using at = place();
  Deno.mkdirSync(`${at.folder}/CoLA`);
  const [cola, mrpc, ...others] = await pullGlue(at.folder, { ...at.options, tasks: ["cola", "MRPC", "mrpc"] });
  assert.deepEqual([cola?.rows, others], [null, []]);
  assert.deepEqual(mrpc?.rows, { "train.tsv": 12, "dev.tsv": 7, "test.tsv": 7 });
  assert.deepEqual([...Deno.readDirSync(`${at.folder}/CoLA`)], []);
  assert.ok(!at.served.hub.asked("GET").some((path) => path.includes("cola/")));
  await assert.rejects(
    pullGlue(at.folder, { ...at.options, tasks: ["wnli"] }),
    new OptionError('"wnli" is no task of GLUE here, they are: CoLA, SST-2, MRPC, QQP, MNLI, QNLI, RTE, STS-B'),
  );
});

Deno.test("a task is written whole or not at all", async () => {
  const files = filesUnder(source);
  const damaged = files["mrpc/validation-00000-of-00001.parquet"]?.slice(0, -9) ?? new Uint8Array();
  await using at = place({ ...files, "mrpc/validation-00000-of-00001.parquet": damaged });
  await assert.rejects(pullGlue(at.folder, { ...at.options, tasks: ["mrpc"] }), DataError);
  assert.deepEqual([...Deno.readDirSync(at.folder)], []);
  Deno.writeTextFileSync(`${at.folder}/file`, "");
  await assert.rejects(pullGlue(`${at.folder}/file`, { ...at.options, tasks: ["cola"] }), CheckpointError);
});

Deno.test("fewtune pull glue", async () => {
  await using at = place();
  const env = hubEnvironment(at.served.hub, at.served.cacheFolder);
  const command = ["pull", "glue", "--output-dir", `${at.folder}/glue`, "--tasks", "stsb,cola"];
  assert.deepEqual((await succeed(command, { env })).trim().split("\n"), [
    `STS-B  ${at.folder}/glue/STS-B: train.tsv 12, dev.tsv 7, test.tsv 7 rows; tabs or line breaks in 8 texts became spaces`,
    `CoLA   ${at.folder}/glue/CoLA: train.tsv 12, dev.tsv 7, test.tsv 7 rows; tabs or line breaks in 4 texts became spaces`,
  ]);
  assert.match(await succeed(command, { env }), /^STS-B .* is there already: left as it is\nCoLA /);
  await fail(["pull", "squad"], 2, /'squad' is invalid for argument 'what'.*glue/);
  await fail([...command.slice(0, -1), "wnli"], 2, /"wnli" is no task of GLUE here/, { env });
});
