// `fewtune profile` as a person runs it: the table, the JSON object, the picture, and what is refused.

import assert from "node:assert/strict";
import { join } from "node:path";
import { hasBfloat16Arithmetic } from "../../src/torch/mod.ts";
import "../support/torch.ts";
import { temporaryFolder } from "../native/fakes.ts";
import { fail, succeed, twoAtATime } from "./run_cli.ts";
import { writeTinyModel } from "./tiny_model.ts";

const small = ["--batch-size", "3", "--steps", "1", "--quiet", "--threads", "1"];
const mebibyte = 2 ** 20;

Deno.test("--json prints one object with all fields, of a checkpoint's own size", async () => {
  using temporary = temporaryFolder();
  const folder = join(temporary.path, "model");
  writeTinyModel(folder);
  const flags = [
    "--max-length",
    "24",
    "--k",
    "5",
    "--activations",
    "recompute",
    "--optimizer-in-backward",
    "--seed",
    "3",
  ];
  const printed = await succeed(["profile", "--model", folder, ...small, ...flags, "--json"]);
  assert.match(printed, /^\{.*\}\n$/);
  const { settings, versions, machine, phases, timeline, peak, ...numbers } = JSON.parse(printed);
  assert.deepEqual(settings, {
    model: folder,
    layers: 3,
    batchSize: 3,
    lengths: [24, 24, 24],
    tokens: 72,
    method: "selective",
    k: 5,
    activations: "recompute",
    keptStates: { from: 0, every: 1 },
    optimizer: "adamw",
    optimizerInBackward: true,
    precision: "float32",
    hasBfloat16Arithmetic: hasBfloat16Arithmetic("cpu"),
    steps: 1,
    seed: 3,
    threads: 1,
    device: "cpu",
  });
  const names = [
    "trainableParameters",
    ...["weightsBytes", "gradientBytes", "optimizerBytes", "activationBytes", "workspaceBytes", "peakBytes"],
    ...["stepMs", "contextBytes"],
  ];
  assert.deepEqual(Object.keys(numbers).toSorted(), names.toSorted());
  for (const name of names) assert.ok(numbers[name] > 0, name);
  assert.equal(numbers.weightsBytes, 4 * numbers.trainableParameters);
  assert.equal(peak.peakBytes, numbers.peakBytes);
  assert.ok(numbers.contextBytes > 20 * mebibyte);
  assert.deepEqual(phases.map(({ phase }: { phase: string }) => phase), [
    "context",
    "weights",
    "batch",
    "forwardWithoutGrad",
    "forwardWithGrad",
    "backward",
    "optimizerStep",
  ]);
  assert.ok(timeline.length > 10 && versions.torch && machine.cores);
});

Deno.test("the table is readable in 100 columns, and the picture stands in its file", async () => {
  using temporary = temporaryFolder();
  const at = (name: string): string => join(temporary.path, name);
  writeTinyModel(at("model"));
  const config = join(at("model"), "config.json");
  const flags = ["--lengths", "cola", "--max-length", "12", "--method", "full", "--svg", at("step.svg")];
  const lines = (await succeed(["profile", "--config", config, ...small, ...flags])).split("\n");
  for (const line of lines) assert.ok(line.length <= 100 || line.startsWith(config), line);
  const text = lines.join("\n");
  for (const name of ["context \\*", "weights", "backward", "optimizer's step", "a step", "gradients", "workspace"]) {
    assert.match(text, new RegExp(`^${name} .*\\d\\.\\d`, "m"));
  }
  assert.match(
    text,
    /3 layers; 3 sequences of \d+ to \d+ tokens, \d+ in all\nfull; store; adamw; float32; cpu, 1 thread; medians of 1 step\n/,
  );
  assert.doesNotMatch(text, /multiplied/);
  const narrow = await succeed(["profile", "--config", config, ...small, "--max-length", "12", "--precision", "bf16"]);
  const arithmetic = hasBfloat16Arithmetic("cpu") ? "by the processor itself" : "as float32 here";
  assert.match(narrow, new RegExp(`bf16; cpu, 1 thread; .*\\nbf16 is multiplied ${arithmetic}`));
  assert.match(text, /^peak: \d+\.\d MiB, in .+ of 3$/m);
  assert.match(Deno.readTextFileSync(at("step.svg")), /^<svg [^]*<\/svg>\n$/);
  assert.deepEqual([...Deno.readDirSync(temporary.path)].map(({ name }) => name).toSorted(), ["model", "step.svg"]);
});

Deno.test("what is refused, in one line, and nothing written", async () => {
  using temporary = temporaryFolder();
  const at = (name: string): string => join(temporary.path, name);
  writeTinyModel(at("model"));
  const config = join(at("model"), "config.json");
  Deno.writeTextFileSync(at("broken.json"), '{"model_type": "bert",');
  const profile = (...flags: string[]): string[] => ["profile", ...small, ...flags];
  const refuse = (flags: readonly string[], line: RegExp, code = 2): () => Promise<void> => () =>
    fail(profile(...flags), code, line);
  await twoAtATime([
    refuse([], /either --config NAME or --model DIR/),
    refuse(["--config", config, "--model", at("model")], /either --config NAME or --model DIR/),
    refuse(["--config", "bert-huge"], /"bert-huge" is not known and no file: known are bert-base, bert-large/),
    refuse(["--config", at("model")], /is not known and no file/),
    refuse(["--config", at("broken.json")], /broken\.json is no JSON/, 1),
    refuse(["--model", at("nowhere")], /there is no folder .*\/nowhere, and it is no name of a model/, 1),
    refuse(["--config", config, "--max-length", "65"], /a sequence has 65 tokens, this model takes 1 to 64/),
    refuse(["--config", config, "--svg", at("none/step.svg")], /cannot be written to .*none\/step\.svg: No such file/),
    refuse(["--config", config, "--svg", at("model")], /cannot be written to .*model: it is a folder/),
    refuse(["--config", config, "--method", "full", "--k", "4"], /k is 4, but the method full has no k/),
    refuse(["--config", config, "--k", "0"], /'--k <count>' argument '0' .*at least 1/),
    refuse(["--config", config, "--steps", "0"], /'--steps <count>' argument '0' .*at least 1/),
    refuse(["--config", config, "--batch-size", "0"], /'--batch-size <count>' argument '0'/),
    refuse(["--config", config, "--lengths", "long"], /'--lengths <kind>' argument 'long' .*fixed, cola/),
    refuse(["--config", config, "--method", "best"], /the method is "best", .*selective, freeze, full, lora/),
    refuse(
      ["--config", config, "--activations", "kept"],
      /'--activations <mode>' argument 'kept' .*auto, store, recompute/,
    ),
    refuse(["--config", config, "--optimizer", "sgd"], /'--optimizer <name>' argument 'sgd' .*adamw/),
    refuse(["--config", config, "--precision", "int8"], /'--precision <type>' argument 'int8' .*float32, bf16/),
    refuse(["--config", config, "--k", "1.5"], /'--k <count>' argument '1\.5' .*whole number/),
    refuse(
      ["--config", config, "--memory-budget", "5XB"],
      /'--memory-budget <bytes>' argument '5XB' .*1400MiB or 2GiB/,
    ),
    refuse(["--config", config, "--memory-budget", "0"], /'--memory-budget <bytes>' argument '0' .*above 0/),
    refuse(
      ["--config", config, "--max-length", "24", "--memory-budget", "0.1MiB"],
      /budget is 0\.1 MiB, but a step needs about \d\.\d MiB: allow more/,
    ),
    refuse(
      ["--config", config, "--memory-budget", "1GiB", "--activations", "store"],
      /they are set to store: use auto/,
    ),
  ]);
  assert.deepEqual([...Deno.readDirSync(temporary.path)].map(({ name }) => name).toSorted(), ["broken.json", "model"]);
});
