// A run's files: metrics.jsonl, and what the real TensorBoard reads of its own, after a resume and a kill too.

import assert from "node:assert/strict";
import { join } from "node:path";
import { type MetricsLine, readMetrics } from "../../../src/train/log/metrics_file.ts";
import { checkLogOptions, type OpenLogOptions, openRunLog } from "../../../src/train/log/run_log.ts";
import type { LogStart } from "../../../src/train/log/sink.ts";
import { crc32c } from "../../../src/train/log/tfrecord.ts";
import type { StepEvent, TrainEvent } from "../../../src/train/events.ts";
import { temporaryFolder } from "../../native/fakes.ts";
import { runPython } from "../../support/python.ts";

function stepEvent(step: number): StepEvent {
  return {
    ...{ type: "step", step, totalSteps: 10, epoch: Math.ceil(step / 5), loss: 1 / step, learningRate: 1e-4 / step },
    ...{ gradientNorm: step / 3, tokens: 100 * step, milliseconds: 50, liveBytes: step << 20, peakBytes: step << 21 },
  };
}

function evaluationEvent(step: number): TrainEvent {
  const metrics = { loss: 0.5 / step, accuracy: step / 10, pearson: NaN };
  return { type: "evaluation", step, metrics, isBest: true, milliseconds: 12 };
}

/** The events of steps `from` to `to`, with an evaluation after each fifth. */
function events(from: number, to: number): TrainEvent[] {
  const steps = Array.from({ length: to - from + 1 }, (_, index) => from + index);
  return steps.flatMap((step) => step % 5 === 0 ? [stepEvent(step), evaluationEvent(step)] : [stepEvent(step)]);
}

// A run that is stopped before its first checkpoint begins anew.
function resumeEvent({ step, evaluation }: LogStart): TrainEvent[] {
  return step === 0 ? [] : [{ type: "resume", step, evaluation, folder: `checkpoints/step-${step}` }];
}

function log(folder: string, told: readonly TrainEvent[], options: OpenLogOptions = {}): void {
  using opened = openRunLog(folder, options);
  told.forEach(opened.onEvent);
}

function numbers(path: string, field: string): unknown[] {
  return readMetrics(path).flatMap((line) => line.type === "step" ? [line[field]] : []);
}

function withoutTime(path: string): MetricsLine[] {
  return readMetrics(path).map(({ time: _, ...line }) => line as MetricsLine);
}

function eventFiles(folder: string): string[] {
  return [...Deno.readDirSync(folder)].map(({ name }) => name).filter((name) => name.startsWith("events.")).toSorted();
}

Deno.test("metrics.jsonl has a line for each event, with everything that is to be seen of it", () => {
  using temporary = temporaryFolder();
  const told: TrainEvent[] = [];
  log(temporary.path, [...events(1, 5), { type: "notice", step: 5, message: "a\nnote" }], {
    onEvent: (event) => told.push(event),
  });
  assert.deepEqual(told.map(({ type }) => type), ["step", "step", "step", "step", "step", "evaluation", "notice"]);
  const lines = readMetrics(join(temporary.path, "metrics.jsonl"));
  const { time, ...second }: Record<string, unknown> = lines[1] ?? {};
  assert.deepEqual(second, {
    ...{ type: "step", step: 2, totalSteps: 10, epoch: 1, loss: 0.5, learningRate: 5e-5, gradientNorm: 2 / 3 },
    ...{ tokens: 200, tokensPerSecond: 4000, milliseconds: 50, liveBytes: 2 << 20, peakBytes: 2 << 21 },
  });
  assert.ok(Math.abs(Date.parse(String(time)) - Date.now()) < 60_000, String(time));
  assert.match(String(time), /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
  assert.deepEqual(lines[5]?.["metrics"], { loss: 0.1, accuracy: 0.5, pearson: null });
  assert.equal(lines[6]?.["message"], "a\nnote");
});

Deno.test("with logSteps a line is that of several steps: the mean loss, all tokens, and the last step's state", () => {
  using temporary = temporaryFolder();
  log(temporary.path, events(1, 10), { logSteps: 4 });
  const path = join(temporary.path, "metrics.jsonl");
  assert.deepEqual(numbers(path, "step"), [4, 8, 10]);
  assert.deepEqual(numbers(path, "loss"), [
    (1 + 1 / 2 + 1 / 3 + 1 / 4) / 4,
    (1 / 5 + 1 / 6 + 1 / 7 + 1 / 8) / 4,
    19 / 180,
  ]);
  assert.deepEqual(numbers(path, "tokens"), [1000, 2600, 1900]);
  assert.deepEqual(numbers(path, "tokensPerSecond"), [5000, 13000, 19000]);
  assert.deepEqual(numbers(path, "learningRate"), [1e-4 / 4, 1e-4 / 8, 1e-4 / 10]);
  assert.deepEqual(readMetrics(path).filter(({ type }) => type === "evaluation").map(({ step }) => step), [5, 10]);
});

Deno.test("a run that ends between two lines is logged to its last step", () => {
  using temporary = temporaryFolder();
  log(temporary.path, events(1, 6), { logSteps: 4 });
  assert.deepEqual(numbers(join(temporary.path, "metrics.jsonl"), "step"), [4, 6]);
});

Deno.test("the steps of a line are a whole number of at least 1", () => {
  for (const logSteps of [0, 1.5, -1, NaN]) {
    assert.throws(() => checkLogOptions({ logSteps }), {
      name: "OptionError",
      message: `logSteps is ${logSteps}, it has to be a whole number of at least 1`,
    });
  }
});

Deno.test("a torn last line is no line; a damaged one before is refused by its number", () => {
  using temporary = temporaryFolder();
  const path = join(temporary.path, "metrics.jsonl");
  log(temporary.path, events(1, 3));
  const text = Deno.readTextFileSync(path);
  for (const length of [text.length - 1, text.length - 40]) {
    Deno.writeTextFileSync(path, text.slice(0, length));
    assert.deepEqual(numbers(path, "step"), [1, 2]);
  }
  for (const bad of ["{", "[]", '{"type":"step"}', '{"type":"step","step":"1"}', ""]) {
    Deno.writeTextFileSync(path, `${text}${bad}\n`);
    assert.throws(() => readMetrics(path), {
      name: "DataError",
      message: /metrics\.jsonl: line 4 is no event of a run/,
    });
  }
  assert.throws(() => readMetrics(join(temporary.path, "none")), { name: "DataError", message: /none cannot be read/ });
});

Deno.test("a run that goes on leaves the same lines as one that never stopped", () => {
  using temporary = temporaryFolder();
  const [whole, stopped] = [join(temporary.path, "whole"), join(temporary.path, "stopped")];
  Deno.mkdirSync(whole);
  Deno.mkdirSync(stopped);
  log(whole, events(1, 10));
  const path = join(stopped, "metrics.jsonl");
  const states = [
    { reached: 8, step: 7, evaluation: { step: 5, metrics: {} } },
    { reached: 5, step: 5, evaluation: null },
    { reached: 6, step: 5, evaluation: { step: 5, metrics: {} } },
    { reached: 3, step: 0, evaluation: null },
  ];
  for (const { reached, ...state } of states) {
    Deno.removeSync(stopped, { recursive: true });
    Deno.mkdirSync(stopped);
    log(stopped, events(1, reached));
    Deno.writeTextFileSync(path, '{"type":"st', { append: true });
    const isEvaluationDue = state.step === 5 && state.evaluation === null;
    const due = isEvaluationDue ? [evaluationEvent(5)] : [];
    log(stopped, [...resumeEvent(state), ...due, ...events(state.step + 1, 10)]);
    const lines = withoutTime(path).filter(({ type }) => type !== "resume");
    assert.deepEqual(lines, withoutTime(join(whole, "metrics.jsonl")), JSON.stringify(state));
    assert.equal([...Deno.readDirSync(stopped)].length, 3, "metrics.jsonl and two of TensorBoard's");
  }
});

Deno.test("a disk that is full stops nothing, and is told once for each file", () => {
  using temporary = temporaryFolder();
  Deno.symlinkSync("/dev/full", join(temporary.path, "metrics.jsonl"));
  const told: TrainEvent[] = [];
  log(temporary.path, events(1, 4), { onEvent: (event) => told.push(event) });
  const notices = told.flatMap((event) => event.type === "notice" ? [event.message] : []);
  assert.equal(told.length, 5);
  assert.match(notices.join(), /^metrics\.jsonl cannot be written \(No space left on device.*training goes on/);
});

Deno.test("crc32c: the examples of RFC 3720, B.4", () => {
  const ascending = Uint8Array.from({ length: 32 }, (_, index) => index);
  assert.equal(crc32c(new Uint8Array(32)), 0x8a9136aa);
  assert.equal(crc32c(new Uint8Array(32).fill(0xff)), 0x62a8ab43);
  assert.equal(crc32c(ascending), 0x46dd794e);
  assert.equal(crc32c(ascending.toReversed()), 0x113fdb5c);
});

Deno.test("TensorBoard reads every scalar; after a kill in mid-write all before; after a resume each step once", async () => {
  using temporary = temporaryFolder();
  const [whole, killed, resumed] = ["whole", "killed", "resumed"].map((name) => join(temporary.path, name));
  assert.ok(whole && killed && resumed);
  for (const folder of [whole, killed, resumed]) Deno.mkdirSync(folder);
  log(whole, events(1, 10));
  log(killed, events(1, 9));
  tearLastRecord(killed);
  log(resumed, events(1, 8));
  tearLastRecord(resumed);
  log(resumed, [...resumeEvent({ step: 6, evaluation: { step: 5, metrics: {} } }), ...events(7, 7)]);
  log(resumed, [...resumeEvent({ step: 5, evaluation: { step: 5, metrics: {} } }), ...events(6, 10)]);
  assert.equal(eventFiles(resumed).length, 3);

  const read = JSON.parse(await runPython("tensorboard_scalars.py", [whole, killed, resumed]));
  const steps = Array.from({ length: 10 }, (_, index) => index + 1);
  const series = (value: (step: number) => number, of = steps): number[][] =>
    of.map((step) => [step, Math.fround(value(step))]);
  assert.deepEqual(read[whole], {
    "train/loss": series((step) => 1 / step),
    "train/learning_rate": series((step) => 1e-4 / step),
    "train/gradient_norm": series((step) => step / 3),
    "train/tokens_per_second": series((step) => 2000 * step),
    "memory/live_mib": series((step) => step),
    "memory/peak_mib": series((step) => 2 * step),
    "eval/loss": series((step) => 0.5 / step, [5, 10]),
    "eval/accuracy": series((step) => step / 10, [5, 10]),
    "eval/pearson": [[5, null], [10, null]],
  });
  assert.deepEqual(read[killed]["train/loss"], series((step) => 1 / step, steps.slice(0, 8)));
  assert.deepEqual(read[resumed]["train/loss"], read[whole]["train/loss"]);
  assert.deepEqual(read[resumed]["eval/accuracy"], read[whole]["eval/accuracy"]);
});

function tearLastRecord(folder: string): void {
  const path = join(folder, eventFiles(folder).at(-1) ?? "");
  Deno.truncateSync(path, Deno.statSync(path).size - 5);
}
