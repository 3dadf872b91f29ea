// A causal model in split mode: masked mode's loss and gradients, whatever the head reads.

import assert from "node:assert/strict";
import {
  accumulateGradients,
  type Classifier,
  Generator,
  lossOf,
  type Pooling,
  scope,
  selectPositions,
  type Tensor,
} from "../../mod.ts";
import { distance, norm } from "../support/numbers.ts";
import { randomSequences } from "../support/random_bert.ts";
import { postNorm, randomOpt } from "../support/random_opt.ts";
import { compute, type Computed, pack, takeGradients } from "../support/small_bert.ts";
import { assertClose, assertNothingLeft } from "../support/torch.ts";

const lengths = [9, 3, 17, 1, 6, 12];
const labels = [0, 1, 1, 0, 1, 0];

function select(k: number, pooling: Pooling): number[][] {
  using random = new Generator(k);
  return selectPositions(lengths, k, random, pooling);
}

function all({ gradients }: Computed): number[] {
  return [...gradients.values()].flat();
}

function compareModes(classifier: Classifier, k: number, rowsPerBlock: number, tolerance: number): void {
  const selected = select(k, classifier.model.pooling);
  const batch = randomSequences(lengths);
  const split = compute(classifier, batch, labels, selected, { mode: "split", rowsPerBlock });
  const masked = compute(classifier, batch, labels, selected, { mode: "masked" });
  assert.ok(norm(all(masked)) > 0.01);
  const off = distance(all(split), all(masked)) / norm(all(masked));
  assert.ok(off <= tolerance, `k ${k}: gradients ${off} off`);
  assertClose([split.loss], [masked.loss], tolerance * masked.loss);
}

for (const [dtype, tolerance] of [["float32", 1e-6], ["float64", 1e-13]] as const) {
  for (const pooling of ["mean", "last"] as const) {
    Deno.test(`split and masked mode agree in ${dtype}, the head on ${pooling}`, async () => {
      await assertNothingLeft(() => {
        for (const fields of [{}, postNorm]) {
          using classifier = randomOpt({ dtype, pooling, fields });
          for (const k of [1, 2, 4, 8, 20]) {
            for (const rowsPerBlock of [1024, 10]) compareModes(classifier, k, rowsPerBlock, tolerance);
          }
        }
      });
    });
  }
}

Deno.test("selecting fewer positions gives other gradients: the comparisons above can tell", () => {
  using classifier = randomOpt({ dtype: "float64" });
  const of = (k: number): number[] => all(compute(classifier, randomSequences(lengths), labels, select(k, "last")));
  const gradients = [1, 2, 4, 8, 20].map(of);
  gradients.slice(1).forEach((gradient, index) => {
    const previous = gradients[index] ?? [];
    assert.ok(distance(gradient, previous) > 0.02 * norm(previous), `${index}`);
  });
});

Deno.test("stored and recomputed gradients are the same to the bit, dropout on", async () => {
  await assertNothingLeft(() => {
    for (const fields of [{}, postNorm]) {
      using classifier = randomOpt({ dropout: 0.2, pooling: "mean", fields });
      const [stored, recomputed] = (["store", "recompute"] as const).map((activations) =>
        scope(() => {
          using selected = new Generator(1);
          using rest = new Generator(2);
          const batch = pack(classifier, randomSequences(lengths), select(4, "mean"), { rowsPerBlock: 20 });
          const lossFor = (logits: Tensor): Tensor => lossOf(logits, labels, classifier.target);
          const random = { selected, rest };
          const loss = accumulateGradients(classifier.model, batch, lossFor, { random, activations });
          return { loss, gradients: takeGradients(classifier) };
        })
      );
      assert.deepEqual(recomputed, stored);
    }
  });
});
