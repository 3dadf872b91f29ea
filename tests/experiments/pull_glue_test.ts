// GLUE from a hub into GLUE's own files: every column in its place, labels by GLUE's names, whole folders or none.

import assert from "node:assert/strict";
import { glueDataset, glueTasks } from "../../src/experiments/glue_tasks.ts";
import { pullGlue, type PullGlueOptions } from "../../src/experiments/pull_glue.ts";
import { readExamples } from "../../src/data/examples.ts";
import { discoverLabels } from "../../src/data/labels.ts";
import { readTable } from "../../src/data/table.ts";
import { CheckpointError, DataError, OptionError } from "../../src/errors.ts";
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

Deno.test("all seven tasks in the layout of GLUE's own files", async () => {
  await using at = place();
  const pulled = await pullGlue(at.folder, at.options);
  assert.deepEqual(pulled.map(({ task }) => task.name), ["CoLA", "SST-2", "MRPC", "QQP", "MNLI", "QNLI", "STS-B"]);
  const names = Object.keys(filesUnder(at.folder)).sort();
  assert.deepEqual(names, [
    ...["CoLA/dev.tsv", "CoLA/train.tsv", "MNLI/dev_matched.tsv", "MNLI/dev_mismatched.tsv", "MNLI/train.tsv"],
    ...["MRPC/dev.tsv", "MRPC/train.tsv", "QNLI/dev.tsv", "QNLI/train.tsv", "QQP/dev.tsv", "QQP/train.tsv"],
    ...["SST-2/dev.tsv", "SST-2/train.tsv", "STS-B/dev.tsv", "STS-B/train.tsv"],
  ]);

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
  const scores = at.lines("STS-B/train.tsv").map((line) => line.split("\t"));
  assert.deepEqual(
    scores[0]?.join(" "),
    "index genre filename year old_index source1 source2 sentence1 sentence2 score",
  );
  assert.deepEqual(scores.slice(1, 7).map((row) => row.at(-1)), ["0", "3.8", "5", "2.917", "1.25", "0.333"]);

  for (const { respaced, rows } of pulled) assert.ok(respaced > 0 && rows?.["train.tsv"] === 12);
});

Deno.test("the declared tasks fit the files that are written, and the hub's own labels", async () => {
  await using at = place();
  for (const { task, folder } of await pullGlue(at.folder, at.options)) {
    if (!task.hasHeader) continue;
    const table = await readTable(`${folder}/train.tsv`);
    const [, label] = task.files[0]?.columns.find(([, from]) => from === "label") ?? [];
    const header = task.files[0]?.columns.findLast(([, from]) => from === label)?.[0] ?? "";
    if (task.labels === "regression") {
      assert.equal(readExamples(table, { text: "sentence1", label: header, labels: "regression" })[1]?.label, 3.8);
    } else {
      assert.deepEqual(new Set(discoverLabels(table, header).names), new Set(task.labels));
    }
  }
  assert.deepEqual(glueTasks.map(({ config }) => config), ["cola", "sst2", "mrpc", "qqp", "mnli", "qnli", "stsb"]);
});

Deno.test("some tasks only; what is there stays, and is not fetched", async () => {
  await using at = place();
  Deno.mkdirSync(`${at.folder}/CoLA`);
  const [cola, mrpc, ...others] = await pullGlue(at.folder, { ...at.options, tasks: ["cola", "MRPC", "mrpc"] });
  assert.deepEqual([cola?.rows, others], [null, []]);
  assert.deepEqual(mrpc?.rows, { "train.tsv": 12, "dev.tsv": 7 });
  assert.deepEqual([...Deno.readDirSync(`${at.folder}/CoLA`)], []);
  assert.ok(!at.served.hub.asked("GET").some((path) => path.includes("cola/")));
  await assert.rejects(
    pullGlue(at.folder, { ...at.options, tasks: ["rte"] }),
    new OptionError('"rte" is no task of GLUE here, they are: cola, sst2, mrpc, qqp, mnli, qnli, stsb'),
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
    `STS-B  ${at.folder}/glue/STS-B: train.tsv 12, dev.tsv 7 rows; tabs or line breaks in 6 texts became spaces`,
    `CoLA   ${at.folder}/glue/CoLA: train.tsv 12, dev.tsv 7 rows; tabs or line breaks in 3 texts became spaces`,
  ]);
  assert.match(await succeed(command, { env }), /^STS-B .* is there already: left as it is\nCoLA /);
  await fail(["pull", "squad"], 2, /'squad' is invalid for argument 'what'.*glue/);
  await fail([...command.slice(0, -1), "wnli"], 2, /"wnli" is no task of GLUE here/, { env });
});
