// Masking computes what its equations say in PyTorch, and its file holds a bit for each weight.

import assert from "node:assert/strict";
import { join } from "node:path";
import {
  AdamW,
  applyMethod,
  type Classifier,
  loadClassifier,
  type MethodOptions,
  saveAdapter,
  toNumbers,
} from "../../mod.ts";
import { openSafetensors } from "../../src/files/safetensors.ts";
import { type SafetensorsSource, writeSafetensors } from "../../src/files/safetensors_write.ts";
import { refreshDerived } from "../../src/models/derivations.ts";
import { packBits, unpackBits } from "../../src/methods/bits.ts";
import { temporaryFolder } from "../native/fakes.ts";
import { fill, leaveGradients, takeTrained, trainedNumbers, update, weyl } from "../support/derived.ts";
import { type ComputedFixture, numbersIn, type TrainingFixture } from "../support/fixture_files.ts";
import { distance, norm } from "../support/numbers.ts";
import { randomBert } from "../support/random_bert.ts";
import { compute, readFixture, smallBertFolder } from "../support/small_bert.ts";
import { assertClose, assertNothingLeft } from "../support/torch.ts";

interface Fixture extends TrainingFixture, ComputedFixture {
  readonly keys: readonly string[];
}

const fixture = readFixture<Fixture>("mask/case.json");
const { sequences, labels, keys } = fixture;
const fixtures = new URL("../fixtures/mask/", import.meta.url).pathname;

/** The masked tiny BERT with the reference's first scores. */
async function withReference(test: (classifier: Classifier) => void): Promise<void> {
  await assertNothingLeft(async () => {
    using classifier = await loadClassifier(smallBertFolder, { dtype: "float64" });
    applyMethod(classifier, "mask", { maskTargets: ["query", "output"] });
    assert.deepEqual([...classifier.trained.keys()].filter((key) => key.endsWith(".mask_scores")).length, keys.length);
    keys.forEach((key, place) => {
      const scores = classifier.trained.get(`${key}.mask_scores`);
      assert.ok(scores);
      fill(scores, weyl(scores.size, 0.3 * place).map((each) => 0.02 * (each - 0.1)));
    });
    refreshDerived(classifier.adaptation);
    test(classifier);
  });
}

Deno.test("masking: the reference's logits, loss and gradients of the scores", async () => {
  await withReference((classifier) => {
    const { loss, logits } = leaveGradients(classifier, sequences, labels);
    assertClose(logits, fixture.logits64.flat(), 1e-10);
    assertClose([loss], [fixture.loss64], 1e-10);
    const found = takeTrained(classifier);
    for (const [key, expected] of numbersIn(`${fixtures}gradients.safetensors`)) {
      const off = distance(found.get(`${key}.mask_scores`) ?? [], expected);
      assert.ok(norm(expected) > 0 && off <= 1e-7 * norm(expected), `${key}: ${off} off of ${norm(expected)}`);
    }
  });
});

Deno.test("masking: twenty steps are the reference's, the losses and the scores after them", async () => {
  await withReference((classifier) => {
    const { learningRate, weightDecay, losses64 } = fixture;
    using optimizer = new AdamW(classifier.trained.values(), { weightDecay });
    const losses = losses64.map(() => {
      const { loss } = leaveGradients(classifier, sequences, labels);
      update(optimizer, learningRate);
      refreshDerived(classifier.adaptation);
      return loss;
    });
    assertClose(losses, losses64, 1e-10);
    const after = trainedNumbers(classifier);
    for (const [key, expected] of numbersIn(`${fixtures}after.safetensors`)) {
      assertClose(after.get(`${key}.mask_scores`) ?? [], expected, 1e-8);
      const crossed = expected.filter((score) => score < 0).length;
      assert.ok(crossed > 0.11 * expected.length, `${key}: ${crossed} are masked, of which a tenth was at first`);
    }
  });
});

Deno.test("the first masks leave out the sparsity's share, by the seed, of all six linear maps or of those that are named", () => {
  const masked = (options: MethodOptions): Map<string, number> => {
    using classifier = randomBert();
    applyMethod(classifier, "mask", options);
    const scores = [...trainedNumbers(classifier)].filter(([key]) => key.endsWith(".mask_scores"));
    return new Map(scores.map(([key, numbers]) => [key, numbers.filter((score) => score < 0).length / numbers.length]));
  };
  const all = masked({ maskSparsity: 0.3 });
  assert.equal(all.size, 3 * 6);
  for (const [key, share] of all) assert.ok(Math.abs(share - 0.3) < 0.06, `${key}: ${share}`);
  assert.deepEqual(masked({ maskSparsity: 0.3 }), all);
  assert.notDeepEqual(masked({ maskSparsity: 0.3, seed: 1 }), all);
  assert.deepEqual([...masked({ maskTargets: ["key"] }).keys()].map((key) => /layer\.\d.*key/.test(key)), [
    true,
    true,
    true,
  ]);
});

Deno.test("eight bits are in a byte, the first the lowest", () => {
  const bits = Uint8Array.of(1, 0, 1, 1, 0, 0, 0, 0, 0, 1);
  assert.deepEqual([...packBits(bits)], [13, 2]);
  assert.deepEqual(unpackBits(packBits(bits), 10), bits);
});

Deno.test("an adapter of masks holds a bit for each weight, and another model's or a damaged one is refused", async () => {
  using temporary = temporaryFolder();
  const folder = join(temporary.path, "adapter");
  using classifier = await loadClassifier(smallBertFolder);
  applyMethod(classifier, "mask", { maskSparsity: 0.2 });
  saveAdapter(classifier, folder);
  const path = join(folder, "fewtune_adapter.safetensors");
  const sources = contents(path);
  const masks = sources.filter(({ name }) => name.endsWith(".mask"));
  assert.deepEqual(
    masks.map(({ dtype, shape }) => [dtype, ...shape]).sort(),
    [
      ...new Array(3 * 4).fill(["U8", 32 * 32 / 8]),
      ...new Array(3 * 2).fill(["U8", 32 * 64 / 8]),
    ].sort(),
  );
  assert.deepEqual(sources.filter(({ name }) => !name.endsWith(".mask")).map(({ name }) => name).sort(), [
    "bert.pooler.dense.bias",
    "bert.pooler.dense.weight",
    "classifier.bias",
    "classifier.weight",
  ]);
  const expected = compute(classifier, sequences, labels, null).logits;
  using again = await loadClassifier(folder);
  assert.deepEqual(compute(again, sequences, labels, null).logits, expected);
  const refused = async (changed: readonly SafetensorsSource[], message: RegExp): Promise<void> => {
    writeSafetensors(path, changed, { format: "pt" });
    await assertNothingLeft(() => assert.rejects(loadClassifier(folder), { name: "CheckpointError", message }));
  };
  const [first, ...others] = masks;
  const head = sources.filter(({ name }) => !name.endsWith(".mask"));
  assert.ok(first);
  await refused([...head, ...others], /lacks encoder\.layer\.0\.\S+\.mask/);
  const short = { ...first, shape: [5], bytes: () => new Uint8Array(5) };
  await refused([...head, ...others, short], /\.mask is U8 \[5\] and not U8 \[128\], a bit for each weight/);
  const unknown = { ...first, name: "encoder.layer.9.mask" };
  await refused([...head, ...masks, unknown], /unexpected encoder\.layer\.9\.mask/);
});

function contents(path: string): SafetensorsSource[] {
  using file = openSafetensors(path);
  return [...file.tensors].map(([name, { dtype, shape, byteLength }]) => {
    const bytes = new Uint8Array(byteLength);
    file.readInto(name, bytes);
    return { name, dtype, shape, bytes: () => bytes };
  });
}

Deno.test("weights are the base's where they are not masked, and 0 where they are", () => {
  using classifier = randomBert();
  const query = classifier.model.backbone.layers[1]?.linears.query;
  assert.ok(query);
  const before = toNumbers(query.weight);
  applyMethod(classifier, "mask", { maskSparsity: 0.4 });
  const [after, scores] = [toNumbers(query.weight), trainedNumbers(classifier)];
  const own = scores.get("encoder.layer.1.attention.self.query.weight.mask_scores") ?? [];
  assert.deepEqual(after, before.map((each, index) => (own[index] ?? NaN) < 0 ? 0 : each));
});
