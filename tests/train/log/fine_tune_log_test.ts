// The log of real runs: what `fineTune` leaves of one that ran through, and of one that was stopped and went on.

import assert from "node:assert/strict";
import { join } from "node:path";
import { fineTune, type FineTuneEvent, type FineTuneOptions, type MetricsLine, readMetrics } from "../../../mod.ts";
import "../../support/torch.ts";
import { writeCsv, writeTinyModel } from "../../cli/tiny_model.ts";
import { temporaryFolder } from "../../native/fakes.ts";

// What does not depend on when and how fast a step ran.
function whatHappened(folder: string): unknown[] {
  return readMetrics(join(folder, "metrics.jsonl")).filter(({ type }) => type === "step" || type === "evaluation")
    .map(({ time: _, milliseconds: __, tokensPerSecond: ___, liveBytes: ____, peakBytes: _____, ...line }) => line);
}

function ofType(folder: string, type: string): MetricsLine[] {
  return readMetrics(join(folder, "metrics.jsonl")).filter((line) => line.type === type);
}

Deno.test("a run's log is that of its events; a run that was stopped and goes on has each of them once", async () => {
  using temporary = temporaryFolder();
  const at = (name: string): string => join(temporary.path, name);
  writeTinyModel(at("model"));
  for (const name of ["train", "dev"]) writeCsv(at(`${name}.csv`), 24, (good) => good ? "good" : "bad");
  const options: FineTuneOptions = {
    ...{ model: at("model"), train: at("train.csv"), dev: at("dev.csv"), tokenCache: false },
    ...{ batchSize: 4, epochs: 2, k: 4, threads: 1, saveSteps: 2, keepCheckpoints: 9, outputDir: at("whole") },
  };
  const events: FineTuneEvent[] = [];
  await fineTune({ ...options, onEvent: (event) => events.push(event) });
  const steps = events.filter(({ type }) => type === "step");
  const { tokensPerSecond, time: _, ...line } = ofType(at("whole"), "step")[6] ?? {} as MetricsLine;
  assert.deepEqual(line, steps[6]);
  assert.ok(steps[6]?.type === "step" && tokensPerSecond === 1000 * steps[6].tokens / steps[6].milliseconds);
  assert.deepEqual(ofType(at("whole"), "evaluation").map(({ step }) => step), [6, 12]);
  assert.equal([...Deno.readDirSync(at("whole"))].filter(({ name }) => name.startsWith("events.out")).length, 1);

  const stop = new AbortController();
  const onEvent = (event: FineTuneEvent): void => {
    if (event.type === "step" && event.step === 7) stop.abort();
  };
  await fineTune({ ...options, outputDir: at("stopped"), signal: stop.signal, onEvent });
  Deno.removeSync(at("stopped/checkpoints/step-7"), { recursive: true });
  await fineTune({ ...options, outputDir: at("stopped"), resume: true });
  assert.deepEqual(ofType(at("stopped"), "resume").map(({ step }) => step), [6]);
  assert.deepEqual(whatHappened(at("stopped")), whatHappened(at("whole")));
});

Deno.test("with logSteps there are fewer lines, without TensorBoard no file of its own, and the weights are the same", async () => {
  using temporary = temporaryFolder();
  const at = (name: string): string => join(temporary.path, name);
  writeTinyModel(at("model"));
  writeCsv(at("train.csv"), 12, (good) => good ? "good" : "bad");
  const options = {
    model: at("model"),
    train: at("train.csv"),
    batchSize: 4,
    epochs: 2,
    threads: 1,
    tokenCache: false,
  };
  await fineTune({ ...options, outputDir: at("each") });
  await fineTune({ ...options, outputDir: at("some"), logSteps: 4, tensorboard: false });
  assert.deepEqual(ofType(at("some"), "step").map(({ step }) => step), [4, 6]);
  assert.deepEqual([...Deno.readDirSync(at("some"))].filter(({ name }) => name.startsWith("events.out")), []);
  const weights = ["each", "some"].map((name) => Deno.readFileSync(at(`${name}/model.safetensors`)));
  assert.deepEqual(weights[0], weights[1]);
});
