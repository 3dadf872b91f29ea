// OPT as a language model against transformers, PyTorch and PEFT: logits, losses, gradients, steps of AdamW, and files.
//
// In float64 only the reference's own rounding is left (4.7e-8 is reached); the tolerances of float32 are two to seven
// times what is reached: gradients 3.5e-6, loss 1.0e-7, logits 2.9e-7. The weights after four steps are 3.8e-8 apart.

import assert from "node:assert/strict";
import {
  AdamW,
  applyMethod,
  backward,
  type Classifier,
  clipGradNorm,
  evaluate,
  forward,
  Generator,
  item,
  loadClassifier,
  lossOf,
  namedParameters,
  noGrad,
  ops,
  predictLogits,
  saveAdapter,
  saveClassifier,
  scope,
  type Sequence,
  type Tensor,
  toNumbers,
  trainedParameters,
} from "../../mod.ts";
import { answersAt, lessonsOf } from "../../src/train/lesson.ts";
import { temporaryFolder } from "../native/fakes.ts";
import { assertAgree } from "../support/agreement.ts";
import type { SafetensorsSource } from "../../src/files/safetensors_write.ts";
import { type Changes, contentsOf, copyCheckpoint } from "../support/checkpoints.ts";
import { logitsOfSaved, reference, referenceFolder, referenceNumbers } from "../support/language_model.ts";
import { distance, norm } from "../support/numbers.ts";
import { type Computed, pack, type Run, smallBertFolder, takeGradients } from "../support/small_bert.ts";
import { assertClose, assertNothingLeft } from "../support/torch.ts";

const { texts, cases, selected, selections } = reference;
const lessons = lessonsOf(texts, "nextToken");
const sequences: readonly Sequence[] = lessons.map(({ sequence }) => sequence);

type Selection = readonly (readonly number[])[] | null;

function answersOf(selection: Selection): number[] {
  return lessons.flatMap((lesson, index) =>
    selection === null ? Array.from(lesson.answers) : answersAt(lesson, selection[index] ?? [], "nextToken")
  );
}

function compute(classifier: Classifier, selection: Selection, run: Run = {}): Computed {
  return scope(() => {
    const logits = forward(classifier.model, pack(classifier, sequences, selection, run), null);
    const loss = lossOf(logits, answersOf(selection), "nextToken");
    backward(loss);
    return { loss: item(loss), logits: toNumbers(logits), gradients: takeGradients(classifier) };
  });
}

function logitsOf({ model }: Classifier): number[] {
  return noGrad(() => scope(() => toNumbers(forward(model, pack({ model } as Classifier, sequences, null), null))));
}

const tolerances = [
  { dtype: "float64", gradient: 6e-8, loss: 1e-14, logits: 1e-14 },
  { dtype: "float32", gradient: 7.5e-6, loss: 7e-7, logits: 1.2e-6 },
] as const;

for (const test of cases) {
  for (const tolerance of tolerances) {
    Deno.test(`${test.name} in ${tolerance.dtype}: logits, losses and every gradient, full and selective`, async () => {
      await assertNothingLeft(async () => {
        using classifier = await loadClassifier(`${referenceFolder}/${test.name}`, { dtype: tolerance.dtype });
        assert.deepEqual([classifier.target, classifier.labels, classifier.newKeys], ["nextToken", [], []]);
        assertAgree("logits", logitsOf(classifier), test.logits64.flat(), tolerance.logits);
        for (const [kind, selection] of [["full", null], ["selective", selected]] as const) {
          const expected = referenceNumbers(`${test.name}_${kind}`);
          for (const run of [{}, { mode: "masked" }, { rowsPerBlock: 20 }] as const) {
            const { loss, gradients } = compute(classifier, selection, run);
            assertAgree("loss", [loss], [test[kind].loss64], tolerance.loss);
            assert.deepEqual([...gradients.keys()].sort(), [...expected.keys()].sort());
            for (const [key, gradient] of gradients) {
              const isZero = selection === null && key.endsWith("k_proj.bias");
              if (isZero) assert.ok(norm(gradient) <= 1e-7, `${key}: ${norm(gradient)}`);
              else assertAgree(`${kind} ${key}`, gradient, expected.get(key) ?? [], tolerance.gradient);
            }
          }
        }
        const metrics = await evaluate(classifier, texts, { batchSize: 2 });
        assertAgree("loss", [metrics["loss"] ?? NaN], [test.full.loss64], tolerance.loss);
        assert.equal(metrics["perplexity"], Math.exp(metrics["loss"] ?? NaN));
        const right = test.logits64.filter((row, index) => row.indexOf(Math.max(...row)) === answersOf(null)[index]);
        assert.equal(metrics["accuracy"], right.length / test.logits64.length);
      });
    });
  }

  Deno.test(`${test.name}: steps of AdamW with clipping are PyTorch's, the weights after them too`, async () => {
    await assertNothingLeft(async () => {
      using classifier = await loadClassifier(`${referenceFolder}/${test.name}`, { dtype: "float64" });
      const { learningRate, weightDecay } = reference;
      const parameters = trainedParameters(classifier.model);
      using optimizer = new AdamW(parameters, { weightDecay });
      const steps = selections.map((selection) =>
        scope(() => {
          const logits = forward(classifier.model, pack(classifier, sequences, selection), null);
          const loss = lossOf(logits, answersOf(selection), "nextToken");
          backward(loss);
          const length = clipGradNorm(parameters, 1);
          optimizer.step(learningRate);
          return [item(loss), length] as const;
        })
      );
      assertAgree("losses", steps.map(([loss]) => loss), test.losses64, 1e-9);
      assertAgree("norms", steps.map(([, length]) => length), test.norms64, 1e-9);
      assert.ok(Math.min(...test.norms64) > 1);
      const expected = referenceNumbers(`${test.name}_trained`);
      for (const [key, parameter] of namedParameters(classifier.model)) {
        assertAgree(key, toNumbers(parameter), expected.get(key) ?? [], 1e-7);
      }
    });
  });
}

/** Adds noise to what trains, so that nothing is as it was loaded. */
function disturb({ model }: Classifier, deviation: number): void {
  using random = new Generator(1);
  for (const tensor of trainedParameters(model)) {
    const noise = (): Tensor => ops.normal_(ops.emptyLike(tensor), 0, deviation, { generator: random });
    noGrad(() => scope(() => void ops.add_(tensor, noise())));
  }
}

Deno.test("what is saved loads in transformers and in PEFT, with the same logits", async () => {
  using temporary = temporaryFolder();
  const at = (name: string): string => `${temporary.path}/${name}`;
  const expected = new Map<string, number[]>();
  await assertNothingLeft(async () => {
    for (const { name } of cases) {
      using classifier = await loadClassifier(`${referenceFolder}/${name}`);
      disturb(classifier, 0.02);
      saveClassifier(classifier, at(name));
      expected.set(at(name), logitsOf(classifier));
      assert.deepEqual(contentsOf(at(name)), contentsOf(`${referenceFolder}/${name}`));
      const { architectures, id2label, problem_type } = JSON.parse(Deno.readTextFileSync(`${at(name)}/config.json`));
      assert.deepEqual([architectures, id2label, problem_type], [["OPTForCausalLM"], undefined, undefined]);
    }
    for (const name of ["tied", "untied"]) {
      const adapter = at(`${name}_lora`);
      using classifier = await loadClassifier(at(name));
      applyMethod(classifier, "lora", { loraR: 2 });
      disturb(classifier, 0.2);
      saveAdapter(classifier, adapter);
      expected.set(adapter, logitsOf(classifier));
      assert.ok(distance(logitsOf(classifier), expected.get(at(name)) ?? []) > 0.1 * norm(logitsOf(classifier)));
      const config = JSON.parse(Deno.readTextFileSync(`${adapter}/adapter_config.json`));
      assert.deepEqual([config.task_type, config.modules_to_save], ["CAUSAL_LM", name === "tied" ? null : ["lm_head"]]);
    }
    for (const [folder, logits] of expected) {
      using again = await loadClassifier(folder);
      assert.deepEqual([again.target, logitsOf(again)], ["nextToken", logits]);
    }
  });
  const logits = await logitsOfSaved([...expected.keys()]);
  for (const [folder, numbers] of expected) assertClose(numbers, logits[folder]?.flat() ?? [], 1e-5);
});

Deno.test("an adapter that PEFT saved for a language model is one here", async () => {
  await assertNothingLeft(async () => {
    using classifier = await loadClassifier(`${referenceFolder}/peft`, { dtype: "float64" });
    assert.equal(classifier.target, "nextToken");
    assertAgree("logits", logitsOf(classifier), reference.peft64.flat(), 1e-14);
    assert.ok(trainedParameters(classifier.model).length === 12);
  });
});

const tokens = "model.decoder.embed_tokens.weight";

/** The tied checkpoint's weight under the head's key, the last number changed. */
function headOfTied(change: number): SafetensorsSource {
  const numbers = Float32Array.from(referenceNumbers("tied/model").get(tokens) ?? []);
  numbers.set([(numbers.at(-1) ?? NaN) + change], numbers.length - 1);
  return { name: "lm_head.weight", dtype: "F32", shape: [60, 16], bytes: () => new Uint8Array(numbers.buffer) };
}

Deno.test("a tied weight may be there twice, or under the head's key alone; two that differ are refused", async () => {
  using temporary = temporaryFolder();
  const at = (name: string): string => `${temporary.path}/${name}`;
  const copies: Record<string, Changes> = {
    twice: { add: [headOfTied(0)] },
    renamed: { rename: (name) => name === tokens ? "lm_head.weight" : name },
    different: { add: [headOfTied(1)] },
  };
  for (const [name, changes] of Object.entries(copies)) copyCheckpoint(`${referenceFolder}/tied`, at(name), changes);
  await assertNothingLeft(async () => {
    const numbers = [];
    for (const folder of [`${referenceFolder}/tied`, at("twice"), at("renamed")]) {
      using classifier = await loadClassifier(folder);
      numbers.push([...namedParameters(classifier.model)].map(([key, parameter]) => [key, toNumbers(parameter)]));
    }
    assert.deepEqual([numbers[1], numbers[2]], [numbers[0], numbers[0]]);
    await assert.rejects(loadClassifier(at("different")), {
      name: "CheckpointError",
      message:
        /lm_head\.weight and model\.decoder\.embed_tokens\.weight differ, .*let tie_word_embeddings be false there$/,
    });
  });
});

Deno.test("with labels a language model's checkpoint gives all but the head, and a classifier's or a bare one the same", async () => {
  using temporary = temporaryFolder();
  const at = (name: string): string => `${temporary.path}/${name}`;
  await assertNothingLeft(async () => {
    using classifier = await loadClassifier(`${referenceFolder}/untied`, {
      target: { labels: ["a", "b"] },
      pooling: "last",
    });
    assert.deepEqual(classifier.newKeys, ["score.weight"]);
    saveClassifier(classifier, at("classifier"));
    using same = await loadClassifier(at("classifier"));
    assert.deepEqual([same.target, same.newKeys], [{ labels: ["a", "b"] }, []]);
    using untied = await loadClassifier(at("classifier"), { target: "nextToken" });
    assert.deepEqual(untied.newKeys, ["lm_head.weight"]);
    copyCheckpoint(`${referenceFolder}/tied`, at("bare"), {
      rename: (name) => name.slice("model.".length),
      config: { architectures: ["OPTModel"] },
    });
    using bare = await loadClassifier(at("bare"), { target: "nextToken" });
    using tied = await loadClassifier(`${referenceFolder}/tied`);
    assert.deepEqual([bare.newKeys, logitsOf(bare)], [[], logitsOf(tied)]);
  });
});

Deno.test("an adapter of a classifier on a language model's checkpoint is a classifier's", async () => {
  using temporary = temporaryFolder();
  const folder = `${temporary.path}/adapter`;
  await assertNothingLeft(async () => {
    const target = { labels: ["LABEL_0", "LABEL_1"] };
    using classifier = await loadClassifier(`${referenceFolder}/tied`, { target, pooling: "last" });
    applyMethod(classifier, "lora");
    saveAdapter(classifier, folder);
    // As PEFT saves it: what it predicts is in adapter_config.json alone.
    Deno.removeSync(`${folder}/config.json`);
    using again = await loadClassifier(folder);
    assert.deepEqual([again.target, again.model.pooling], [target, "last"]);
  });
});

Deno.test("what cannot be a language model, or have another head, is refused", async () => {
  await assertNothingLeft(async () => {
    await assert.rejects(loadClassifier(smallBertFolder, { target: "nextToken" }), {
      name: "OptionError",
      message: /^bert does not predict the next token/,
    });
    await assert.rejects(loadClassifier(`${referenceFolder}/tied`, { pooling: "mean" }), {
      name: "OptionError",
      message: /^the pooling is mean, but a language model's head reads each position/,
    });
    await assert.rejects(
      loadClassifier(`${referenceFolder}/tied`, { target: { labels: ["a", "b"] }, pooling: "each" }),
      {
        name: "OptionError",
        message: 'opt has no head for the pooling "each": it can be last (the standard head) or mean',
      },
    );
    using classifier = await loadClassifier(`${referenceFolder}/tied`);
    await assert.rejects(predictLogits(classifier, sequences), { name: "OptionError", message: /evaluate it$/ });
  });
});
