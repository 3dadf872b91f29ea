// What a report reads of runs, and what it makes of their curves; the command.

import assert from "node:assert/strict";
import { join } from "node:path";
import { smoothed, thinned } from "../../src/report/curve.ts";
import { scriptJson, scriptText } from "../../src/report/escape.ts";
import { type Point, readRuns, type Run } from "../../src/report/run.ts";
import { settingTables } from "../../src/report/tables.ts";
import { fail, succeed } from "../cli/run_cli.ts";
import { temporaryFolder } from "../native/fakes.ts";
import { lossAt, writeRun } from "./run_folder.ts";

Deno.test("a run that goes on is how far it is; one that is done has what its record says", () => {
  using temporary = temporaryFolder();
  const [going, done] = [join(temporary.path, "going"), join(temporary.path, "done")];
  writeRun(going, { steps: 4, totalSteps: 9, evalSteps: 2, config: { k: 8, outputDir: going } });
  const result = {
    isStopped: false,
    dev: { accuracy: 0.5 },
    test: { f1: 0.25 },
    seconds: 7,
    peakBytes: 9,
    trainableParameters: 3,
  };
  writeRun(done, {
    steps: 2,
    result,
    config: { k: "all", columns: { text: "s1" }, betas: [0.9, 0.999], outputDir: done },
  });
  const [first, second] = readRuns([going, done]);

  assert.equal(first?.state, "step 4 of 9");
  assert.deepEqual(first?.curves["loss"], [1, 2, 3, 4].map((step) => [step, lossAt(step)]));
  assert.deepEqual(first?.evaluations["accuracy"], [[2, 1 - 1 / 3], [4, 0.8]]);
  assert.deepEqual([first?.dev, first?.test], [{ loss: 0.25, accuracy: 0.8, majority: 0.6 }, {}]);
  assert.ok(
    Math.abs((first?.seconds ?? 0) - (0.101 + 0.102 + 0.103 + 0.104 + 2 * 0.05)) < 1e-12,
    "steps and evaluations",
  );
  assert.deepEqual([...first?.settings ?? []], [["k", "8"]]);

  assert.deepEqual([second?.state, second?.seconds, second?.peakBytes, second?.trainedParameters], ["done", 7, 9, 3]);
  assert.deepEqual([second?.dev, second?.test], [{ accuracy: 0.5 }, { f1: 0.25 }]);
  const settings = [["k", "all"], ["columns.text", "s1"], ["betas", "[0.9,0.999]"], ["versions.fewtune", "0.1.0"]];
  assert.deepEqual([...second?.settings ?? []], settings);
});

Deno.test("runs are named by as much of their paths as tells them apart", () => {
  using temporary = temporaryFolder();
  const folders = ["a/out", "b/out", "b/other", "b/other/"].map((name) => join(temporary.path, name));
  folders.forEach((folder) => writeRun(folder, { steps: 1 }));
  assert.deepEqual(readRuns(folders.slice(0, 3)).map(({ name }) => name), ["a/out", "b/out", "other"]);
  assert.deepEqual(readRuns(folders.slice(3)).map(({ name }) => name), ["other"]);
});

Deno.test("settings that differ are a table; versions only when every run has told them", () => {
  const run = (name: string, settings: Record<string, string>): Run => ({
    ...{ name, state: "", steps: 0, seconds: 0, curves: {}, evaluations: {}, dev: {}, test: {} },
    ...{ peakBytes: null, trainedParameters: null, settings: new Map(Object.entries(settings)) },
  });
  const runs = [run("a", { k: "16", seed: "1", "versions.torch": "2" }), run("b", { k: "16", seed: "<2>", dev: "x" })];
  const [table = "", shared = ""] = settingTables(runs).split("<details>");
  const cells = (html: string): string[] =>
    [...html.matchAll(/<t[hd]\b[^>]*>(.*?)<\/t[hd]>/g)].map(([, cell = ""]) => cell.replace(/<i.*<\/i>/, ""));
  assert.deepEqual(cells(table), ["run", "seed", "dev", "a", "1", "–", "b", "&lt;2&gt;", "x"]);
  assert.deepEqual(cells(shared), ["k", "16"]);
  assert.doesNotMatch(settingTables(runs.slice(0, 1)), /Different/);
});

Deno.test("a long curve keeps its first and last point and every peak", () => {
  const points = Array.from({ length: 54321 }, (_, step): Point => [step, step % 5000 === 4321 ? 99 : Math.sin(step)]);
  const few = thinned(points, 1000);
  assert.ok(few.length <= 1000 && few.length > 900, `${few.length}`);
  assert.deepEqual([few[0], few.at(-1)], [points[0], points.at(-1)]);
  assert.deepEqual(few.filter(([, value]) => value === 99), points.filter(([, value]) => value === 99));
  assert.deepEqual(few.map(([step]) => step), few.map(([step]) => step).toSorted((a, b) => a - b));
  assert.equal(thinned(few, 1000), few);
});

Deno.test("a smoothed curve is the weighted mean of what came before, without a bias to its start", () => {
  const values = [3, 1, 4, 1, 5];
  const weights = values.map((_, age) => (1 - 2 / 11) ** age);
  const expected = values.map((_, last) => {
    const upTo = values.slice(0, last + 1).map((value, index) => [value, weights[last - index] ?? 0] as const);
    return upTo.reduce((sum, [value, weight]) => sum + value * weight, 0) /
      upTo.reduce((sum, [, weight]) => sum + weight, 0);
  });
  smoothed(values.map((value, step): Point => [step, value]), 10).forEach(([, value], index) => {
    assert.ok(Math.abs(value - (expected[index] ?? NaN)) < 1e-12, `${index}: ${value}`);
  });
  assert.deepEqual(smoothed([[1, 2]], 10), [[1, 2]]);
});

Deno.test("data and programs cannot end the script element that they stand in", () => {
  const text = "a</script><!--b";
  assert.doesNotMatch(scriptJson([text]), /</);
  assert.deepEqual(JSON.parse(scriptJson([text])), [text]);
  const program = scriptText(`"${text}</SCRIPT>"`);
  assert.doesNotMatch(program, /<\/script|<!--/i);
  assert.equal(Function(`return ${program}`)(), `${text}</SCRIPT>`);
});

Deno.test("the command writes a page and says where; a folder that is no run's is refused in one line", async () => {
  using temporary = temporaryFolder();
  const at = (name: string): string => join(temporary.path, name);
  writeRun(at("run"), { steps: 3 });
  assert.equal(await succeed(["report", at("run"), "--output", at("page.html")]), `${at("page.html")}\n`);
  assert.match(Deno.readTextFileSync(at("page.html")), /^<!DOCTYPE html>[^]*<h1>run<\/h1>/);
  await fail(
    ["report", at("run"), temporary.path, "--output", at("none.html")],
    1,
    /has no metrics\.jsonl: it is not a run/,
  );
  await fail(["report", at("run"), "--output", at("no/page.html")], 2, /the page cannot be written to/);
});
