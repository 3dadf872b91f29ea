// Saving and loading again: the same logits bit for bit, the same keys, and a configuration that others read.

import assert from "node:assert/strict";
import {
  type Classifier,
  type DType,
  forward,
  loadClassifier,
  namedParameters,
  noGrad,
  type Pooling,
  randomClassifier,
  saveClassifier,
  scope,
  type Target,
  toNumbers,
} from "../../mod.ts";
import { checkOutputFolder } from "../../src/files/output_folder.ts";
import { temporaryFolder } from "../native/fakes.ts";
import { contentsOf } from "../support/checkpoints.ts";
import { pack, sequences, smallBertFolder } from "../support/small_bert.ts";
import { assertNothingLeft } from "../support/torch.ts";

const labels: Target = { labels: ["ham", "spam", "other"] };

function logitsOf(classifier: Classifier): number[] {
  return noGrad(() => scope(() => toNumbers(forward(classifier.model, pack(classifier, sequences, null), null))));
}

async function saveAndLoad(target: Target, pooling: Pooling, dtype: DType): Promise<void> {
  using temporary = temporaryFolder();
  const folder = `${temporary.path}/saved`;
  await assertNothingLeft(async () => {
    using classifier = await loadClassifier(smallBertFolder, { target, pooling, dtype });
    saveClassifier(classifier, folder, { "notes.txt": "text\n" });
    using again = await loadClassifier(folder, { dtype });
    assert.deepEqual([again.newKeys, again.target, again.model.pooling], [[], target, pooling]);
    assert.deepEqual(logitsOf(again), logitsOf(classifier));
    const second = `${temporary.path}/second`;
    saveClassifier(again, second);
    assert.deepEqual(
      Deno.readFileSync(`${second}/model.safetensors`),
      Deno.readFileSync(`${folder}/model.safetensors`),
    );
    assert.equal(Deno.readTextFileSync(`${folder}/notes.txt`), "text\n");
  });
  const names = [...Deno.readDirSync(temporary.path)].map(({ name }) => name).sort();
  assert.deepEqual(names, ["saved", "second"]);
}

for (const pooling of ["cls", "mean"] as const) {
  for (const [target, dtype] of [[labels, "float32"], ["regression", "float32"], [labels, "float64"]] as const) {
    const task = target === "regression" ? target : "classification";
    Deno.test(`what is saved loads again bit for bit: ${pooling}, ${task}, ${dtype}`, async () => {
      await saveAndLoad(target, pooling, dtype);
    });
  }
}

Deno.test("half-width weights load again bit for bit", () => saveAndLoad(labels, "mean", "bfloat16"));

Deno.test("the standard head is saved as an ordinary BertForSequenceClassification", async () => {
  using temporary = temporaryFolder();
  const folder = `${temporary.path}/saved`;
  using classifier = await loadClassifier(smallBertFolder, { target: labels });
  saveClassifier(classifier, folder);
  assert.deepEqual(contentsOf(folder), contentsOf(smallBertFolder));
  const [config, original] = [folder, smallBertFolder].map((from) =>
    JSON.parse(Deno.readTextFileSync(`${from}/config.json`))
  );
  assert.deepEqual(config.architectures, ["BertForSequenceClassification"]);
  assert.deepEqual(config.id2label, { "0": "ham", "1": "spam", "2": "other" });
  assert.deepEqual(config.label2id, { ham: 0, spam: 1, other: 2 });
  assert.equal(config.problem_type, "single_label_classification");
  assert.equal(config.model_type, "bert");
  for (const field of ["hidden_size", "num_hidden_layers", "vocab_size", "hidden_act", "layer_norm_eps"]) {
    assert.deepEqual(config[field], original[field], field);
  }
});

Deno.test("the head on the mean is saved under keys that other programs do not take for theirs", async () => {
  using temporary = temporaryFolder();
  const folder = `${temporary.path}/saved`;
  using classifier = await loadClassifier(smallBertFolder, { target: labels, pooling: "mean" });
  saveClassifier(classifier, folder);
  const names = contentsOf(folder).map(([name]) => name);
  const own = [
    "mean_head.dense.bias",
    "mean_head.dense.weight",
    "mean_head.out_proj.bias",
    "mean_head.out_proj.weight",
  ];
  assert.deepEqual(names.filter((name) => !/^bert\.(embeddings|encoder)\./.test(name)), own);
  assert.equal(JSON.parse(Deno.readTextFileSync(`${folder}/config.json`)).fewtune.pooling, "mean");
});

Deno.test("an output folder that exists, or cannot be made, is refused and nothing is left", async () => {
  using temporary = temporaryFolder();
  using classifier = await loadClassifier(smallBertFolder);
  Deno.writeTextFileSync(`${temporary.path}/file`, "");
  for (const save of [(folder: string) => saveClassifier(classifier, folder), checkOutputFolder]) {
    assert.throws(() => save(temporary.path), { name: "CheckpointError", message: /exists already/ });
    assert.throws(() => save(`${temporary.path}/file`), { name: "CheckpointError", message: /exists already/ });
    assert.throws(() => save(`${temporary.path}/file/below`), {
      name: "CheckpointError",
      message: /cannot be written/,
    });
  }
  checkOutputFolder(`${temporary.path}/new`);
  assert.deepEqual([...Deno.readDirSync(temporary.path)].map(({ name }) => name), ["file"]);
});

Deno.test("a save that fails in the middle leaves nothing", async () => {
  using temporary = temporaryFolder();
  using classifier = await loadClassifier(smallBertFolder);
  const files = { "no/such/folder.txt": "" };
  assert.throws(() => saveClassifier(classifier, `${temporary.path}/out`, files), { name: "CheckpointError" });
  assert.deepEqual([...Deno.readDirSync(temporary.path)], []);
});

Deno.test("a random model has the reference's first values, and depends on its seed", async () => {
  await assertNothingLeft(() => {
    const config = JSON.parse(Deno.readTextFileSync(`${smallBertFolder}/config.json`));
    const weights = (seed: number): Map<string, number[]> => {
      using classifier = randomClassifier(config, { target: labels, pooling: "cls", seed });
      return new Map([...namedParameters(classifier.model)].map(([key, parameter]) => [key, toNumbers(parameter)]));
    };
    const first = weights(1);
    assert.deepEqual(weights(1), first);
    assert.notDeepEqual(weights(2), first);
    for (const [key, numbers] of first) {
      const deviation = Math.sqrt(numbers.reduce((sum, value) => sum + value * value, 0) / numbers.length);
      if (key.endsWith("LayerNorm.weight")) assert.ok(numbers.every((value) => value === 1), key);
      else if (key.endsWith("bias")) assert.ok(numbers.every((value) => value === 0), key);
      else {assert.ok(
          Math.abs(deviation - 0.02) < 4 * 0.02 / Math.sqrt(2 * numbers.length) + 1e-4,
          `${key} ${deviation}`,
        );}
    }
    assert.ok(first.get("bert.embeddings.word_embeddings.weight")?.slice(0, 32).every((value) => value === 0));
  });
});

Deno.test("asking whether an output folder can be made leaves nothing behind", () => {
  using temporary = temporaryFolder();
  checkOutputFolder(`${temporary.path}/deep/er/new`);
  assert.deepEqual([...Deno.readDirSync(temporary.path)], []);
});
