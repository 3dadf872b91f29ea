// A sweep from files to folders: its runs are fineTune's, what is done is not done again, and what fails is recorded.

import assert from "node:assert/strict";
import { join } from "node:path";
import {
  fineTune,
  type Grid,
  liveTensorCount,
  memory,
  sweep,
  type SweepEvent,
  type SweepOptions,
} from "../../../mod.ts";
import { writeCsv, writeTinyModel } from "../../cli/tiny_model.ts";
import { temporaryFolder } from "../../native/fakes.ts";
import { assertNothingLeft } from "../../support/torch.ts";

const place = temporaryFolder();
const at = (name: string): string => join(place.path, name);
addEventListener("unload", () => place[Symbol.dispose]());
writeTinyModel(at("model"));
for (const [name, rows] of [["train.csv", 24], ["dev.csv", 10]] as const) {
  writeCsv(at(name), rows, (good) => good ? "good" : "bad");
}

const shared = { model: at("model"), train: at("train.csv"), dev: at("dev.csv"), k: 4, batchSize: 8, epochs: 1 };

function options(folder: string, more: Partial<SweepOptions> = {}): SweepOptions {
  return { ...shared, grid: { learningRate: [3e-3, 1e-3], seed: [1, 2] }, outputDir: at(folder), ...more };
}

function bytes(folder: string): Uint8Array {
  return Deno.readFileSync(at(`${folder}/model.safetensors`));
}

/** What is told of the runs, and after each of them what lives. */
async function swept(given: SweepOptions): Promise<{ result: Awaited<ReturnType<typeof sweep>>; told: string[] }> {
  const told: string[] = [];
  const before = [liveTensorCount(), memory().liveBytes];
  const onEvent = (event: SweepEvent): void => {
    given.onEvent?.(event);
    if (event.type !== "run") return;
    told.push(`${event.number}/${event.total} ${event.phase} ${event.run.state}`);
    assert.deepEqual([liveTensorCount(), memory().liveBytes], before);
  };
  return { result: await sweep({ ...given, onEvent }), told };
}

Deno.test("each run is what fineTune makes alone; another call finds all done", async () => {
  const { result, told } = await swept(options("whole"));
  assert.deepEqual(told, [1, 2, 3, 4].flatMap((n) => [`${n}/4 start to do`, `${n}/4 end done`]));
  const names = result.runs.map(({ name }) => name);
  assert.deepEqual(names, [
    ...[
      "learningRate=0.003,seed=1",
      "learningRate=0.003,seed=2",
      "learningRate=0.001,seed=1",
      "learningRate=0.001,seed=2",
    ],
  ]);
  const alone = await fineTune({ ...shared, learningRate: 1e-3, seed: 2, outputDir: at("alone") });
  assert.deepEqual(bytes("whole/learningRate=0.001,seed=2"), bytes("alone"));
  assert.deepEqual(result.runs[3]?.result?.dev, alone.dev);
  const file = JSON.parse(Deno.readTextFileSync(at("whole/sweep.json")));
  assert.deepEqual(file, JSON.parse(JSON.stringify(result)));
  assert.deepEqual([file.deciding, file.summary.length, file.options.k, file.grid.seed], [["dev accuracy"], 2, 4, [
    1,
    2,
  ]]);

  const again = await swept(options("whole"));
  assert.deepEqual(again.told, [1, 2, 3, 4].map((n) => `${n}/4 skip done`));
  assert.deepEqual({ ...again.result, date: "" }, { ...result, date: "" });
});

Deno.test("stopped within a run, the next call goes on there and ends with the same bits", async () => {
  const controller = new AbortController();
  const stop = ({ type }: SweepEvent): void => {
    if (type === "step" && ++steps === 5) controller.abort();
  };
  let steps = 0;
  const stopped = await swept(options("stopped", { signal: controller.signal, onEvent: stop }));
  assert.deepEqual(stopped.told, ["1/4 start to do", "1/4 end done", "2/4 start to do", "2/4 end begun"]);
  assert.deepEqual(stopped.result.runs.map(({ state }) => state), ["done", "begun", "to do", "to do"]);
  const seen: number[] = [];
  const note = (event: SweepEvent): void => void (event.type === "step" && seen.push(event.step));
  const { told, result } = await swept(options("stopped", { onEvent: note }));
  assert.deepEqual(told.slice(0, 3), ["1/4 skip done", "2/4 start begun", "2/4 end done"]);
  assert.deepEqual(seen.slice(0, 2), [3, 1]);
  for (const { name } of result.runs) assert.deepEqual(bytes(`stopped/${name}`), bytes(`whole/${name}`), name);
});

Deno.test("a run that fails is recorded and the others run; the next call tries it again", async () => {
  const given = options("failing", { grid: { learningRate: [1e30, 1e-3] } });
  const { result, told } = await swept(given);
  assert.deepEqual(told, ["1/2 start to do", "1/2 end failed", "2/2 start to do", "2/2 end done"]);
  assert.match(result.runs[0]?.error ?? "", /^the loss is (NaN|-?Infinity) at step \d/);
  assert.deepEqual(result.summary.map(({ done, isBest }) => [done, isBest]), [[0, false], [1, true]]);
  assert.equal(JSON.parse(Deno.readTextFileSync(at("failing/sweep.json"))).runs[0].state, "failed");
  assert.deepEqual((await swept(given)).told.slice(1), ["1/2 end failed", "2/2 skip done"]);
});

Deno.test("a folder takes this sweep alone, of which the grid may grow, and only one process at a time", async () => {
  const given = options("mine", { grid: { learningRate: [1e-3] }, maxSteps: 1 });
  await sweep(given);
  const refused = (more: Partial<SweepOptions>, message: RegExp): Promise<void> =>
    assertNothingLeft(() => assert.rejects(sweep({ ...given, ...more }), { message }));
  await refused({ k: 8 }, /mine holds another sweep, in which k is 4 and not 8: choose another output folder$/);
  await refused({ seed: 3 }, /in which seed is not given and not 3: choose/);
  await refused({ grid: { learningRate: [3e-3] } }, /in which the grid of learningRate has 0\.001/);
  await refused({ grid: { learningRate: [1e-3], seed: [1] } }, /in which seed does not vary/);
  using lock = Deno.openSync(at("mine/.lock"), { write: true });
  lock.lockSync(true);
  await refused({}, /^another process runs the sweep in .*mine: wait for it, or stop it$/);
  lock.unlockSync();
  const grown = await swept({ ...given, grid: { learningRate: [3e-3, 1e-3] } });
  assert.deepEqual(grown.told, ["1/2 start to do", "1/2 end done", "2/2 skip done"]);
});

Deno.test("what cannot be is refused before the first run, and nothing is made", async () => {
  Deno.mkdirSync(at("other"));
  Deno.writeTextFileSync(at("other/thesis.txt"), "");
  const cases: readonly (readonly [Partial<SweepOptions>, string, RegExp])[] = [
    [{ grid: { maxSteps: [8, 0] } }, "OptionError", /^maxSteps is 0, it has to be a whole number/],
    [{ grid: { method: ["selective", "selektive"] } }, "OptionError", /selektive/],
    [
      { grid: { learningRat: [1e-3] } as Grid },
      "OptionError",
      /there is no option "learningRat": did you mean learningRate/,
    ],
    [{ model: undefined }, "OptionError", /there is no model to fine-tune/],
    [{ grid: { k: [4, 8] } }, "OptionError", /^k is 4 and in the grid as well/],
    [{ method: "full", grid: { seed: [1] } }, "OptionError", /^k is 4, but the method full has no k/],
    [{ outputDir: at("other") }, "CheckpointError", /other exists already and holds no sweep/],
    [{ outputDir: at("model/config.json") }, "CheckpointError", /config\.json/],
  ];
  for (const [more, name, message] of cases) {
    await assertNothingLeft(() => assert.rejects(sweep(options("refused", more)), { name, message }));
  }
  assert.throws(() => Deno.statSync(at("refused")), Deno.errors.NotFound);
});
