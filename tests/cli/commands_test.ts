// The commands as a person runs them: train, then eval and predict on what was saved.

import assert from "node:assert/strict";
import { join } from "node:path";
import { loadClassifier, loadPredictor, namedParameters, saveClassifier, toNumbers } from "../../mod.ts";
import { temporaryFolder } from "../native/fakes.ts";
import { copyAdapter } from "../support/lora.ts";
import { cliPath, fail, runCli, spawnCli, succeed } from "./run_cli.ts";
import { reviews, writeCsv, writeTinyModel } from "./tiny_model.ts";

const texts = ["the film was good", "the film was very awful", "poor film"];

function prepared(fixture?: "small_opt"): Disposable & { readonly at: (name: string) => string } {
  const temporary = temporaryFolder();
  const at = (name: string): string => join(temporary.path, name);
  writeTinyModel(at("model"), fixture);
  return { at, [Symbol.dispose]: () => temporary[Symbol.dispose]() };
}

function train(at: (name: string) => string, ...more: string[]): Promise<string> {
  const small = ["--batch-size", "8", "--learning-rate", "3e-3", "--threads", "1", "--output-dir", at("out")];
  return succeed(["train", "--model", at("model"), ...small, ...more]);
}

/** The numbers after the names in what a command printed. */
function facts(output: string): Map<string, string> {
  return new Map(
    output.trim().split("\n").map((line) => {
      const [, name = "", value = ""] = /^(.*?) {2,}(.*)$/.exec(line) ?? [];
      return [name, value];
    }),
  );
}

Deno.test("selective, mean, word labels, CSV: what train says of dev, eval says of the saved folder", async () => {
  using place = prepared();
  const { at } = place;
  writeCsv(at("train.csv"), 48, (good) => good ? "good" : "bad");
  writeCsv(at("dev.csv"), 18, (good) => good ? "good" : "bad");
  const printed = facts(
    await train(at, "--train", at("train.csv"), "--dev", at("dev.csv"), "--k", "4", "--epochs", "16"),
  );
  assert.equal(printed.get("dev accuracy"), "1.0000");
  assert.equal(printed.get("steps"), "96");
  assert.equal(printed.get("activations"), "store");

  const record = JSON.parse(Deno.readTextFileSync(at("out/training.json")));
  assert.deepEqual(record.result.plan, { activations: "store", keptStates: { from: 0, every: 1 } });
  const { examples, ...metrics } = JSON.parse(
    await succeed(["eval", "--model", at("out"), "--data", at("dev.csv"), "--json", "--threads", "1", "--quiet"]),
  );
  assert.equal(examples, 18);
  assert.deepEqual(metrics, record.result.dev);
  assert.deepEqual(
    [record.options.k, record.options.maxLength, record.options.seed, record.target.labels, record.result.steps],
    [4, 64, 0, ["bad", "good"], 96],
  );

  await checkPredictions(at);
});

Deno.test("OPT: selective with the head on the mean, full with the standard head; not with one on the first", async () => {
  using place = prepared("small_opt");
  const { at } = place;
  writeCsv(at("train.csv"), 48, (good) => good ? "good" : "bad");
  const files = ["--train", at("train.csv"), "--dev", at("train.csv"), "--epochs", "16", "--learning-rate", "1e-2"];
  for (const options of [["--k", "4"], ["--method", "full", "--pooling", "last"]]) {
    assert.equal(facts(await train(at, ...files, ...options)).get("dev accuracy"), "1.0000");
    const config = JSON.parse(Deno.readTextFileSync(at("out/config.json")));
    assert.equal(config.fewtune.pooling, options.at(-1) === "last" ? "last" : "mean");
    Deno.removeSync(at("out"), { recursive: true });
  }
  const first = ["--model", at("model"), "--output-dir", at("out"), "--pooling", "cls"];
  await fail(["train", ...files, ...first], 2, /opt has no head for the pooling "cls": it can be last .* or mean/);
});

// The last digit of a logit depends on which texts happen to run together.
function assertAlike(actual: string, expected: string): void {
  const rounded = (lines: string): string =>
    lines.replaceAll(/\d+\.\d+(e-\d+)?/g, (number) => Number(number).toFixed(5));
  assert.equal(rounded(actual), rounded(expected));
}

async function checkPredictions(at: (name: string) => string): Promise<void> {
  const arguments_ = await succeed(["predict", "--model", at("out"), ...texts]);
  assert.match(
    arguments_,
    /^good {2}0\.\d{4} {2}the film was good\nbad {3}[01]\.\d{4} {2}the film was very awful\nbad {3}/,
  );
  const json = ["predict", "--model", at("out"), "--json", "--logits"];
  const lines = await succeed(json, { stdin: texts.join("\n") });
  assertAlike(await succeed([...json, ...texts]), lines);
  const objects = texts.map((text) => JSON.stringify({ text })).join("\n") + "\n";
  assertAlike(await succeed([...json, "--jsonl"], { stdin: objects }), lines);

  const predictions = lines.trim().split("\n").map((line) => JSON.parse(line));
  assert.deepEqual(predictions.map(({ label }) => label), ["good", "bad", "bad"]);
  for (const { score, logits: [bad, good] } of predictions) {
    assert.ok(Math.abs(score - 1 / (1 + Math.exp(-Math.abs(good - bad)))) < 1e-9);
  }
  const saved = await loadClassifier(at("out"));
  saveClassifier(saved, at("again"), {});
  saved[Symbol.dispose]();
  using again = await loadPredictor(at("again"));
  assertAlike(JSON.stringify(await again.predict(texts)), JSON.stringify(predictions));
  const half = await runCli([...json, "--jsonl"], { stdin: '{"text": "the film was good"}\nfilm\n' });
  assert.match(half.stderr, /^fewtune: standard input, line 2: not a JSON object whose "text"[^\n]*\n$/);
  assert.deepEqual([half.code, half.stdout.split("\n").length, JSON.parse(half.stdout).label], [1, 2, "good"]);
  await fail([...json, "--jsonl"], 1, /line 1: not a JSON object whose "text"/, { stdin: "film\n" });
}

Deno.test("full, cls, numbered labels, TSV and JSONL, other column names, pairs", async () => {
  using place = prepared();
  const { at } = place;
  const rows = reviews(24).map(({ text, good }) => ({
    body: text,
    more: good ? "great" : "awful",
    stars: good ? 10 : 2,
  }));
  Deno.writeTextFileSync(
    at("train.tsv"),
    ["body\tmore\tstars", ...rows.map((row) => Object.values(row).join("\t"))].join("\n"),
  );
  Deno.writeTextFileSync(at("dev.jsonl"), rows.map((row) => JSON.stringify(row) + "\n").join(""));
  const columns = ["--text", "body", "--text-pair", "more", "--label", "stars"];
  const files = ["--train", at("train.tsv"), "--dev", at("dev.jsonl")];
  const printed = facts(
    await train(at, ...files, ...columns, "--method", "full", "--pooling", "cls", "--max-steps", "40"),
  );
  assert.equal(printed.get("dev accuracy"), "1.0000");
  const config = JSON.parse(Deno.readTextFileSync(at("out/config.json")));
  assert.deepEqual([config.id2label, config.fewtune.pooling], [{ 0: "2", 1: "10" }, "cls"]);
  const answer = await succeed([
    "predict",
    "--model",
    at("out"),
    "--json",
    "--text-pair",
    "great",
    "the film was good",
  ]);
  assert.equal(JSON.parse(answer).label, "10");
});

Deno.test("selective+lora: an adapter, which eval and predict load with its base; a k above the texts is said once", async () => {
  using place = prepared();
  const { at } = place;
  writeCsv(at("train.csv"), 48, (good) => good ? "good" : "bad");
  writeCsv(at("dev.csv"), 18, (good) => good ? "good" : "bad");
  const { code, stdout, stderr } = await runCli([
    ...["train", "--model", at("model"), "--train", at("train.csv"), "--dev", at("dev.csv"), "--output-dir", at("out")],
    ...["--method", "selective+lora", "--lora-r", "4", "--lora-targets", "query,key", "--k", "50", "--threads", "1"],
    ...["--gradient-accumulation", "2", "--max-grad-norm", "5", "--clipping", "layer", "--epochs", "30"],
    ...["--batch-size", "8", "--learning-rate", "1e-2"],
  ]);
  assert.equal(code, 0, stderr);
  const printed = facts(stdout);
  assert.equal(printed.get("dev accuracy"), "1.0000");
  // Three layers, two targets, A and B of 4 times 32; the pooler; two labels.
  const trained = 3 * 2 * 2 * 4 * 32 + 33 * 32 + 2 * 33;
  assert.equal(printed.get("trained parameters"), trained.toLocaleString("en"));
  assert.equal(stderr.split("k is 50 and the longest sequence has").length, 2);

  const names = [...Deno.readDirSync(at("out"))].map(({ name }) => name).sort();
  const adapter = ["adapter_config.json", "adapter_model.safetensors", "config.json", "modeling_fewtune.py"];
  const ofTheRun = names.filter((name) => /^(metrics\.jsonl|train_config\.json|events\..*)$/.test(name));
  assert.equal(ofTheRun.length, 3, `${names}`);
  assert.deepEqual(
    names.filter((name) => !ofTheRun.includes(name)),
    ["README.md", ...adapter, "tokenizer.json", "tokenizer_config.json", "training.json"],
  );
  const { options, result } = JSON.parse(Deno.readTextFileSync(at("out/training.json")));
  const { method, loraR, loraAlpha, loraTargets, gradientAccumulation, maxGradNorm, clipping } = options;
  assert.deepEqual(
    [method, loraR, loraAlpha, loraTargets, gradientAccumulation, maxGradNorm, clipping, result.trainableParameters],
    ["selective+lora", 4, 16, ["query", "key"], 2, 5, "layer", trained],
  );

  const eval_ = ["eval", "--model", at("out"), "--data", at("dev.csv"), "--json", "--threads", "1", "--quiet"];
  const { examples: _, ...metrics } = JSON.parse(await succeed(eval_));
  assert.deepEqual(metrics, result.dev);
  assert.match(await succeed(["predict", "--model", at("out"), "the film was good"]), /^good /);
  const again = ["train", "--model", at("out"), "--train", at("train.csv"), "--output-dir", at("again"), "--quiet"];
  await fail(again, 2, /the model has lora already: .*mergeAdapter/);
});

Deno.test("an adapter that PEFT saved predicts with its base's tokenizer and labels", async () => {
  using place = prepared();
  const { at } = place;
  copyAdapter(at("peft"), { base_model_name_or_path: at("model") });
  const { label, logits } = JSON.parse(
    await succeed(["predict", "--model", at("peft"), "--json", "--logits", "the film was good"]),
  );
  assert.equal(label, `LABEL_${logits.indexOf(Math.max(...logits))}`);
});

Deno.test("selective+freeze: a model, of which a quarter of each text trained the upper layer", async () => {
  using place = prepared();
  const { at } = place;
  writeCsv(at("train.csv"), 24, (good) => good ? "good" : "bad");
  const flags = ["--method", "selective+freeze", "--freeze-layers", "2", "--k", "0.25", "--max-steps", "2"];
  const printed = facts(await train(at, "--train", at("train.csv"), ...flags, "--optimizer-in-backward"));
  assert.equal(printed.get("steps"), "2");
  const { options } = JSON.parse(Deno.readTextFileSync(at("out/training.json")));
  assert.deepEqual([options.method, options.freezeLayers, options.k], ["selective+freeze", 2, 0.25]);
  const layer = async (folder: string, index: number): Promise<number[]> => {
    using classifier = await loadClassifier(folder, { pooling: "mean" });
    const key = `bert.encoder.layer.${index}.output.dense.weight`;
    const weight = namedParameters(classifier.model).get(key);
    assert.ok(weight);
    return toNumbers(weight);
  };
  assert.deepEqual(await layer(at("out"), 1), await layer(at("model"), 1));
  assert.notDeepEqual(await layer(at("out"), 2), await layer(at("model"), 2));
});

Deno.test("regression: numbers in, numbers out", async () => {
  using place = prepared();
  const { at } = place;
  writeCsv(at("train.csv"), 24, (good, row) => good ? `4.${row % 4}` : "1.5");
  const files = ["--train", at("train.csv"), "--dev", at("train.csv"), "--task", "regression"];
  const printed = facts(await train(at, ...files, "--epochs", "40", "--learning-rate", "1e-3"));
  assert.ok(Number(printed.get("dev pearson")) > 0.5, printed.get("dev pearson"));
  assert.match(await succeed(["predict", "--model", at("out"), "good film"]), /^-?\d+\.\d{4} {2}good film\n$/);
  const { value } = JSON.parse(await succeed(["predict", "--model", at("out"), "--json", "good film"]));
  assert.ok(Number.isFinite(value));
});

Deno.test("Ctrl-C finishes the step, saves, and exits with 130; --resume goes on from there; SIGTERM exits with 143", async () => {
  using place = prepared();
  const { at } = place;
  writeCsv(at("train.csv"), 24, (good) => good ? "good" : "bad");
  const out = at("out");
  const begin = ["--model", at("model"), "--train", at("train.csv"), "--max-steps", "1000000", "--output-dir", out];
  let reached = 0;
  for (const [flags, signal, code] of [[begin, "SIGINT", 130], [["--resume", out], "SIGTERM", 143]] as const) {
    const child = spawnCli(["train", ...flags]);
    const stderr = await readUntil(child.stderr, /^step \d+\//m, () => child.kill(signal));
    assert.deepEqual([(await child.status).code, await new Response(child.stdout).text()], [code, ""]);
    const left = new RegExp(`\\nfewtune: interrupted after step (\\d+): go on with fewtune train --resume ${out}\\n$`);
    const [, step] = left.exec(stderr) ?? [];
    assert.ok(Number(step) > reached, stderr);
    if (reached > 0) assert.match(stderr, new RegExp(`^going on after step ${reached}$`, "m"));
    reached = Number(step);
    assert.ok(Deno.statSync(join(out, `checkpoints/step-${reached}`)).isDirectory);
  }
  assert.match(
    await succeed(["predict", "--model", join(out, `checkpoints/step-${reached}`), "good film"]),
    /^(good|bad)/,
  );
  const names = [...Deno.readDirSync(at("")), ...Deno.readDirSync(out)].map(({ name }) => name);
  assert.deepEqual(names.filter((name) => name === "training.json" || name.includes("partial")), []);
  await fail(["predict", "--model", out, "good film"], 1, /config\.json/);
});

/** Reads all of a stream; calls `onSeen` once when what has come so far matches. */
async function readUntil(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
  seen: RegExp,
  onSeen: () => void,
): Promise<string> {
  let text = "";
  let isSeen = false;
  for await (const part of stream.pipeThrough(new TextDecoderStream())) {
    text += part;
    if (!isSeen && seen.test(text)) {
      isSeen = true;
      onSeen();
    }
  }
  return text;
}

Deno.test("predict in a pipe whose reader has enough ends silently", async () => {
  using place = prepared();
  const { at } = place;
  writeCsv(at("train.csv"), 12, (good) => good ? "good" : "bad");
  await train(at, "--train", at("train.csv"), "--max-steps", "1");
  Deno.writeTextFileSync(at("many.txt"), "good film\n".repeat(20_000));
  const predict = `'${Deno.execPath()}' run -A '${cliPath}' predict --model '${at("out")}' --json < '${
    at("many.txt")
  }'`;
  const { stdout, stderr } = await new Deno.Command("sh", { args: ["-c", `${predict} | head -n 2`] }).output();
  assert.equal(new TextDecoder().decode(stderr), "");
  assert.equal(new TextDecoder().decode(stdout).trim().split("\n").length, 2);
});
