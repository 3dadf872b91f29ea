// AdamW and the linear schedule against PyTorch's and transformers' over 20 steps.

import assert from "node:assert/strict";
import {
  AdamW,
  backward,
  linearSchedule,
  liveTensorCount,
  ops,
  scope,
  type Tensor,
  tensorFrom,
  toNumbers,
} from "../../mod.ts";
import { readFixture } from "../support/small_bert.ts";
import { assertClose, assertNothingLeft } from "../support/torch.ts";

type Nested = readonly (number | Nested)[];

interface Fixture {
  readonly shapes: readonly (readonly number[])[];
  readonly decayed: readonly boolean[];
  readonly learningRate: number;
  readonly warmupSteps: number;
  readonly betas: readonly [number, number];
  readonly epsilon: number;
  readonly weightDecay: number;
  readonly initial: readonly Nested[];
  readonly steps: readonly {
    readonly learningRate: number;
    readonly gradients: readonly Nested[];
    readonly fused: readonly Nested[];
  }[];
}

const fixture = readFixture<Fixture>("adamw.json");

function flat(nested: Nested | number | undefined): number[] {
  return typeof nested === "number" ? [nested] : (nested ?? []).flatMap(flat);
}

function setGradients(parameters: readonly Tensor[], gradients: readonly Nested[]): void {
  scope(() =>
    parameters.forEach((parameter, index) => {
      parameter.grad = tensorFrom(flat(gradients[index]), { shape: parameter.shape });
    })
  );
}

Deno.test("twenty steps are torch.optim.AdamW's, with and without weight decay", async () => {
  await assertNothingLeft(() =>
    scope(() => {
      const { shapes, decayed, initial, steps, betas, epsilon, weightDecay } = fixture;
      const parameters = initial.map((values, index) =>
        tensorFrom(flat(values), { shape: shapes[index] ?? [], requiresGrad: true })
      );
      assert.deepEqual(shapes.map(({ length }) => length >= 2), decayed);
      using optimizer = new AdamW(parameters, { betas, epsilon, weightDecay });
      assert.equal(steps.length, 20);
      for (const { learningRate, gradients, fused } of steps) {
        setGradients(parameters, gradients);
        optimizer.step(learningRate);
        parameters.forEach((parameter, index) => {
          assert.equal(parameter.grad, null);
          const expected = flat(fused[index]).map(Math.fround);
          assertClose(toNumbers(parameter), expected, 1.2e-7 * Math.max(...expected.map(Math.abs)));
        });
      }
    })
  );
});

Deno.test("the schedule is transformers' linear one, to the bit", () => {
  const { learningRate, warmupSteps, steps } = fixture;
  const options = { learningRate, warmupSteps, totalSteps: steps.length };
  steps.forEach((step, index) => assert.equal(linearSchedule(index, options), step.learningRate));
  assert.equal(linearSchedule(steps.length, options), 0);
  assert.equal(linearSchedule(0, { learningRate: 2, warmupSteps: 0, totalSteps: 4 }), 2);
  assert.equal(linearSchedule(3, { learningRate: 2, warmupSteps: 0, totalSteps: 4 }), 0.5);
});

Deno.test("a parameter without a gradient stays as it is, and gets no state", async () => {
  await assertNothingLeft(() =>
    scope(() => {
      const [moved, still] = [tensorFrom([1], { requiresGrad: true }), tensorFrom([1], { requiresGrad: true })];
      using optimizer = new AdamW([moved, still]);
      const before = liveTensorCount();
      moved.grad = scope(() => tensorFrom([1]));
      optimizer.step(0.5);
      assertClose(toNumbers(moved), [0.5], 1e-6);
      assert.deepEqual(toNumbers(still), [1]);
      // The gradient's handle in this scope, two averages and the count of steps.
      assert.equal(liveTensorCount(), before + 4);
    })
  );
});

Deno.test("weight decay acts on matrices alone, and by the learning rate", () => {
  scope(() => {
    const [matrix, vector] = [
      tensorFrom([8], { shape: [1, 1], requiresGrad: true }),
      tensorFrom([8], { requiresGrad: true }),
    ];
    using optimizer = new AdamW([matrix, vector], { weightDecay: 0.5 });
    setGradients([matrix, vector], [[0], [0]]);
    optimizer.step(0.25);
    assert.deepEqual([toNumbers(matrix), toNumbers(vector)], [[7], [8]]);
  });
});

Deno.test("a sparse gradient changes the weights as the dense one that it stands for, to the bit", async () => {
  await assertNothingLeft(() => {
    const [rows, size] = [5000, 4];
    const weights = (sparse: boolean): number[] =>
      scope(() => {
        const initial = Array.from({ length: rows * size }, (_, index) => Math.sin(index));
        const table = tensorFrom(initial, { shape: [rows, size], requiresGrad: true });
        using optimizer = new AdamW([table]);
        for (let step = 0; step < 4; step++) {
          const indices = tensorFrom([3, 7, 3, 2047, 2048, 4999, 900 * step, 0], { dtype: "int64" });
          const used = ops.embedding(table, indices, 0, false, sparse);
          backward(ops.sum(ops.mul(used, used)));
          assert.equal(table.grad?.isSparse, sparse);
          optimizer.step(0.01);
        }
        return toNumbers(table);
      });
    assert.deepEqual(weights(true), weights(false));
  });
});
