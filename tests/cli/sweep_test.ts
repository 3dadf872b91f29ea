// `fewtune sweep` as a person runs it: its table, its exit codes, and Ctrl-C.

import assert from "node:assert/strict";
import { join } from "node:path";
import { temporaryFolder } from "../native/fakes.ts";
import { fail, runCli, spawnCli, succeed } from "./run_cli.ts";
import { writeCsv, writeTinyModel } from "./tiny_model.ts";

const place = temporaryFolder();
addEventListener("unload", () => place[Symbol.dispose]());
const at = (name: string): string => join(place.path, name);
writeTinyModel(at("model"));
writeCsv(at("table.csv"), 16, (good) => good ? "good" : "bad");
const base = { model: "model", train: "table.csv", dev: "table.csv", k: 4, batchSize: 8, epochs: 1, threads: 1 };
Deno.writeTextFileSync(at("base.json"), JSON.stringify({ ...base, grid: { learningRate: [1e-3, 1e30] } }));

function sweepArgs(folder: string, ...more: string[]): string[] {
  return ["sweep", "--config", at("base.json"), "--output-dir", at(folder), ...more];
}

Deno.test("the runs are listed, run, and put into a table; what failed is said, and the exit code is 1", async () => {
  const plan = await succeed(sweepArgs("out", "--dry-run", "--grid", "seed=1,2", "--epochs", "2"));
  assert.deepEqual(plan.trim().split("\n").slice(2), [
    ...[1, 2].map((seed) => `learningRate=0.001,seed=${seed}   to do`),
    ...[1, 2].map((seed) => `learningRate=1e+30,seed=${seed}   to do`),
  ]);
  assert.throws(() => Deno.statSync(at("out")), Deno.errors.NotFound);

  const { code, stdout, stderr } = await runCli(sweepArgs("out", "--grid", "seed=1,2", "--quiet"));
  assert.equal(code, 1);
  assert.match(stderr, /^fewtune: 2 of 4 runs failed in [^\n]*out; learningRate=1e\+30,seed=1: the loss is [^\n]*\n$/);
  const lines = stdout.split("\n");
  assert.match(lines[0] ?? "", /^run +dev loss +dev accuracy +dev f1 +dev matthews +steps +seconds +state$/);
  assert.match(stdout, /^learningRate=0\.001,seed=1( +-?\d\.\d{4}){4} +2 +\d+\.\d +done$/m);
  assert.match(stdout, /^learningRate=1e\+30,seed=2 +failed$/m);
  assert.match(stdout, /^learningRate=0\.001 +2 of 2( +-?\d\.\d{4} ± \d\.\d{4}){4} +best$/m);
  assert.match(stdout, /^learningRate=1e\+30 +0 of 2$/m);
  assert.match(stdout, /^best by: dev accuracy$/m);

  const again = await runCli(sweepArgs("out", "--grid", "seed=1,2", "--json"));
  const { runs, summary, deciding } = JSON.parse(again.stdout);
  assert.equal(again.code, 1);
  assert.match(again.stderr, /^run 1 of 4, learningRate=0\.001,seed=1: was done before\n/);
  assert.deepEqual(runs.map(({ state }: { state: string }) => state), ["done", "done", "failed", "failed"]);
  assert.deepEqual([summary.length, deciding], [2, ["dev accuracy"]]);
});

Deno.test("Ctrl-C stops the run at hand, and the same command goes on", async () => {
  const args = sweepArgs("stopped", "--grid", "learning-rate=1e-3", "--max-steps", "150");
  const child = spawnCli(args);
  const reader = child.stderr.pipeThrough(new TextDecoderStream()).getReader();
  let said = "";
  for (let part = await reader.read(); !part.done; part = await reader.read()) {
    const hasBegun = said.includes("step 1/");
    said += part.value;
    if (!hasBegun && said.includes("step 1/")) child.kill("SIGINT");
  }
  assert.equal((await child.status).code, 130, said);
  assert.equal(await new Response(child.stdout).text(), "");
  assert.match(said, /\nfewtune: interrupted with 1 of 1 runs to go: the same command goes on\n$/);
  const { code, stdout, stderr } = await runCli(args);
  assert.equal(code, 0, stderr);
  assert.match(stderr, /^run 1 of 1, learningRate=0\.001: goes on\n[^]*going on after step \d+\n/);
  assert.match(stdout, /^learningRate=0\.001 .* 150 +\d+\.\d +done$/m);
});

Deno.test("flags that cannot be are refused in one line", async () => {
  await Promise.all([
    fail(sweepArgs("out2", "--grid", "learning-rat=1"), 2, /no option learning-rat: did you mean learningRate\?/),
    fail(sweepArgs("out2", "--grid", "seed=1,x"), 2, /seed=1,x' is invalid\. It has to be a whole number/),
  ]);
  await fail(["sweep", "--grid", "seed=1", "--output-dir", at("out2")], 2, /there is no model to fine-tune: .*--model/);
});

Deno.test("train takes a preset's options, with the first learning rate; flags count before it", async () => {
  const run = ["train", "--preset", "paper", "--glue", "rte", "--model", at("model"), "--output-dir", at("out3")];
  const [plain, other] = await Promise.all(
    [run, [...run, "--learning-rate", "1e-4", "--epochs", "2"]].map(async (args) => {
      const { method, k, batchSize, maxLength, epochs, learningRate } = JSON.parse(
        await succeed([...args, "--print-config"]),
      );
      return [method, k, batchSize, maxLength, epochs, learningRate];
    }),
  );
  assert.deepEqual(plain, ["selective", 16, 16, 128, 20, 5e-5]);
  assert.deepEqual(other, ["selective", 16, 16, 128, 2, 1e-4]);
});
