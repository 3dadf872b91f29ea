// What the command `predict` says with checkpoints and tokenizers of every architecture as transformers saved them: its
// labels, scores within 1e-5, and logits within 1e-5.

import assert from "node:assert/strict";
import {
  evaluate,
  loadClassifier,
  loadPredictor,
  type Prediction,
  saveClassifier,
  train,
  type TrainingExample,
} from "../../mod.ts";
import { temporaryFolder } from "../native/fakes.ts";
import { runPython } from "../support/python.ts";
import { assertClose, assertNothingLeft } from "../support/torch.ts";
import { succeed, twoAtATime } from "./run_cli.ts";

interface Answers {
  readonly name: string;
  readonly texts: readonly Prediction[];
  readonly pairs: readonly Prediction[];
}

interface Reference {
  readonly texts: readonly string[];
  readonly pairs: readonly (readonly [text: string, textPair: string])[];
  readonly results: readonly Answers[];
}

const out = Deno.makeTempDirSync({ prefix: "fewtune-test-" });
addEventListener("unload", () => Deno.removeSync(out, { recursive: true }));
await runPython("predictions.py", [out]);
const { texts, pairs, results }: Reference = JSON.parse(Deno.readTextFileSync(`${out}/predictions.json`));
const pairExamples = pairs.map(([text, textPair]) => ({ text, textPair }));

function assertSame(actual: readonly Prediction[], expected: readonly Prediction[]): void {
  assert.equal(actual.length, expected.length);
  actual.forEach((prediction, index) => {
    const wanted = expected[index];
    assert.ok(wanted);
    if ("value" in prediction) return assertClose([prediction.value], "value" in wanted ? [wanted.value] : [], 1e-5);
    assert.ok("label" in wanted);
    assert.equal(prediction.label, wanted.label, `${index}`);
    assertClose([prediction.score], [wanted.score], 1e-5);
    assertClose(prediction.logits, wanted.logits, 1e-5);
  });
}

function readLines(printed: string): Prediction[] {
  return printed.trimEnd().split("\n").map((line) => JSON.parse(line));
}

Deno.test("lines and JSONL with pairs from standard input, of every architecture", async () => {
  const command = ["predict", "--json", "--logits", "--threads", "1"];
  const plain = results.filter(({ name }) => !/-(multi-label|regression)$/.test(name));
  assert.equal(plain.length, 6);
  await twoAtATime(plain.flatMap(({ name, ...expected }) => [
    async () => {
      const stdin = texts.map((text) => `${text}\n`).join("");
      assertSame(readLines(await succeed([...command, "--model", `${out}/${name}`], { stdin })), expected.texts);
    },
    async () => {
      const stdin = pairExamples.map((example) => `${JSON.stringify(example)}\n`).join("");
      const printed = await succeed([...command, "--jsonl", "--model", `${out}/${name}`], { stdin });
      assertSame(readLines(printed), expected.pairs);
    },
  ]));
});

for (const { name, ...expected } of results) {
  Deno.test(`${name}: texts and pairs`, async () => {
    await assertNothingLeft(async () => {
      using predictor = await loadPredictor(`${out}/${name}`);
      assertSame(await predictor.predict(texts), expected.texts);
      assertSame(await predictor.predict(pairExamples), expected.pairs);
    });
  });
}

Deno.test("a model of several labels a text is saved as one, and neither trained nor evaluated", async () => {
  using temporary = temporaryFolder();
  const from = `${out}/roberta-multi-label`;
  const examples: TrainingExample[] = [{ inputIds: [0, 5, 6, 2], tokenTypeIds: [0, 0, 0, 0], label: 1 }];
  await assertNothingLeft(async () => {
    using classifier = await loadClassifier(from);
    const refusal = {
      name: "OptionError",
      message: /is for multi_label_classification, which is for predicting alone/,
    };
    await assert.rejects(train(classifier, { train: examples }), refusal);
    await assert.rejects(evaluate(classifier, examples), refusal);
    saveClassifier(classifier, `${temporary.path}/saved`);
    using again = await loadClassifier(`${temporary.path}/saved`);
    assert.deepEqual(again.target, classifier.target);
    using other = await loadClassifier(from, { target: { labels: classifier.labels } });
    assert.deepEqual(other.newKeys, ["classifier.out_proj.weight", "classifier.out_proj.bias"]);
    assert.equal((await train(other, { train: examples }, { maxSteps: 1 })).steps, 1);
  });
});
