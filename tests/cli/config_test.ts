// Training from a configuration file as a person does: flags before the file, and the same run again from what is printed.

import assert from "node:assert/strict";
import { temporaryFolder } from "../native/fakes.ts";
import { fail, succeed } from "./run_cli.ts";
import { writeCsv, writeTinyModel } from "./tiny_model.ts";

Deno.test("train --config: flags count before the file, what is printed is the whole run, and trains it again", async () => {
  using folder = temporaryFolder();
  const at = (name: string): string => `${folder.path}/${name}`;
  writeTinyModel(at("model"));
  writeCsv(at("train.csv"), 24, (good) => good ? "good" : "bad");
  const yaml = ["model: model", "train: train.csv", "batchSize: 8", "k: 4", "epochs: 50", "threads: 1", "seed: 3"];
  Deno.writeTextFileSync(at("mine.yaml"), yaml.join("\n"));

  const said = ["train", "--config", at("mine.yaml"), "--max-steps", "3", "--seed", "5", "--output-dir", at("first")];
  const printed = await succeed([...said, "--print-config"]);
  const { model, train, batchSize, k, seed, maxSteps, epochs, learningRate, columns } = JSON.parse(printed);
  assert.deepEqual(
    { model, train, batchSize, k, seed, maxSteps, epochs, learningRate, columns },
    {
      ...{ model: at("model"), train: at("train.csv"), batchSize: 8, k: 4, seed: 5, maxSteps: 3, epochs: 50 },
      ...{ learningRate: 5e-5, columns: { text: "text", label: "label" } },
    },
  );
  assert.throws(() => Deno.statSync(at("first")), Deno.errors.NotFound);
  Deno.mkdirSync(at("elsewhere"));
  Deno.writeTextFileSync(at("elsewhere/printed.json"), printed);
  const again = ["train", "--config", at("elsewhere/printed.json")];
  assert.equal(await succeed([...again, "--print-config"]), printed);

  await succeed([...said, "--quiet"]);
  await succeed([...again, "--output-dir", at("second"), "--quiet"]);
  await succeed(["train", "--config", at("first/train_config.json"), "--output-dir", at("third"), "--quiet"]);
  const weights = (name: string): Uint8Array => Deno.readFileSync(at(`${name}/model.safetensors`));
  assert.deepEqual(weights("second"), weights("first"));
  assert.deepEqual(weights("third"), weights("first"));
  assert.equal(Deno.readTextFileSync(at("first/train_config.json")), printed);

  Deno.writeTextFileSync(at("wrong.yaml"), "model: model\nepoch: 3");
  await fail(
    ["train", "--config", at("wrong.yaml")],
    2,
    /wrong\.yaml, line 2: there is no option "epoch": did you mean epochs\?/,
  );
  await fail(["train", "--resume", at("model"), "--config", at("mine.yaml")], 2, /leave out --config/);
  await fail(["train", "--resume", at("model")], 2, /there is no run in .*model that could go on/);
  await fail(
    ["train", "--resume", at("first"), "--epochs", "9"],
    2,
    /epochs is 9, but the run in .*first began with 50/,
  );
  await fail(["train", "--resume", at("first")], 1, /first holds a finished run: there is nothing left to do/);
});
