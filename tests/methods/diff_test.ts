// Diff pruning computes what its equations say in PyTorch, through both phases, and its file holds the changes alone.

import assert from "node:assert/strict";
import { join } from "node:path";
import {
  AdamW,
  applyMethod,
  type Classifier,
  loadClassifier,
  namedParameters,
  saveAdapter,
  type Tensor,
  tensorFrom,
  toNumbers,
  train,
} from "../../mod.ts";
import { type SafetensorsSource, writeSafetensors } from "../../src/files/safetensors_write.ts";
import { DiffPruning } from "../../src/methods/diff.ts";
import type { Noise } from "../../src/methods/hard_concrete.ts";
import { derivedOf } from "../../src/models/derivations.ts";
import { temporaryFolder } from "../native/fakes.ts";
import { fill, leaveGradients, takeTrained, update, weyl } from "../support/derived.ts";
import { type ComputedFixture, numbersIn, type TrainingFixture } from "../support/fixture_files.ts";
import { distance, norm } from "../support/numbers.ts";
import { labelledSequences } from "../support/random_bert.ts";
import { compute, readFixture, smallBertFolder } from "../support/small_bert.ts";
import { assertClose, assertNothingLeft } from "../support/torch.ts";

interface Case extends ComputedFixture {
  readonly name: string;
  readonly structured: boolean;
}

interface Fixture extends TrainingFixture {
  readonly openSteps: number;
  readonly penalty: number;
  readonly gateRate: number;
  readonly sparsity: number;
  readonly cases: readonly Case[];
}

const fixture = readFixture<Fixture>("diff/cases.json");
const { sequences, labels } = fixture;
const fixtures = new URL("../fixtures/diff/", import.meta.url).pathname;

/** The tiny BERT with the reference's first values and gates. */
async function withReference(
  { structured }: Case,
  test: (classifier: Classifier, pruning: DiffPruning) => void | Promise<void>,
): Promise<void> {
  await assertNothingLeft(async () => {
    using classifier = await loadClassifier(smallBertFolder, { dtype: "float64" });
    const { sparsity, penalty, gateRate } = fixture;
    applyMethod(classifier, "diff", {
      ...{ diffSparsity: sparsity, diffPenalty: penalty, diffGateRate: gateRate, diffUnstructured: !structured },
    });
    keysOf(classifier).forEach((key, place) => {
      const set = (name: string, numbers: (count: number) => Float64Array): void => {
        const parameter = classifier.trained.get(`${key}.${name}`);
        if (parameter) fill(parameter, numbers(parameter.size));
      };
      const offset = 0.57 * place;
      set("diff_values", (count) => weyl(count, offset).map((each) => 0.2 * (each - 0.5)));
      set("diff_alpha", (count) => weyl(count, offset + 0.2).map((each) => 6 * (each - 0.5)));
      set("diff_group_alpha", (count) => weyl(count, offset + 0.4).map((each) => 4 * (each - 0.25)));
    });
    await test(classifier, pruningOf(classifier));
  });
}

function keysOf({ model }: Classifier): string[] {
  return [...namedParameters(model.backbone).keys()].filter((key) => !key.startsWith("pooler."));
}

function pruningOf({ adaptation }: Classifier): DiffPruning {
  const [derived] = derivedOf(adaptation?.insertions);
  assert.ok(derived?.derivation instanceof DiffPruning);
  return derived.derivation;
}

/** The reference's noise of a step: of each parameter first its elements', then, structured, its own. */
function noiseOf(step: number, isStructured: boolean): Noise {
  let calls = 0;
  return (like: Tensor) => {
    const place = isStructured ? calls >> 1 : calls;
    const isGroup = isStructured && calls % 2 === 1;
    calls++;
    const offset = 0.75 * step + 0.57 * place;
    return tensorFrom(weyl(like.size, isGroup ? offset + 0.31 : offset), { shape: like.shape });
  };
}

for (const test of fixture.cases) {
  const { name, structured, loss64, logits64, losses64 } = test;
  Deno.test(`diff pruning, ${name}: the reference's logits, and its loss and gradients with noise`, async () => {
    await withReference(test, (classifier, pruning) => {
      pruning.refresh(null);
      assertClose(compute(classifier, sequences, labels, null).logits, logits64.flat(), 1e-10);
      pruning.refreshWith(noiseOf(0, structured));
      const { loss } = leaveGradients(classifier, sequences, labels);
      assertClose([loss], [loss64], 1e-10);
      const found = takeTrained(classifier);
      if (!structured) return;
      // Where the gate of a whole parameter is closed its elements have no gradients, and keys' biases have none anyway.
      const reference = [...numbersIn(`${fixtures}gradients.safetensors`)];
      assert.ok(reference.filter(([, expected]) => norm(expected) > 1e-9).length > 0.8 * reference.length);
      for (const [key, expected] of reference) {
        const off = distance(found.get(key) ?? [], expected);
        assert.ok(off <= Math.max(1e-7 * norm(expected), 1e-15), `${key}: ${off} off of ${norm(expected)}`);
      }
    });
  });

  Deno.test(`diff pruning, ${name}: twenty steps through both phases are the reference's, and what is saved`, async () => {
    using temporary = temporaryFolder();
    const folder = join(temporary.path, "adapter");
    const { learningRate, weightDecay, openSteps } = fixture;
    await withReference(test, async (classifier, pruning) => {
      using optimizer = new AdamW(classifier.trained.values(), { weightDecay });
      const losses = losses64.map((_, step) => {
        pruning.advance(step, losses64.length);
        assert.equal(pruning.isSettled, step >= openSteps);
        pruning.refreshWith(noiseOf(step, structured));
        const { loss } = leaveGradients(classifier, sequences, labels);
        update(optimizer, learningRate, pruning.learningRates);
        pruning.refresh(null);
        return loss;
      });
      assertClose(losses, losses64, 1e-10);
      saveAdapter(classifier, folder);
      const { logits } = compute(classifier, sequences, labels, null);
      using again = await loadClassifier(folder, { dtype: "float64" });
      assert.deepEqual(compute(again, sequences, labels, null).logits, logits);
    });
    using single = await loadClassifier(folder);
    saveAdapter(single, join(temporary.path, "single"));
    const [found, expected] = [
      numbersIn(join(temporary.path, "single", "fewtune_adapter.safetensors")),
      numbersIn(`${fixtures}${name}.safetensors`),
    ];
    const own = [...found].filter(([key]) => key.includes(".diff_"));
    assert.deepEqual(own.map(([key]) => key).sort(), [...expected.keys()].sort());
    for (const [key, numbers] of own) assertClose(numbers, expected.get(key) ?? [], key.endsWith("indices") ? 0 : 1e-6);
  });
}

Deno.test("the file of a pruned difference holds eight bytes for each changed element, and the head", async () => {
  using temporary = temporaryFolder();
  const folder = join(temporary.path, "adapter");
  using classifier = await loadClassifier(smallBertFolder);
  applyMethod(classifier, "diff");
  const examples = labelledSequences([9, 3, 17, 5]);
  await train(classifier, { train: examples }, { k: 3, batchSize: 4, maxSteps: 4, learningRate: 1e-2, warmupRatio: 0 });
  saveAdapter(classifier, folder);
  const total = keysOf(classifier).reduce((sum, key) => sum + sizeOf(classifier, key), 0);
  const count = Math.round(0.005 * total);
  const saved = numbersIn(join(folder, "fewtune_adapter.safetensors"));
  const inDifference = [...saved].filter(([key]) => key.includes(".diff_")).flatMap(([, numbers]) => numbers);
  assert.equal(inDifference.length, 2 * count);
  const [head, header] = [32 * 32 + 32 + 3 * 32 + 3, 8 + 200 * saved.size];
  const bytes = Deno.statSync(join(folder, "fewtune_adapter.safetensors")).size;
  assert.ok(bytes >= 8 * count + 4 * head && bytes <= 8 * count + 4 * head + header, `${bytes}`);
  using base = await loadClassifier(smallBertFolder);
  const changed = keysOf(base).reduce((sum, key) => {
    const [before, after] = [base, classifier].map((each) => toNumbers(parameterOf(each, key)));
    return sum + (before ?? []).filter((value, index) => value !== after?.[index]).length;
  }, 0);
  assert.ok(changed > 0.9 * count && changed <= count, `${changed} of ${count} are other than the base's`);
});

function parameterOf({ model }: Classifier, key: string): Tensor {
  const found = namedParameters(model.backbone).get(key);
  assert.ok(found);
  return found;
}

function sizeOf(classifier: Classifier, key: string): number {
  return parameterOf(classifier, key).size;
}

Deno.test("what is no difference to this model is refused", async () => {
  using temporary = temporaryFolder();
  const folder = join(temporary.path, "adapter");
  using classifier = await loadClassifier(smallBertFolder);
  applyMethod(classifier, "diff");
  saveAdapter(classifier, folder);
  const path = join(folder, "fewtune_adapter.safetensors");
  const head: SafetensorsSource[] = [...classifier.trained].filter(([key]) => !key.includes(".diff_"))
    .map(([name, { shape, size }]) => ({ name, dtype: "F32", shape, bytes: () => new Uint8Array(4 * size) }));
  const key = "encoder.layer.0.attention.self.query.weight";
  const indices = (...numbers: number[]): SafetensorsSource => ({
    ...{ name: `${key}.diff_indices`, dtype: "I32", shape: [numbers.length] },
    bytes: () => new Uint8Array(Int32Array.from(numbers).buffer),
  });
  const values: SafetensorsSource = {
    ...{ name: `${key}.diff_values`, dtype: "F32", shape: [2], bytes: () => new Uint8Array(8) },
  };
  const damages: [SafetensorsSource[], RegExp][] = [
    [[indices(1, 2)], /query\.weight has to have diff_indices of type I32 and as many diff_values/],
    [[indices(1, 2, 3), values], /as many diff_values/],
    [[{ ...indices(1, 2), dtype: "F32" }, values], /diff_indices of type I32/],
    [[indices(1, 1024), values], /diff_indices has 1024, but the parameter has 1024 elements/],
    [[indices(-1, 2), values], /diff_indices has -1/],
    [[{ ...values, name: "encoder.layer.7.diff_values" }], /unexpected encoder\.layer\.7\.diff_values/],
  ];
  for (const [sources, message] of damages) {
    writeSafetensors(path, [...head, ...sources], { format: "pt" });
    await assertNothingLeft(() => assert.rejects(loadClassifier(folder), { name: "CheckpointError", message }));
  }
});
