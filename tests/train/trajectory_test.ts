// Twenty steps of the tiny BERT, full and selective: the losses are those of PyTorch and transformers.
//
// The tolerances are about four times what is reached: 2.1e-7 relative in float32, 6.7e-16 in float64.

import assert from "node:assert/strict";
import {
  AdamW,
  backward,
  type DType,
  forward,
  item,
  linearSchedule,
  loadClassifier,
  lossOf,
  namedParameters,
  type Pooling,
  scope,
  type Sequence,
} from "../../mod.ts";
import { pack, readFixture, smallBertFolder } from "../support/small_bert.ts";
import { assertClose, assertNothingLeft } from "../support/torch.ts";

interface Fixture {
  readonly learningRate: number;
  readonly warmupSteps: number;
  readonly betas: readonly [number, number];
  readonly epsilon: number;
  readonly weightDecay: number;
  readonly examples: readonly (Sequence & { readonly label: number })[];
  readonly runs: readonly {
    readonly name: string;
    readonly pooling: Pooling;
    readonly steps: readonly {
      readonly batch: readonly number[];
      readonly selected: readonly (readonly number[])[] | null;
      readonly learningRate: number;
      readonly loss64: number;
    }[];
  }[];
}

const fixture = readFixture<Fixture>("training.json");

async function losses({ pooling, steps }: Fixture["runs"][number], dtype: DType): Promise<number[]> {
  const { examples, learningRate, warmupSteps, betas, epsilon, weightDecay } = fixture;
  using classifier = await loadClassifier(smallBertFolder, { pooling, dtype });
  using optimizer = new AdamW(namedParameters(classifier.model).values(), { betas, epsilon, weightDecay });
  return steps.map((step, index) => {
    const batch = step.batch.flatMap((example) => examples.slice(example, example + 1));
    const value = scope(() => {
      const logits = forward(classifier.model, pack(classifier, batch, step.selected), null);
      const loss = lossOf(logits, batch.map(({ label }) => label), classifier.target);
      backward(loss);
      return item(loss);
    });
    const rate = linearSchedule(index, { learningRate, warmupSteps, totalSteps: steps.length });
    assert.equal(rate, step.learningRate);
    optimizer.step(rate);
    return value;
  });
}

for (const run of fixture.runs) {
  for (const [dtype, tolerance] of [["float32", 8e-7], ["float64", 3e-15]] as const) {
    Deno.test(`${run.name} fine-tuning in ${dtype}: the loss of every step`, async () => {
      await assertNothingLeft(async () => {
        const expected = run.steps.map(({ loss64 }) => loss64);
        assert.ok(Math.max(...expected) / Math.min(...expected) > 1.2);
        const actual = await losses(run, dtype);
        assertClose(actual.map((loss, index) => loss / (expected[index] ?? NaN)), expected.map(() => 1), tolerance);
      });
    });
  }
}
