// Attention against a straightforward computation in JavaScript's float64.

import assert from "node:assert/strict";
import { backward, Generator, noGrad, ops, scope, tensorFrom, toNumbers } from "../../mod.ts";
import { attention, splitHeads } from "../../src/nn/attention.ts";
import { Dropout } from "../../src/nn/dropout.ts";
import { droppedAt } from "../support/dropout.ts";
import { assertGradients, leafOf } from "../support/finite_differences.ts";
import { someNumbers } from "../support/numbers.ts";
import { assertClose, assertNothingLeft, assertTensor } from "../support/torch.ts";

const [batch, heads, queries, keys, size] = [2, 3, 4, 5, 2];
const probability = 0.25;
// The second sequence has three keys, the first all five.
const hides = (sequence: number, key: number): boolean => sequence === 1 && (key === 1 || key === 4);

interface Inputs {
  readonly query: readonly number[];
  readonly key: readonly number[];
  readonly value: readonly number[];
}

const inputs: Inputs = {
  query: someNumbers(batch * heads * queries * size, 1),
  key: someNumbers(batch * heads * keys * size, 2),
  value: someNumbers(batch * heads * keys * size, 3),
};

/** Equation 1 of Vaswani et al. for every query of every head, row by row. */
function expectedAttention({ query, key, value }: Inputs, hasBias: boolean, dropped: readonly boolean[]): number[] {
  const output = new Array<number>(batch * queries * heads * size).fill(0);
  for (let b = 0; b < batch; b++) {
    for (let h = 0; h < heads; h++) {
      for (let q = 0; q < queries; q++) {
        const row = (b * heads + h) * queries + q;
        const weights = Array.from({ length: keys }, (_, k) => {
          if (hasBias && hides(b, k)) return 0;
          const at = (b * heads + h) * keys + k;
          let score = 0;
          for (let i = 0; i < size; i++) score += (query[row * size + i] ?? NaN) * (key[at * size + i] ?? NaN);
          return Math.exp(score / Math.sqrt(size));
        });
        const total = weights.reduce((sum, weight) => sum + weight, 0);
        weights.forEach((weight, k) => {
          const kept = dropped[row * keys + k] ? 0 : dropped.length > 0 ? 1 / (1 - probability) : 1;
          for (let i = 0; i < size; i++) {
            const at = ((b * queries + q) * heads + h) * size + i;
            const element = value[((b * heads + h) * keys + k) * size + i] ?? NaN;
            output[at] = (output[at] ?? NaN) + weight / total * kept * element;
          }
        });
      }
    }
  }
  return output;
}

function compute(hasBias: boolean, dropout: Dropout, random: Generator | null): number[] {
  return scope(() => {
    const tensor = (numbers: readonly number[], length: number): ReturnType<typeof tensorFrom> =>
      tensorFrom(numbers, { shape: [batch, heads, length, size], dtype: "float64" });
    const bias = Float64Array.from(
      { length: batch * keys },
      (_, index) => hides(Math.floor(index / keys), index % keys) ? -Infinity : 0,
    );
    const output = attention(tensor(inputs.query, queries), tensor(inputs.key, keys), tensor(inputs.value, keys), {
      bias: hasBias ? tensorFrom(bias, { shape: [batch, 1, 1, keys] }) : null,
      dropout,
      random,
    });
    assert.deepEqual(output.shape, [batch * queries, heads * size]);
    return toNumbers(output);
  });
}

for (const hasBias of [false, true]) {
  const how = hasBias ? "with hidden keys" : "without a bias";
  Deno.test(`attention ${how}, in evaluation and with dropout off`, async () => {
    await assertNothingLeft(() => {
      using random = new Generator(1);
      const expected = expectedAttention(inputs, hasBias, []);
      assertClose(compute(hasBias, new Dropout(probability), null), expected, 1e-14);
      assertClose(compute(hasBias, new Dropout(0), random), expected, 1e-14);
      assertClose(noGrad(() => compute(hasBias, new Dropout(0), null)), expected, 1e-14);
    });
  });

  Deno.test(`attention ${how}, with dropout on the probabilities`, async () => {
    await assertNothingLeft(() => {
      using random = new Generator(1);
      const dropped = droppedAt(batch * heads * queries * keys, probability, random.state());
      const expected = expectedAttention(inputs, hasBias, dropped);
      assertClose(compute(hasBias, new Dropout(probability), random), expected, 1e-14);
    });
  });
}

Deno.test("a hidden key has no influence, and gets no gradient", () => {
  scope(() => {
    const [query, key, value] = [leafOf([1, 1, 2, 2]), leafOf([1, 1, 3, 2], 2), leafOf([1, 1, 3, 2], 3)];
    const bias = tensorFrom([0, -Infinity, 0], { shape: [1, 1, 1, 3], dtype: "float64" });
    using random = new Generator(1);
    for (const generator of [null, random]) {
      const output = attention(query, key, value, { bias, dropout: new Dropout(0.25), random: generator });
      backward(ops.sum(output));
      for (const leaf of [key, value]) {
        assertTensor(ops.select(leaf.grad ?? leaf, 2, 1), [1, 1, 2], [0, 0]);
        leaf.grad = null;
      }
    }
  });
});

Deno.test("the gradients of attention with dropout agree with finite differences", async () => {
  await assertNothingLeft(() => {
    using random = new Generator(1);
    const state = random.state();
    scope(() => {
      const bias = tensorFrom([0, 0, -Infinity], { shape: [1, 1, 1, 3], dtype: "float64" });
      const compute = (...[query, key, value]: Parameters<typeof assertGradients>[1]): ReturnType<typeof leafOf> => {
        random.setState(state);
        assert.ok(query && key && value);
        return attention(query, key, value, { bias, dropout: new Dropout(0.25), random });
      };
      assertGradients(compute, [leafOf([1, 2, 2, 2]), leafOf([1, 2, 3, 2], 2), leafOf([1, 2, 3, 2], 3)], 1e-8);
    });
  });
});

Deno.test("splitHeads gives each head its part of every row, without a copy", () => {
  scope(() => {
    const block = tensorFrom([0, 1, 2, 3, 4, 5, 6, 7], { shape: [1, 2, 4] });
    assertTensor(splitHeads(block, 2), [1, 2, 2, 2], [0, 1, 4, 5, 2, 3, 6, 7]);
    ops.zero_(block);
    assertTensor(splitHeads(block, 2), [1, 2, 2, 2], [0, 0, 0, 0, 0, 0, 0, 0]);
  });
});
