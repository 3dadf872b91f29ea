// What is shown of a run while it goes on: on terminals of several widths, in a file, and as JSON.

import assert from "node:assert/strict";
import { StepLine } from "../../src/cli/progress_bar.ts";
import type { StepEvent } from "../../src/train/events.ts";
import { temporaryFolder } from "../native/fakes.ts";

function stepEvent(step: number, milliseconds = 500): StepEvent {
  return {
    ...{ type: "step", step, totalSteps: 1000, epoch: 2, loss: 0.5, learningRate: 4.25e-5, gradientNorm: 1 },
    ...{ tokens: 600, milliseconds, liveBytes: 1500 * 2 ** 20, peakBytes: 2000 * 2 ** 20 },
  };
}

function lineAfter(steps: readonly StepEvent[]): StepLine {
  const line = new StepLine();
  steps.forEach((step) => line.add(step));
  return line;
}

Deno.test("a line says all there is room for, and what matters most where there is little", () => {
  const event = stepEvent(10);
  const line = lineAfter([event]);
  const whole =
    "step 10/1000  epoch 2  loss 0.5000  rate 4.3e-5  1,200 tokens/s  live 1,500 MiB  peak 2,000 MiB  8:15 left";
  assert.equal(line.text(event), whole);
  assert.equal(line.text(event, whole.length), whole);
  const texts = [whole.length - 1, 80, 60, 50, 30, 20, 1].map((columns) => line.text(event, columns));
  assert.deepEqual(texts, [
    "step 10/1000  epoch 2  loss 0.5000  rate 4.3e-5  1,200 tokens/s  live 1,500 MiB  8:15 left",
    "step 10/1000  loss 0.5000  1,200 tokens/s  live 1,500 MiB  8:15 left",
    "step 10/1000  loss 0.5000  1,200 tokens/s  8:15 left",
    "step 10/1000  loss 0.5000  8:15 left",
    "step 10/1000  loss 0.5000",
    "step 10/1000",
    "step 10/1000",
  ]);
});

Deno.test("the time left is that of the steps to come at their pace here, with their evaluations", () => {
  const resumed = lineAfter([stepEvent(901), stepEvent(902)]);
  assert.match(resumed.text(stepEvent(902)), /0:49 left$/);
  resumed.addEvaluation({ type: "evaluation", step: 902, metrics: {}, isBest: true, milliseconds: 2000 });
  assert.match(resumed.text(stepEvent(902)), /2:27 left$/);
  assert.doesNotMatch(lineAfter([stepEvent(1000)]).text(stepEvent(1000)), /left/);
});

/** A program that shows three steps and an evaluation. */
function program(show: string): string {
  return `
    import { showTrainingProgress } from "${new URL("../../src/cli/training_progress.ts", import.meta.url)}";
    import { printEvents, printResult } from "${new URL("../../src/cli/json_events.ts", import.meta.url)}";
    const shown = ${show};
    for (const event of ${JSON.stringify([stepEvent(1), stepEvent(2)])}) shown.onEvent(event);
    const metrics = { accuracy: 0.5, pearson: NaN };
    shown.onEvent({ type: "evaluation", step: 2, metrics, isBest: true, milliseconds: 1 });
    shown.onEvent(${JSON.stringify({ ...stepEvent(3), totalSteps: 3 })});
    shown.note("a note");
    shown[Symbol.dispose]();
    if (${show.startsWith("printEvents")}) printResult({ steps: 3, dev: { accuracy: 1 } }, "out");`;
}

interface Shown {
  readonly stdout: string;
  readonly stderr: string;
}

/** What a program shows in a file; or on a terminal of so many columns, where both streams are one. */
async function shownBy(show: string, columns?: number): Promise<Shown> {
  using temporary = temporaryFolder();
  const path = `${temporary.path}/program.ts`;
  Deno.writeTextFileSync(path, program(show));
  const run = [Deno.execPath(), "run", "-A", "--no-check", path];
  const [command = "", ...args] = columns === undefined
    ? run
    : ["script", "-qec", `stty cols ${columns}; ${run.join(" ")}`, "/dev/null"];
  const { stdout, stderr } = await new Deno.Command(command, { args, stdin: "null" }).output();
  return { stdout: new TextDecoder().decode(stdout), stderr: new TextDecoder().decode(stderr) };
}

Deno.test("a terminal has one line that changes, no longer than it; what stays stands on lines of its own", async () => {
  const [wide, narrow] = await Promise.all([120, 40].map((columns) => shownBy("showTrainingProgress(false)", columns)));
  const erase = "\r\x1b[2K";
  const lines = wide?.stdout.split(/\r?\n/).flatMap((line) => line.split(erase)).filter((line) => line !== "");
  assert.deepEqual(lines, [
    "░░░░░░░░░░░░░░░░  step 1/1000  epoch 2  loss 0.5000  rate 4.3e-5  1,200 tokens/s  live 1,500 MiB  8:20 left",
    "░░░░░░░░░░░░░░░░  step 2/1000  epoch 2  loss 0.5000  rate 4.3e-5  1,200 tokens/s  live 1,500 MiB  8:19 left",
    "after step 2: accuracy 0.5000  pearson NaN",
    "████████████████  step 3/3  epoch 2  loss 0.5000  rate 4.3e-5  1,200 tokens/s  live 1,500 MiB  peak 2,000 MiB",
    "a note",
  ]);
  assert.ok(narrow?.stdout.includes(`${erase}step 2/1000  loss 0.5000  8:19 left${erase}after step 2: acc`));
});

Deno.test("a file has plain lines; with quiet none", async () => {
  const [plain, quiet] = await Promise.all([false, true].map((quiet) => shownBy(`showTrainingProgress(${quiet})`)));
  assert.deepEqual(quiet, { stdout: "", stderr: "" });
  assert.equal(plain?.stdout, "");
  assert.deepEqual(plain?.stderr.split("\n"), [
    "step 1/1000  epoch 2  loss 0.5000  rate 4.3e-5  1,200 tokens/s  live 1,500 MiB  peak 2,000 MiB  8:20 left",
    "after step 2: accuracy 0.5000  pearson NaN",
    "step 3/3  epoch 2  loss 0.5000  rate 4.3e-5  1,200 tokens/s  live 1,500 MiB  peak 2,000 MiB",
    ...["a note", ""],
  ]);
});

Deno.test("as JSON every event is a line of standard output, and the result the last; a note is for the person", async () => {
  const [{ stdout, stderr }, quiet] = await Promise.all([shownBy("printEvents(false)"), shownBy("printEvents(true)")]);
  const lines = stdout.trimEnd().split("\n").map((line) => JSON.parse(line));
  assert.deepEqual(lines, [
    ...[stepEvent(1), stepEvent(2)],
    { type: "evaluation", step: 2, metrics: { accuracy: 0.5, pearson: null }, isBest: true, milliseconds: 1 },
    { ...stepEvent(3), totalSteps: 3 },
    { type: "result", steps: 3, dev: { accuracy: 1 }, outputDir: "out" },
  ]);
  assert.equal(stderr, "a note\n");
  assert.deepEqual(quiet.stdout.split("\n"), [JSON.stringify(lines.at(-1)), ""]);
});
