// A run's folder: what is in it when, how a run goes on in it, and what is refused or cannot be written.

import assert from "node:assert/strict";
import { join } from "node:path";
import { fineTune, type FineTuneEvent, type FineTuneOptions, type FineTuneResult, loadPredictor } from "../../mod.ts";
import { reviews, writeCsv, writeTinyModel } from "../cli/tiny_model.ts";
import { temporaryFolder } from "../native/fakes.ts";
import { assertNothingLeft } from "../support/torch.ts";

type Options = Partial<FineTuneOptions>;

interface Place extends Disposable {
  readonly at: (name: string) => string;
  readonly run: (name: string, options?: Options) => Promise<FineTuneResult>;
}

/** A model, a table, and runs of six steps in folders beside them. */
function prepared(): Place {
  const temporary = temporaryFolder();
  const at = (name: string): string => join(temporary.path, name);
  writeTinyModel(at("model"));
  writeCsv(at("train.csv"), 24, (good) => good ? "good" : "bad");
  const run = (name: string, options: Options = {}): Promise<FineTuneResult> =>
    fineTune({
      ...{ model: at("model"), train: at("train.csv"), dev: at("train.csv"), outputDir: at(name) },
      ...{ batchSize: 8, epochs: 2, k: 3, learningRate: 1e-3, tokenCache: false, tensorboard: false },
      ...options,
    });
  return { at, run, [Symbol.dispose]: () => temporary[Symbol.dispose]() };
}

/** Names under a folder, hidden ones included. */
function namesIn(folder: string): string[] {
  return [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
}

/** A signal and a listener that aborts it at the first event that is the one. */
function stopAt(isIt: (event: FineTuneEvent) => boolean): Required<Pick<FineTuneOptions, "signal" | "onEvent">> {
  const controller = new AbortController();
  return { signal: controller.signal, onEvent: (event) => isIt(event) && controller.abort() };
}

const afterStep = (step: number): Options => stopAt((event) => event.type === "step" && event.step === step);

function loggedSteps(folder: string): number[] {
  const lines = Deno.readTextFileSync(join(folder, "metrics.jsonl")).trimEnd().split("\n").map((line) =>
    JSON.parse(line)
  );
  return lines.filter(({ type }) => type === "step").map(({ step }) => step);
}

const result = [
  ...["README.md", "config.json", "metrics.jsonl", "model.safetensors", "modeling_fewtune.py", "tokenizer.json"],
  ...["tokenizer_config.json", "train_config.json", "training.json"],
];

Deno.test("the folder is there from just before the first step, and holds the result at the end", async () => {
  using place = prepared();
  const { at, run } = place;
  const seen: string[] = [];
  await assertNothingLeft(async () => {
    const { isSaved } = await run("out", {
      saveSteps: 4,
      onEvent: (event) => {
        if (event.type === "progress") assert.throws(() => Deno.statSync(at("out")), Deno.errors.NotFound);
        if (event.type === "step") seen.push(namesIn(at("out")).join());
        if (event.type === "checkpoint") seen.push(namesIn(at("out/checkpoints")).join());
      },
    });
    assert.ok(isSaved);
  });
  const running = "metrics.jsonl,train_config.json";
  const saved = `checkpoints,${running}`;
  assert.deepEqual(seen, [
    ...[running, running, running, "step-3", saved, "step-3,step-4", saved, saved, "step-4,step-6"],
  ]);
  assert.deepEqual(namesIn(at("out")), result);
  assert.deepEqual(namesIn(at("")), ["model", "out", "train.csv"]);
});

Deno.test("checkpoints stay when it was said how many, and predict as the model did then", async () => {
  using place = prepared();
  const { at, run } = place;
  const stop = afterStep(2);
  await run("out", { ...stop, maxLength: 20 });
  assert.deepEqual(namesIn(at("out")), ["checkpoints", "metrics.jsonl", "train_config.json"]);
  await run("out", { resume: true, maxLength: 20, saveSteps: 1, keepCheckpoints: 1 });
  assert.deepEqual(namesIn(at("out/checkpoints")), ["step-6"]);
  const texts = reviews(4).map(({ text }) => text);
  using last = await loadPredictor(at("out"));
  using saved = await loadPredictor(at("out/checkpoints/step-6"));
  assert.deepEqual(await saved.predict(texts), await last.predict(texts));
  assert.deepEqual([saved.maxLength, saved.maxLength], [20, last.maxLength]);
});

Deno.test("stopped and gone on with, it saves what the run that was never stopped does, and logs each step once", async () => {
  for (const method of ["selective", "selective+lora"]) {
    using place = prepared();
    const { at, run } = place;
    await run("whole", { method });
    for (const step of [1, 3, 4]) {
      const { isSaved, isStopped, steps } = await run("out", { method, resume: step > 1, ...afterStep(step) });
      assert.deepEqual([isSaved, isStopped, steps], [false, true, step]);
      assert.ok(!namesIn(at("out")).includes("training.json"));
    }
    const { isSaved, steps, dev } = await run("out", { method, resume: true });
    assert.deepEqual([isSaved, steps], [true, 6]);
    assert.deepEqual(loggedSteps(at("out")), [1, 2, 3, 4, 5, 6]);
    const record = (name: string) => JSON.parse(Deno.readTextFileSync(at(`${name}/training.json`))).result;
    assert.deepEqual([dev, record("out").best], [record("whole").dev, record("whole").best]);
    const weights = method === "selective" ? "model.safetensors" : "adapter_model.safetensors";
    assert.deepEqual(Deno.readFileSync(at(`out/${weights}`)), Deno.readFileSync(at(`whole/${weights}`)));
    assert.deepEqual(namesIn(at("out")), namesIn(at("whole")));
  }
});

Deno.test("a run that ends before its first step is done leaves nothing", async () => {
  using place = prepared();
  const { at, run } = place;
  const before = stopAt(({ type }) => type === "notice");
  const { isSaved, steps } = await run("out", { ...before, k: 16 });
  assert.deepEqual([isSaved, steps], [false, 0]);
  await assert.rejects(run("out", { columns: { label: "missing" } }), { name: "DataError" });
  const broken = stopAt((event) => {
    if (event.type === "notice") throw new Error("the listener fails");
    return false;
  });
  await assert.rejects(run("out", { ...broken, k: 16 }), { message: "the listener fails" });
  assert.deepEqual(namesIn(at("")), ["model", "train.csv"]);
});

Deno.test("killed before its first checkpoint, a run begins again in its folder; what was half-written goes", async () => {
  using place = prepared();
  const { at, run } = place;
  await run("whole");
  await run("out", afterStep(2));
  Deno.removeSync(at("out/checkpoints"), { recursive: true });
  Deno.mkdirSync(at("out/.new.0123abcd.partial/deep"), { recursive: true });
  await run("out", { resume: true });
  assert.deepEqual(loggedSteps(at("out")), [1, 2, 3, 4, 5, 6]);
  assert.deepEqual(namesIn(at("out")), result);
  assert.deepEqual(Deno.readFileSync(at("out/model.safetensors")), Deno.readFileSync(at("whole/model.safetensors")));
});

Deno.test("only what belongs together goes on: refused in one line, and the checkpoint is as it was", async () => {
  using place = prepared();
  const { at, run } = place;
  await run("out", afterStep(2));
  const checkpoint = at("out/checkpoints/step-2");
  const resumed = (options: Options = {}): Promise<FineTuneResult> => run("out", { resume: true, ...options });
  const refuse = async (attempt: Promise<unknown>, name: string, message: RegExp): Promise<void> => {
    const logged = loggedSteps(at("out"));
    await assert.rejects(attempt, (error: Error) => {
      assert.equal(error.name, name, error.message);
      assert.match(error.message, message);
      return !error.message.includes("\n");
    });
    assert.deepEqual(loggedSteps(at("out")), logged);
  };
  await refuse(run("out"), "CheckpointError", /out holds a run that is not finished: let it go on \(resume\)/);
  await refuse(
    run("none", { resume: true }),
    "CheckpointError",
    /none holds no run to go on with: there is no train_con/,
  );
  await refuse(
    resumed({ learningRate: 1 }),
    "OptionError",
    /learningRate is 1, but the run in .*out began with 0\.001/,
  );
  await refuse(resumed({ maxSteps: 3 }), "OptionError", /maxSteps is 3/);
  await refuse(resumed({ method: "lora", k: "all" }), "OptionError", /method is "lora"/);

  const table = Deno.readTextFileSync(at("train.csv"));
  Deno.writeTextFileSync(at("train.csv"), table.replace("film", "poor"));
  await refuse(resumed(), "CheckpointError", /step-2 was trained on other examples/);
  Deno.writeTextFileSync(at("train.csv"), table);

  const change = (file: string, edit: (text: string) => string): Disposable => {
    const bytes = Deno.readFileSync(join(checkpoint, file));
    const text = Array.from(bytes, (byte) => String.fromCharCode(byte)).join("");
    Deno.writeFileSync(join(checkpoint, file), Uint8Array.from(edit(text), (character) => character.charCodeAt(0)));
    return { [Symbol.dispose]: () => Deno.writeFileSync(join(checkpoint, file), bytes) };
  };
  const damages: [string, (text: string) => string, RegExp][] = [
    ["trainer.json", (text) => text.replace('"format": 2', '"format": 1'), /format 1, this Fewtune reads 2/],
    ["trainer.json", (text) => text.slice(0, 300), /trainer\.json is damaged/],
    ["trainer.json", (text) => text.replace(/"order": \[\s*\d+,/, '"order": ['), /trainer\.json is damaged/],
    [
      "trainer.json",
      (text) => text.replace(/"model": "[0-9a-f]/, '"model": "x'),
      /is of another model or another method/,
    ],
    ["trainer.safetensors", (text) => text.slice(0, -5), /trainer\.safetensors is not a valid safetensors file/],
    ["trainer.safetensors", (text) => text.replace("generator.positions", "generator.positionz"), /positionz/],
    ["model.safetensors", (text) => text.slice(0, -5), /model\.safetensors is not a valid safetensors file/],
  ];
  for (const [file, edit, message] of damages) {
    using _ = change(file, edit);
    await refuse(resumed(), "CheckpointError", message);
  }

  using lock = Deno.openSync(at("out/train_config.json"), { read: true, write: true });
  lock.lockSync(true);
  await refuse(resumed(), "CheckpointError", /another process trains in .*out/);
  lock.unlockSync();
  await resumed();
  await refuse(resumed(), "CheckpointError", /out holds a finished run/);
  await refuse(run("out"), "CheckpointError", /out exists already/);
});

Deno.test("a result that cannot be written: said in one line, nothing of it is left, and the run can go on", async () => {
  using place = prepared();
  const { at, run } = place;
  // A folder that is not empty has the name of a file of the result.
  const inTheWay = at("out/model.safetensors/in the way");
  const block = stopAt((event) => {
    if (event.type === "step" && event.step === 5) Deno.mkdirSync(inTheWay, { recursive: true });
    return false;
  });
  await assert.rejects(run("out", { ...block, saveSteps: 2 }), {
    name: "CheckpointError",
    message: /^\S*out cannot be written \(.*\): when that is put right, the run can go on \(resume\)$/,
  });
  assert.ok(namesIn(at("out")).every((name) => name !== "training.json" && !name.endsWith(".partial")));
  assert.ok(namesIn(at("out/checkpoints")).includes("step-4"));
  Deno.removeSync(at("out/model.safetensors"), { recursive: true });
  const { isSaved } = await run("out", { resume: true, saveSteps: 2 });
  assert.ok(isSaved);
  assert.deepEqual(namesIn(at("out")), result);
});

Deno.test("a checkpoint that cannot be written is a notice while training goes on, and an error when it is stopped", async () => {
  using place = prepared();
  const { at, run } = place;
  // A file has the name of the folder of checkpoints.
  const block = (): void => Deno.writeTextFileSync(at("out/checkpoints"), "");
  const notices: string[] = [];
  const { isSaved } = await run("out", {
    saveSteps: 2,
    onEvent: (event) => {
      if (event.type === "notice") notices.push(event.message);
      if (event.type === "step" && event.step === 1) block();
      if (event.type === "step" && event.step === 4) Deno.removeSync(at("out/checkpoints"));
    },
  });
  assert.ok(isSaved);
  assert.equal(notices.length, 2, notices.join("\n"));
  for (const [index, step] of [2, 3].entries()) {
    const failed = new RegExp(
      `^no checkpoint after step ${step}, training goes on: \\S*step-${step} cannot be written \\(.*\\)$`,
    );
    assert.match(notices[index] ?? "", failed);
  }
  Deno.removeSync(at("out"), { recursive: true });
  const stop = stopAt((event) => {
    if (event.type === "step") block();
    return event.type === "step";
  });
  await assert.rejects(run("out", stop), { name: "CheckpointError", message: /step-1 cannot be written \(.*\)$/ });
  assert.deepEqual(namesIn(at("out")), ["checkpoints", "metrics.jsonl", "train_config.json"]);
});
