// A task of GLUE by its name: training, what the model remembers of it, evaluation, and the files for GLUE's server.

import assert from "node:assert/strict";
import { join } from "node:path";
import {
  type Classifier,
  evaluateGlue,
  fineTune,
  type FineTuneEvent,
  type FineTuneOptions,
  type FineTuneResult,
  glueScore,
  glueSubmission,
  initialize,
  loadPredictor,
  OptionError,
  Predictor,
  readTable,
  type Target,
} from "../../mod.ts";
import { inModelLabels, modelLabels } from "../../src/train/glue_labels.ts";
import { glueTaskNamed } from "../../src/data/glue/tasks.ts";
import { fail, succeed } from "../cli/run_cli.ts";
import { writeTinyModel } from "../cli/tiny_model.ts";
import { temporaryFolder } from "../native/fakes.ts";
import { writeGlueTask } from "../support/glue_files.ts";
import { assertNothingLeft } from "../support/torch.ts";

const folder = Deno.makeTempDirSync({ prefix: "fewtune-test-" });
addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));
const at = (name: string): string => join(folder, name);
writeTinyModel(at("model"));
for (const task of ["MRPC", "STS-B", "CoLA"]) writeGlueTask(folder, task);
writeGlueTask(folder, "MNLI");
await initialize();

const quick = { k: 4, batchSize: 8, epochs: 2, learningRate: 3e-3, threads: 1 } as const;

async function trainOn(
  glue: string,
  outputDir: string,
  options: Partial<FineTuneOptions> = {},
): Promise<FineTuneResult> {
  return await fineTune({ model: at("model"), ...quick, glue, glueDir: folder, outputDir: at(outputDir), ...options });
}

function predictions(path: string): string[] {
  return Deno.readTextFileSync(path).split("\n");
}

Deno.test("MNLI: labels in the task's order, both devs, and a file for each test", async () => {
  await assertNothingLeft(async () => {
    const result = await trainOn("mnli", "mnli");
    assert.deepEqual(result.target, { labels: ["entailment", "neutral", "contradiction"] });
    const record = JSON.parse(Deno.readTextFileSync(at("mnli/training.json")));
    assert.deepEqual(record.examples, { train: 48, dev: 12, devMismatched: 8 });
    assert.deepEqual([record.options.glue, record.result.devMismatched], ["MNLI", result.devMismatched]);
    assert.match(Deno.readTextFileSync(at("mnli/README.md")), /\| devMismatched \(8 examples\) \|/);

    using predictor = await loadPredictor(at("mnli"));
    const evaluation = await evaluateGlue(predictor, { glueDir: folder });
    assert.deepEqual(evaluation.dev, { examples: 12, metrics: result.dev });
    assert.deepEqual(evaluation.devMismatched, { examples: 8, metrics: result.devMismatched });
    const accuracies = [result.dev?.["accuracy"] ?? NaN, result.devMismatched?.["accuracy"] ?? NaN];
    assert.equal(evaluation.score, ((accuracies[0] ?? NaN) + (accuracies[1] ?? NaN)) / 2);

    const paths = await glueSubmission(predictor, { glueDir: folder }, at("sent/new"));
    assert.deepEqual(paths, [at("sent/new/MNLI-m.tsv"), at("sent/new/MNLI-mm.tsv")]);
    const [header, ...lines] = predictions(at("sent/new/MNLI-mm.tsv"));
    assert.deepEqual([header, lines.length, lines.at(-1)], ["index\tprediction", 7, ""]);
    const table = await readTable(at("MNLI/test_mismatched.tsv"));
    const alone = await predictor.predict(
      table.rows.map((row) => ({ text: row["sentence1"] ?? "", textPair: row["sentence2"] ?? "" })),
    );
    assert.deepEqual(
      lines.slice(0, -1),
      alone.map((each, row) => `${900 - row}\t${"label" in each ? each.label : ""}`),
    );
    assert.deepEqual([...Deno.readDirSync(at("sent/new"))].map(({ name }) => name).sort(), [
      "MNLI-m.tsv",
      "MNLI-mm.tsv",
    ]);
    await assert.rejects(glueSubmission(predictor, { glueDir: folder }, at("sent/new")), /MNLI-m\.tsv exists already/);
  });
});

Deno.test("without MNLI's mismatched dev, and with a broken row, a notice says so", async () => {
  using temporary = temporaryFolder();
  writeGlueTask(temporary.path, "MNLI", ["train", "dev"]);
  Deno.writeTextFileSync(join(temporary.path, "MNLI/train.tsv"), "48\tcut off\n", { append: true });
  const events: FineTuneEvent[] = [];
  const result = await trainOn("MNLI", "matched", {
    ...{ glueDir: temporary.path, maxSteps: 1, onEvent: (event: FineTuneEvent) => void events.push(event) },
  });
  assert.equal(result.devMismatched, null);
  const notices = events.flatMap((event) => event.type === "notice" ? [event.message] : []);
  assert.equal(notices[0], `${temporary.path}/MNLI/train.tsv: a broken row was left out (line 50)`);
  assert.match(
    notices[1] ?? "",
    /dev_matched\.tsv has no mismatched dev beside it: MNLI is evaluated on the matched one/,
  );
});

Deno.test("scores are cut to 0 to 5, with three decimals", async () => {
  await trainOn("sts-b", "stsb", { maxSteps: 1 });
  using predictor = await loadPredictor(at("stsb"));
  assert.equal(predictor.glue, "STS-B");
  const values = [-3, 0.12345, 5.5, 4.9996, NaN];
  const fake = {
    ...{ classifier: predictor.classifier, glue: predictor.glue },
    predict: (texts: readonly unknown[]) =>
      Promise.resolve(texts.map((_, row) => ({ value: values[row % most] ?? 0 }))),
  } as unknown as Predictor;
  let most = 4;
  await glueSubmission(fake, { glueDir: folder }, at("scores"));
  assert.deepEqual(predictions(at("scores/STS-B.tsv")).slice(0, 5), [
    ...["index\tprediction", "900\t0.000", "899\t0.123", "898\t5.000", "897\t5.000"],
  ]);
  most = 5;
  await assert.rejects(glueSubmission(fake, { glueDir: folder }, at("none")), /predicts what is not a number/);
  assert.throws(() => Deno.lstatSync(at("none")), Deno.errors.NotFound);
  Deno.writeTextFileSync(at("file"), "");
  await assert.rejects(
    glueSubmission(predictor, { glueDir: folder }, at("file")),
    /file\/STS-B\.tsv cannot be written/,
  );
});

Deno.test("a test file's index has to be a number that is there once", async () => {
  await trainOn("CoLA", "cola", { maxSteps: 1 });
  using predictor = await loadPredictor(at("cola"));
  using temporary = temporaryFolder();
  Deno.mkdirSync(join(temporary.path, "CoLA"));
  for (
    const [rows, message] of [["0\ta\nx\tb", /line 3: the index "x" is not a whole/], ["0\ta\n0\tb", /"0" is there tw/]]
  ) {
    Deno.writeTextFileSync(join(temporary.path, "CoLA/test.tsv"), `index\tsentence\n${rows}\n`);
    await assert.rejects(glueSubmission(predictor, { glueDir: temporary.path }, at("index")), message as RegExp);
  }
});

Deno.test("a model's labels are understood by name, by GLUE's spelling, or by place, or it is refused", () => {
  const [mnli, cola, mrpc, stsb] = ["MNLI", "CoLA", "MRPC", "STS-B"].map(glueTaskNamed);
  assert.ok(mnli && cola && mrpc && stsb);
  const names = (...labels: string[]): Target => ({ labels });
  assert.deepEqual(modelLabels(names("CONTRADICTION", "NEUTRAL", "ENTAILMENT"), mnli), [
    ...["ENTAILMENT", "NEUTRAL", "CONTRADICTION"],
  ]);
  assert.deepEqual(modelLabels(names("LABEL_0", "LABEL_1"), cola), ["LABEL_0", "LABEL_1"]);
  assert.deepEqual(modelLabels(names("1", "0"), cola), ["0", "1"]);
  assert.deepEqual(modelLabels("regression", stsb), []);
  const table = {
    ...{ path: "dev.tsv", columns: ["sentence", "label"], lines: [1, 2] },
    rows: [{ sentence: "a", label: "acceptable" }, { sentence: "b", label: "unacceptable" }],
  };
  const renamed = inModelLabels(table, names("1", "0"), cola);
  assert.deepEqual(renamed.rows.map(({ label }) => label), ["1", "0"]);
  const refused: [Target, typeof mnli, RegExp][] = [
    [
      names("ham", "spam"),
      cola,
      /the model answers with ham, spam, but GLUE's CoLA asks for unacceptable, acceptable$/,
    ],
    [names("0", "1", "2"), cola, /answers with 0, 1, 2/],
    [names("LABEL_0", "LABEL_1"), mnli, /answers with LABEL_0, LABEL_1, but GLUE's MNLI asks for entailment, neutral,/],
    [names("0", "not_equivalent"), mrpc, /answers with 0, not_equivalent/],
    [
      names("equivalent", "not_equivalent"),
      mrpc,
      /labels of GLUE's MRPC the other way round, which F1 cannot be taken/,
    ],
    [{ labels: ["0", "1"], isMultiLabel: true }, cola, /answers with 0, 1/],
    ["regression", cola, /answers with numbers, but GLUE's CoLA asks for un/],
    ["nextToken", stsb, /answers with tokens, but GLUE's STS-B asks for numbers/],
    [names("0", "1"), stsb, /answers with 0, 1, but GLUE's STS-B asks for numbers/],
  ];
  for (const [target, task, message] of refused) assert.throws(() => modelLabels(target, task), message);
});

Deno.test("a score is the mean of what GLUE reports", () => {
  assert.equal(glueScore("mrpc", { loss: 9, accuracy: 0.5, f1: 0.75, matthews: 0 }), 0.625);
  assert.equal(glueScore("CoLA", { loss: 9, accuracy: 0.5, f1: 0.75, matthews: 0.25 }), 0.25);
  assert.equal(glueScore("STS-B", { loss: 9, pearson: 0.5, spearman: 0.25 }), 0.375);
  assert.equal(glueScore("MNLI", { accuracy: 0.5 }, { accuracy: 0.25 }), 0.375);
  assert.throws(() => glueScore("STS-B", { accuracy: 1 }), /STS-B is scored by pearson, which is not among: accuracy/);
  assert.throws(() => glueScore("STS-B"), OptionError);
  assert.throws(() => glueScore("WNLI", {}), /"WNLI" is no task of GLUE here/);
});

Deno.test("what does not go with a task of GLUE is refused before anything is read", async () => {
  const cases: [Partial<FineTuneOptions>, RegExp][] = [
    [{ glue: "WNLI" }, /"WNLI" is no task of GLUE here, they are: CoLA, SST-2, MRPC/],
    [{ glue: undefined }, /has the files of GLUE's tasks: say which task/],
    [{ train: "train.tsv" }, /GLUE's MRPC has its own train and dev, but "train\.tsv" is given too/],
    [{ devSplit: "validation" }, /but "validation" is given too/],
    [{ columns: { text: "sentence2" } }, /GLUE's MRPC has its own columns and task, but text is "sentence2"/],
    [{ task: "regression" }, /but task is "regression"/],
    [{ datasetRevision: "main" }, /"main" is a revision of the dataset on the hub, but GLUE's files are in/],
    [{ glueDir: at("none") }, /none does not exist/],
    [{ glue: "QQP" }, /has no folder QQP with GLUE's files, it has: /],
  ];
  for (const [options, message] of cases) {
    await assert.rejects(trainOn("MRPC", "refused", options), message);
  }
  assert.throws(() => Deno.lstatSync(at("refused")), Deno.errors.NotFound);
});

Deno.test("a model that never learnt the labels' names is evaluated and predicts for the server all the same", async () => {
  await trainOn("MRPC", "mrpc");
  using predictor = await loadPredictor(at("mrpc"));
  const named = await evaluateGlue(predictor, { glueDir: folder });
  await glueSubmission(predictor, { glueDir: folder }, at("named"));
  const { classifier } = predictor;
  for (const labels of [["LABEL_0", "LABEL_1"], ["0", "1"]]) {
    const renamed = Object.create(classifier, { target: { value: { labels } } }) as Classifier;
    const other = new Predictor(renamed, predictor.tokenizer, predictor.maxLength);
    assert.deepEqual(await evaluateGlue(other, { glue: "MRPC", glueDir: folder }), named);
    await glueSubmission(other, { glue: "MRPC", glueDir: folder }, at(labels.join()));
    assert.equal(Deno.readTextFileSync(at(`${labels}/MRPC.tsv`)), Deno.readTextFileSync(at("named/MRPC.tsv")));
  }
  assert.match(Deno.readTextFileSync(at("named/MRPC.tsv")), /^index\tprediction\n900\t[01]\n(\d+\t[01]\n){9}$/);
  await assert.rejects(
    evaluateGlue(new Predictor(classifier, predictor.tokenizer, 64), { glueDir: folder }),
    /say which/,
  );
});

Deno.test("fewtune eval --glue-dir, and fewtune predict --glue-submission", async () => {
  const result = await trainOn("MRPC", "command");
  const model = ["--model", at("command"), "--threads", "1"];
  const printed = JSON.parse(await succeed(["eval", ...model, "--glue-dir", folder, "--json", "--quiet"]));
  const { f1 = NaN, accuracy = NaN } = result.dev ?? {};
  assert.deepEqual(printed, { examples: 12, ...result.dev, score: (f1 + accuracy) / 2 });

  const submit = ["predict", ...model, "--glue-dir", folder, "--glue-submission", at("submitted")];
  assert.equal(await succeed(submit), `${at("submitted/MRPC.tsv")}\n`);
  await fail(submit, 1, /submitted\/MRPC\.tsv exists already/);
  await fail([...submit, "a text"], 2, /a task of GLUE says itself what is read: leave out the texts \(a text\)/);
  await fail(["eval", ...model, "--glue", "MRPC", "--text-pair", "b"], 2, /leave out --text-pair \(b\)/);
});
