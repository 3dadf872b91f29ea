// The model card of what fineTune saves: its metadata are the hub's, its figures the run's, and its lines run.

import assert from "node:assert/strict";
import { join } from "node:path";
import { fineTune, type FineTuneOptions, type FineTuneResult, loadPredictor, predictLogits } from "../../mod.ts";
import { modelCard } from "../../src/train/model_card.ts";
import { succeed } from "../cli/run_cli.ts";
import { writeCsv, writeTinyModel } from "../cli/tiny_model.ts";
import { temporaryFolder } from "../native/fakes.ts";
import { runPython } from "../support/python.ts";

interface Read {
  readonly data: Readonly<Record<string, unknown>>;
  readonly printed?: string;
  readonly logits?: readonly number[];
}

const runs: Readonly<Record<string, Partial<FineTuneOptions>>> = {
  whole: { pooling: "mean", k: 4 },
  standard: { pooling: "cls", method: "full" },
  adapter: { pooling: "mean", method: "selective+lora", k: 0.5, loraR: 2 },
  standard_adapter: { pooling: "cls", method: "lora" },
  own: { pooling: "mean", method: "lora+bitfit" },
};

const text = "a text";

Deno.test("a saved model's card: metadata, figures, and lines that load it", async (test) => {
  using temporary = temporaryFolder();
  const at = (name: string): string => join(temporary.path, name);
  writeTinyModel(at("model"));
  writeCsv(at("train.csv"), 24, (good) => good ? "good" : "bad");
  writeCsv(at("test.csv"), 10, (good) => good ? "good" : "bad");
  const results = new Map<string, FineTuneResult>();
  for (const [name, options] of Object.entries(runs)) {
    const tables = { train: at("train.csv"), dev: at("train.csv"), ...(name === "whole" && { test: at("test.csv") }) };
    results.set(
      name,
      await fineTune({ model: at("model"), ...tables, ...options, outputDir: at(name), epochs: 1, batchSize: 8 }),
    );
  }
  const cards = new Map(Object.keys(runs).map((name) => [name, Deno.readTextFileSync(at(`${name}/README.md`))]));
  const read: Readonly<Record<string, Read>> = JSON.parse(
    await runPython("model_cards.py", [temporary.path], JSON.stringify(Object.keys(runs))),
  );

  for (const name of Object.keys(runs)) {
    const isAdapter = name.endsWith("adapter");
    const [card = "", result] = [cards.get(name), results.get(name)];
    assert.ok(result);

    await test.step(`${name}: metadata`, () => {
      const { tags, ...data } = read[name]?.data ?? {};
      assert.deepEqual(data, {
        library_name: name === "own" ? "fewtune" : isAdapter ? "peft" : "transformers",
        pipeline_tag: "text-classification",
      });
      const method = JSON.parse(Deno.readTextFileSync(at(`${name}/training.json`))).options.method;
      assert.deepEqual(tags, ["fewtune", ...method.split("+")]);
    });

    await test.step(`${name}: what was measured, and nothing else`, () => {
      const rows = new Map(
        [...card.matchAll(/^\| (.*?) \| (.*) \|$/gm)].map(([, title = "", cells = ""]) => [title, cells.split(" | ")]),
      );
      const measured = [result.dev, result.test].filter((metrics) => metrics !== null);
      for (const [metric, value] of Object.entries(result.dev ?? {})) {
        assert.deepEqual(rows.get(metric), measured.map((metrics) => metrics[metric]?.toFixed(4)), metric);
        assert.ok(Number.isFinite(value));
      }
      const title = measured.length === 2 ? ["dev (24 examples)", "test (10 examples)"] : ["dev (24 examples)"];
      assert.deepEqual(rows.get("metric"), title);
      assert.deepEqual(rows.get("trained parameters"), [result.trainableParameters.toLocaleString("en")]);
      assert.deepEqual(rows.get("peak memory in tensors"), [`${Math.round(result.peakBytes / 2 ** 20)} MiB`]);
      assert.deepEqual(rows.get("time"), [`${result.seconds.toFixed(1)} s`]);
      assert.match(card, /labels: `bad`, `good`\./);
      assert.ok(!card.includes(temporary.path) || isAdapter, "only an adapter names the place of its base");
    });

    if (name === "own") {
      await test.step("an adapter in Fewtune's own format has no Python", () => assert.ok(!card.includes("```python")));
      continue;
    }
    await test.step(`${name}: its Python loads the model, which says what it says here`, async () => {
      using predictor = await loadPredictor(at(name));
      const found = read[name];
      if (isAdapter) {
        const tokens = { inputIds: [5, 6, 7], tokenTypeIds: [0, 0, 0] };
        const [own = []] = await predictLogits(predictor.classifier, [tokens]);
        assert.ok(own.every((logit, index) => Math.abs(logit - (found?.logits?.[index] ?? NaN)) < 1e-5));
      } else {
        const [prediction] = await predictor.predict([text]);
        assert.ok(prediction && "label" in prediction);
        const [, label, score] = /'label': '(\w+)', 'score': ([\d.]+)/.exec(found?.printed ?? "") ?? [];
        assert.equal(label, prediction.label);
        assert.ok(Math.abs(Number(score) - prediction.score) < 1e-5);
      }
    });
  }

  await test.step("its command predicts", async () => {
    const [, command = ""] = /```sh\nfewtune (.*)\n```/.exec(cards.get("whole") ?? "") ?? [];
    const args = command.split(" ").map((word) => word === "whole" ? at(word) : word);
    assert.deepEqual(args.slice(0, 3), ["predict", "--model", at("whole")]);
    assert.match(await succeed([...args.slice(0, 3), text]), /^(good|bad) +0\.\d{4} {2}a text\n$/);
  });
});

Deno.test("a card names a base from the hub, and takes labels with any characters", () => {
  const card = modelCard({
    ...{ name: "mine", base: "org/some-model", hubName: "org/some-model", kind: "model", isStandard: true },
    ...{ pooling: "cls", method: "full" },
    ...{ target: { labels: ["a`b", "c|d", "e\nf"] }, settings: { k: undefined, seed: 0 }, examples: { train: 2 } },
    ...{
      dev: null,
      devMismatched: null,
      test: null,
      steps: 1,
      seconds: 2,
      peakBytes: 2 ** 20,
      trainableParameters: 3,
      versions: {},
    },
  });
  assert.match(card, /^---\nlibrary_name: transformers\nbase_model: "org\/some-model"\n/);
  assert.match(card, /labels: `` a`b ``, `c\|d`, `e f`\./);
  assert.ok(!card.includes("## Results") && !card.includes("| k |"));
});
