// The trainer's options from files to a folder: what is saved is what they ask for, and what cannot be is refused early.

import assert from "node:assert/strict";
import { join } from "node:path";
import { fineTune, type FineTuneEvent, type FineTuneOptions, loadPredictor, type StepEvent } from "../../mod.ts";
import { openSafetensors } from "../../src/files/safetensors.ts";
import { writeCsv, writeTinyModel } from "../cli/tiny_model.ts";
import { temporaryFolder } from "../native/fakes.ts";
import { assertClose, assertNothingLeft } from "../support/torch.ts";

function bytesOf(folder: string): Map<string, Uint8Array> {
  using file = openSafetensors(`${folder}/model.safetensors`);
  return new Map([...file.tensors].map(([key, { byteLength }]) => {
    const bytes = new Uint8Array(byteLength);
    file.readInto(key, bytes);
    return [key, bytes];
  }));
}

Deno.test("the best evaluation's weights are saved, the embeddings as they were, and the options with them", async () => {
  using temporary = temporaryFolder();
  const at = (name: string): string => join(temporary.path, name);
  writeTinyModel(at("model"));
  writeCsv(at("train.csv"), 30, (good) => good ? "good" : "bad");
  const events: FineTuneEvent[] = [];
  await assertNothingLeft(async () => {
    const result = await fineTune({
      ...{ model: at("model"), train: at("train.csv"), dev: at("train.csv"), outputDir: at("out") },
      ...{ batchSize: 8, maxSteps: 12, learningRate: 0.3, schedule: "cosine", warmupSteps: 2, groupByLength: true },
      ...{ labelSmoothing: 0.1, classWeights: { good: 2 }, freezeEmbeddings: true },
      ...{ evalSteps: 3, keepBest: true, bestMetric: "loss" },
      onEvent: (event) => events.push(event),
    });
    const evaluations = events.filter((event) => event.type === "evaluation");
    assert.deepEqual(evaluations.map(({ step }) => step), [3, 6, 9, 12]);
    const best = evaluations.findLast(({ isBest }) => isBest);
    assert.deepEqual([result.best, result.dev], [{ step: best?.step, metrics: best?.metrics }, best?.metrics]);
    using predictor = await loadPredictor(at("out"));
    const { metrics } = await predictor.evaluateTable(at("train.csv"));
    assertClose([metrics["loss"] ?? NaN], [result.dev?.["loss"] ?? NaN], 1e-6);
  });
  const rates = events.filter((event): event is StepEvent => event.type === "step").map((event) => event.learningRate);
  assertClose(rates.slice(0, 4), [0, 0.15, 0.3, 0.15 * (1 + Math.cos(Math.PI / 10))], 1e-15);
  const before = bytesOf(at("model"));
  for (const [key, bytes] of bytesOf(at("out"))) {
    if (key.includes(".embeddings.")) assert.deepEqual(bytes, before.get(key), key);
    else if (before.has(key)) assert.notDeepEqual(bytes, before.get(key), key);
  }
  const { options } = JSON.parse(Deno.readTextFileSync(at("out/training.json")));
  assert.deepEqual([options.warmupRatio, options.warmupSteps, options.keepBest], [undefined, 2, true]);
  const card = Deno.readTextFileSync(at("out/README.md"));
  for (const row of ['| classWeights | {"good":2} |', "| schedule | cosine |", "| freezeEmbeddings | true |"]) {
    assert.ok(card.includes(row), row);
  }
});

Deno.test("options that the data have no use for are refused before the model is looked for", async () => {
  using temporary = temporaryFolder();
  const train = join(temporary.path, "train.csv");
  writeCsv(train, 4, (good) => good ? "good" : "bad");
  const cases: readonly (readonly [Partial<FineTuneOptions>, RegExp])[] = [
    [
      { bestMetric: "bleu", dev: train },
      /^the best metric is "bleu", it can be loss, accuracy, f1, matthews, majority$/,
    ],
    [{ patience: 2 }, /^patience is 2, but there is no dev data to evaluate on$/],
    [{ classWeights: "balanced", task: "language-model" }, /^class weights are given, but a language model has no/],
  ];
  for (const [options, message] of cases) {
    const outputDir = join(temporary.path, "out");
    await assert.rejects(fineTune({ model: "/nowhere/model", train, outputDir, ...options }), {
      name: "OptionError",
      message,
    });
  }
});
