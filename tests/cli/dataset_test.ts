// Training and evaluation on a dataset of the hub, and on Parquet files, as a person runs them.

import assert from "node:assert/strict";
import { temporaryFolder } from "../native/fakes.ts";
import { hubPlace } from "../hub/support.ts";
import { runPython } from "../support/python.ts";
import { filesUnder, hubEnvironment } from "../support/served_dataset.ts";
import { fail, succeed } from "./run_cli.ts";
import { reviews, writeTinyModel } from "./tiny_model.ts";

Deno.test("fewtune train and eval --dataset: one fetch, the dataset's labels, the same figures as from its files", async () => {
  using temporary = temporaryFolder();
  const at = (name: string): string => `${temporary.path}/${name}`;
  writeTinyModel(at("model"));
  const rows = reviews(48).map(({ text, good }) => JSON.stringify({ text, label: good ? "good" : "bad" }));
  await runPython("labelled_parquet.py", [at("files")], rows.join("\n"));
  await using place = hubPlace();
  place.hub.add("dataset", "org/reviews", filesUnder(at("files")));
  const env = hubEnvironment(place.hub, place.cacheFolder);

  const small = [
    "--k",
    "4",
    "--batch-size",
    "8",
    "--learning-rate",
    "3e-3",
    "--epochs",
    "2",
    "--threads",
    "1",
    "--quiet",
  ];
  const train = ["train", "--model", at("model"), ...small];
  await succeed([...train, "--dataset", "org/reviews", "--output-dir", at("out")], { env });
  const record = JSON.parse(Deno.readTextFileSync(at("out/training.json")));
  assert.deepEqual(record.examples, { train: 48, dev: 18 });
  assert.deepEqual(record.target.labels, ["good", "bad"]);
  assert.equal(record.options.dataset, "org/reviews");

  const evaluate = ["eval", "--model", at("out"), "--threads", "1", "--json", "--quiet"];
  const split = ["--dataset", "org/reviews", "--split", "validation"];
  const fetched = place.hub.asked("GET", "storage").length;
  const evaluated = await succeed([...evaluate, ...split], { env });
  assert.equal(place.hub.asked("GET", "storage").length, fetched, "the cache has it");
  assert.deepEqual(JSON.parse(evaluated), { examples: 18, ...record.result.dev });
  const file = at("files/data/validation-00000-of-00001.parquet");
  assert.equal(await succeed([...evaluate, "--data", file], { env }), evaluated);

  await fail([...evaluate, "--dataset", "org/reviews", "--split", "test"], 1, /"label" cannot be used, row 1 has no/, {
    env,
  });
  await fail([...evaluate, ...split, "--text", "body"], 1, /no column "body", it has: text, label, picture/, { env });
  await fail([...evaluate], 2, /nothing to evaluate on/, { env });
  await fail([...train, "--output-dir", at("new")], 2, /nothing to train on/, { env });
  await fail([...train, "--output-dir", at("new"), "--dataset", "org/reviews:x"], 1, /no configuration "x"/, { env });
});
