// The options' declarations: they are the library's options, layers of them, and what a run that goes on may change.

import assert from "node:assert/strict";
import { Ajv2020 } from "npm:ajv@8.20.0/dist/2020.js";
import { configText, type FineTuneOptions, OptionError, type TrainConfig } from "../../../mod.ts";
import { SeededRandom } from "../../../src/data/prng.ts";
import { lora } from "../../../src/methods/lora.ts";
import { weightDeclarations } from "../../../src/methods/registry.ts";
import { faultOf } from "../../../src/options/check.ts";
import { nearestName } from "../../../src/options/nearest.ts";
import { configSchemaText } from "../../../src/train/config/json_schema.ts";
import { mergeConfigs } from "../../../src/train/config/layers.ts";
import { runOptions } from "../../../src/train/config/options.ts";
import { readPartialConfig } from "../../../src/train/config/read.ts";
import { resumedOptions } from "../../../src/train/config/resume.ts";
import { temporaryFolder } from "../../native/fakes.ts";
import { jsonMutations } from "../../support/mutate.ts";
import { everyOption, samples } from "../../support/sample_config.ts";

type Told = Omit<FineTuneOptions, "onEvent" | "onSetup" | "signal" | "resume">;
type Bare<Options> = { readonly [Name in keyof Options]-?: Exclude<Options[Name], undefined> };
type Same<One, Other> = One extends Other ? Other extends One ? true : never : never;

Deno.test("the declarations are FineTuneOptions' options, of the same types", () => {
  const isSame: Same<Bare<TrainConfig>, Bare<Told>> = true;
  assert.ok(isSame);
});

Deno.test("train_config.schema.json is the declarations' (deno task schema writes it)", () => {
  const path = new URL("../../../train_config.schema.json", import.meta.url);
  assert.equal(Deno.readTextFileSync(path), configSchemaText());
});

Deno.test("the JSON Schema allows what is read, by Ajv's judgement", () => {
  const isValid = new Ajv2020({ strict: true, allowUnionTypes: true }).compile(JSON.parse(configSchemaText()));
  assert.ok(isValid(everyOption), JSON.stringify(isValid.errors));
  assert.ok(isValid({ ...everyOption, $schema: "x", memoryBudget: "2GiB", classWeights: "balanced", k: "all" }));
  const seen = { valid: 0, invalid: 0 };
  for (let seed = 0; seed < 600; seed++) {
    const text = jsonMutations(seed, JSON.stringify(everyOption));
    const value: unknown = text === "" ? null : JSON.parse(text);
    if (typeof value !== "object" || value === null || Array.isArray(value)) continue;
    const fault = faultOf(runOptions, value);
    assert.equal(isValid(value), fault === undefined, fault?.message ?? JSON.stringify(isValid.errors));
    seen[fault ? "invalid" : "valid"]++;
  }
  assert.ok(seen.valid > 60 && seen.invalid > 200, JSON.stringify(seen));
});

Deno.test("a later layer counts before an earlier one, column by column; warm-up's two options take turns", () => {
  const preset: TrainConfig = { k: 16, epochs: 20, warmupRatio: 0.2, columns: { text: "a", label: "b" } };
  const file: TrainConfig = { epochs: 3, warmupSteps: 5, columns: { text: "c" } };
  assert.deepEqual(mergeConfigs(preset, file, { epochs: 1, columns: { textPair: "d" } }), {
    ...{ k: 16, epochs: 1, warmupSteps: 5, columns: { text: "c", label: "b", textPair: "d" } },
  });
  assert.deepEqual(mergeConfigs({ k: 8 }, { method: "full" }), { method: "full" });
  assert.deepEqual(mergeConfigs({ k: 8 }, { method: "selective+lora" }), { k: 8, method: "selective+lora" });
  assert.deepEqual(mergeConfigs(file, { warmupRatio: 0 }), {
    ...{ epochs: 3, warmupRatio: 0, columns: { text: "c" } },
  });
});

Deno.test("whatever options are given, their text read again gives the same text", () => {
  using folder = temporaryFolder();
  const path = `${folder.path}/train_config.json`;
  const seen = { written: 0, refused: 0 };
  // Of the methods' options those of the samples' method: with another's nearly every choice would be refused.
  const fitting = Object.entries(samples).filter(([name]) => !(name in weightDeclarations) || name in lora.options);
  for (let seed = 0; seed < 150; seed++) {
    const random = new SeededRandom(seed);
    const some = fitting.filter(() => random.below(6) === 0);
    const config: TrainConfig = Object.fromEntries(some.map(([name, [, value]]) => [name, value]));
    try {
      const text = configText(config);
      Deno.writeTextFileSync(path, text);
      assert.equal(configText(readPartialConfig(path)), text);
      seen.written++;
    } catch (error) {
      assert.ok(error instanceof OptionError, String(error));
      seen.refused++;
    }
  }
  assert.ok(seen.written > 30, JSON.stringify(seen));
});

Deno.test("a run that goes on may be saved and logged otherwise, and is else what it was", async () => {
  using folder = temporaryFolder();
  const run = `${folder.path}/moved`;
  Deno.mkdirSync(run);
  await assert.rejects(resumedOptions(run, {}), {
    name: "OptionError",
    message: `there is no run in ${run} that could go on: it has no train_config.json`,
  });
  const begun: TrainConfig = {
    model: "m",
    outputDir: "/out/begun",
    epochs: 2,
    columns: { text: "body" },
    method: "lora",
  };
  Deno.writeTextFileSync(`${run}/train_config.json`, configText(begun));
  const refuse = (given: TrainConfig, message: RegExp): Promise<void> =>
    assert.rejects(resumedOptions(run, given), { name: "OptionError", message });
  await refuse(
    { epochs: 3 },
    /^epochs is 3, but the run in .*moved began with 2, and goes on as it began: leave epochs out$/,
  );
  await refuse({ maxSteps: 9 }, /^maxSteps is 9, but the run in .* began without it/);
  await refuse({ columns: { label: "stars" } }, /^columns is \{"text":"body","label":"stars"\}, but/);
  await refuse({ outputDir: "elsewhere" }, /^outputDir is /);
  const given: TrainConfig = { epochs: 2, columns: { text: "body" }, saveSteps: 5, logSteps: 2, tensorboard: false };
  const { model, outputDir, epochs, saveSteps, logSteps, tensorboard, loraR } = await resumedOptions(run, given);
  assert.deepEqual(
    { model, outputDir, epochs, saveSteps, logSteps, tensorboard, loraR },
    { model: "m", outputDir: run, epochs: 2, saveSteps: 5, logSteps: 2, tensorboard: false, loraR: 8 },
  );
});

Deno.test("the name that was meant: a letter more, less, another or exchanged, and however words are joined", () => {
  const names = Object.keys(runOptions);
  const meant = {
    batchSiez: "batchSize",
    batchsize: "batchSize",
    "learning-rate": "learningRate",
    learning_rate: "learningRate",
    leaningRate: "learningRate",
    epoch: "epochs",
    modle: "model",
    sed: "seed",
    warmupRation: "warmupRatio",
  };
  for (const [written, name] of Object.entries(meant)) assert.equal(nearestName(written, names), name, written);
  for (const written of ["", "lr", "optimizer", "x".repeat(1000)]) assert.equal(nearestName(written, names), undefined);
});
