// Split mode against masked mode, the definition: the same loss and gradients; and what they may not depend on.

import assert from "node:assert/strict";
import { type Classifier, Generator, namedParameters, selectPositions, type Sequence, type Target } from "../../mod.ts";
import { distance, norm } from "../support/numbers.ts";
import { randomBert, randomSequences } from "../support/random_bert.ts";
import { compute, type Computed } from "../support/small_bert.ts";
import { assertClose, assertNothingLeft } from "../support/torch.ts";

const lengths = [9, 3, 17, 1, 6, 12];

function labelsFor(target: Target, count: number): number[] {
  return Array.from({ length: count }, (_, index) => target === "regression" ? index / 3 - 1 : index % 2);
}

function select(lengths: readonly number[], k: number): number[][] {
  using random = new Generator(k);
  return selectPositions(lengths, k, random);
}

function all({ gradients }: Computed): number[] {
  return [...gradients.values()].flat();
}

/** Loss and all gradients together within 1e-6 (float32); in float64 every parameter's gradient within 1e-10. */
function assertSame(actual: Computed, expected: Computed, dtype: "float32" | "float64"): void {
  const off = distance(all(actual), all(expected)) / norm(all(expected));
  if (dtype === "float32") assert.ok(off <= 1e-6, `gradients: ${off} off`);
  const tolerance = dtype === "float32" ? 1e-6 : 1e-12;
  assertClose([actual.loss], [expected.loss], tolerance * expected.loss);
  if (dtype === "float32") return;
  for (const [key, gradient] of actual.gradients) {
    const reference = expected.gradients.get(key) ?? [];
    const difference = distance(gradient, reference);
    assert.ok(difference <= 1e-10 * norm(reference) + 1e-15, `${key}: ${difference} off of ${norm(reference)}`);
  }
}

function compareModes(classifier: Classifier, batch: readonly Sequence[], k: number, rowsPerBlock: number): void {
  const dtype = classifier.model.backbone.dtype === "float64" ? "float64" : "float32";
  const selected = select(batch.map(({ inputIds }) => inputIds.length), k);
  const labels = labelsFor(classifier.target, batch.length);
  const split = compute(classifier, batch, labels, selected, { mode: "split", rowsPerBlock });
  const masked = compute(classifier, batch, labels, selected, { mode: "masked" });
  assert.ok(norm(all(masked)) > 0.01);
  assertSame(split, masked, dtype);
}

const batches: readonly { readonly name: string; readonly lengths: readonly number[] }[] = [
  { name: "sequences of all lengths", lengths },
  { name: "sequences of one length", lengths: [8, 8, 8] },
  { name: "a single sequence", lengths: [11] },
  { name: "a single position", lengths: [1] },
];

for (const dtype of ["float32", "float64"] as const) {
  for (const { name, lengths } of batches) {
    Deno.test(`split and masked mode agree in ${dtype}: ${name}`, async () => {
      await assertNothingLeft(() => {
        using mean = randomBert({ dtype });
        using cls = randomBert({ dtype, pooling: "cls", target: "regression" });
        for (const classifier of [mean, cls]) {
          for (const k of [1, 2, 4, 8, 20]) {
            for (const rowsPerBlock of [1024, 10]) compareModes(classifier, randomSequences(lengths), k, rowsPerBlock);
          }
        }
      });
    });
  }
}

Deno.test("selecting every position is full fine-tuning: in split mode to the bit, in masked mode to rounding", () => {
  using classifier = randomBert({ dtype: "float64" });
  const [batch, labels] = [randomSequences(lengths), labelsFor(classifier.target, lengths.length)];
  const full = compute(classifier, batch, labels, null);
  assert.deepEqual(compute(classifier, batch, labels, select(lengths, 17)), full);
  assertSame(compute(classifier, batch, labels, select(lengths, 17), { mode: "masked" }), full, "float64");
});

Deno.test("selecting fewer positions gives other gradients: the comparisons above can tell", () => {
  using classifier = randomBert({ dtype: "float64" });
  const [batch, labels] = [randomSequences(lengths), labelsFor(classifier.target, lengths.length)];
  const gradients = [1, 2, 4, 8, 20].map((k) => all(compute(classifier, batch, labels, select(lengths, k))));
  gradients.slice(1).forEach((gradient, index) => {
    const previous = gradients[index] ?? [];
    assert.ok(distance(gradient, previous) > 0.02 * norm(previous), `${index}`);
  });
});

Deno.test("neither the size of blocks nor the order of sequences counts", () => {
  using classifier = randomBert({ dtype: "float64" });
  const [batch, labels, selected] = [randomSequences(lengths), [0, 1, 1, 0, 1, 0], select(lengths, 4)];
  const once = compute(classifier, batch, labels, selected);
  for (const rowsPerBlock of [1, 13, 30]) {
    assertSame(compute(classifier, batch, labels, selected, { rowsPerBlock }), once, "float64");
  }
  const order = [3, 5, 0, 2, 4, 1];
  const shuffle = <T>(items: readonly T[]): T[] => order.flatMap((index) => items.slice(index, index + 1));
  const shuffled = compute(classifier, shuffle(batch), shuffle(labels), shuffle(selected));
  assertSame(shuffled, once, "float64");
  const logits = (of: Computed): number[][] => order.map((_, row) => of.logits.slice(2 * row, 2 * row + 2));
  assertClose(logits(shuffled).flat(), shuffle(logits(once)).flat(), 1e-13);
});

Deno.test("a sequence's logits do not depend on its neighbours", () => {
  using classifier = randomBert({ dtype: "float64" });
  const batch = randomSequences(lengths);
  for (const k of [4, 20]) {
    const selected = select(lengths, k);
    const together = compute(classifier, batch, [0, 0, 0, 0, 0, 0], selected).logits;
    batch.forEach((sequence, index) => {
      const alone = compute(classifier, [sequence], [0], [selected[index] ?? []]).logits;
      assertClose(together.slice(2 * index, 2 * index + 2), alone, 1e-13);
    });
  }
});

Deno.test("every parameter gets a gradient, whatever k is", () => {
  using classifier = randomBert({ dtype: "float64" });
  const { gradients } = compute(classifier, randomSequences([9, 9]), [0, 1], select([9, 9], 3));
  assert.deepEqual([...gradients.keys()], [...namedParameters(classifier.model).keys()]);
  for (const [key, gradient] of gradients) assert.ok(norm(gradient) > 1e-12, key);
});
