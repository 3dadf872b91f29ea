// BERT against transformers: loss, logits and the gradient of every parameter, full and selective.
//
// In float64 only the reference's own rounding to float32 is left (at most 2^-24 = 6e-8 relative; 3.4e-8 is reached).
// The tolerances of float32 are about three times what is reached: gradients 3.9e-6, loss 1.1e-7, logits 5.6e-7. In full
// fine-tuning a key's bias has no gradient but rounding noise: 1.3e-7 is reached in float32, 3.5e-16 in float64.

import assert from "node:assert/strict";
import { assertAgree, type Tolerance } from "../support/agreement.ts";
import { distance, norm } from "../support/numbers.ts";
import { cases, compute, loadCase, referenceGradients, sequences } from "../support/small_bert.ts";
import { assertNothingLeft } from "../support/torch.ts";

const tolerances: readonly Tolerance[] = [
  { dtype: "float64", gradient: 6e-8, zeroGradient: 1e-14, loss: 1e-14, logits: 1e-14 },
  { dtype: "float32", gradient: 1.2e-5, zeroGradient: 4e-7, loss: 3.5e-7, logits: 1.7e-6 },
];

for (const test of cases) {
  for (const tolerance of tolerances) {
    Deno.test(`${test.name} in ${tolerance.dtype}: loss, logits and every gradient`, async () => {
      await assertNothingLeft(async () => {
        using classifier = await loadCase(test, tolerance.dtype);
        for (const mode of ["split", "masked"] as const) {
          for (const rowsPerBlock of [1024, 20]) {
            const run = { mode, rowsPerBlock };
            const { loss, logits, gradients } = compute(classifier, sequences, test.labels, test.selected, run);
            assertAgree("loss", [loss], [test.loss64], tolerance.loss);
            assertAgree("logits", logits, test.logits64.flat(), tolerance.logits);
            const expected = referenceGradients(test, gradients.keys());
            for (const [key, gradient] of gradients) {
              const reference = expected.get(key) ?? [];
              const isZero = test.selected === null && key.endsWith("attention.self.key.bias");
              if (isZero) assert.ok(norm(gradient) <= tolerance.zeroGradient, `${key}: ${norm(gradient)}`);
              else assertAgree(key, gradient, reference, tolerance.gradient);
            }
          }
        }
      });
    });
  }
}

// Half-width floats have 8 (bfloat16) and 11 bits; 0.91 % and 0.074 % are reached.
for (const [dtype, tolerance] of [["bfloat16", 0.03], ["float16", 0.0025]] as const) {
  Deno.test(`in ${dtype} the logits are near the reference's, with padding and without`, async () => {
    const test = cases.find(({ name }) => name === "selective_4");
    assert.ok(test);
    using classifier = await loadCase(test, dtype);
    for (const rowsPerBlock of [1024, 1]) {
      const { logits } = compute(classifier, sequences, test.labels, test.selected, { rowsPerBlock });
      assertAgree("logits", logits, test.logits64.flat(), tolerance);
    }
  });
}

Deno.test("the reference gradients cover every parameter, and those of selected positions differ from full ones", () => {
  const [full, selective] = ["mean", "selective_4"].map((name) => cases.find((test) => test.name === name));
  assert.ok(full && selective);
  const keys = ["bert.encoder.layer.0.attention.self.value.weight", "bert.embeddings.word_embeddings.weight"];
  const [a, b] = [referenceGradients(full, keys), referenceGradients(selective, keys)];
  for (const key of keys) assert.ok(distance(a.get(key) ?? [], b.get(key) ?? []) > 0.1 * norm(a.get(key) ?? []));
});
