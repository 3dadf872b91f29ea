// Attention's gradient against the one that LibTorch finds, and what it leaves out: gradients of constant keys.

import assert from "node:assert/strict";
import { backward, Generator, noGrad, ops, scope, type Tensor, tensorFrom, toNumbers } from "../../mod.ts";
import { attention, splitHeads } from "../../src/nn/attention.ts";
import { attentionGradient } from "../../src/nn/attention_gradient.ts";
import { Dropout } from "../../src/nn/dropout.ts";
import { leafOf } from "../support/finite_differences.ts";
import { someNumbers } from "../support/numbers.ts";
import { assertClose, assertNothingLeft } from "../support/torch.ts";

const [batch, heads, size] = [2, 3, 6];

interface Case {
  readonly name: string;
  readonly queries: number;
  readonly keys: number;
  readonly keyCount: number;
  readonly dropout: number;
  /** For each query and key of each sequence whether the key is hidden. */
  readonly hides: ((sequence: number, query: number, key: number) => boolean) | null;
}

const cases: readonly Case[] = [
  { name: "all keys, nothing hidden", queries: 4, keys: 4, keyCount: 4, dropout: 0, hides: null },
  { name: "dropout", queries: 4, keys: 5, keyCount: 5, dropout: 0.25, hides: null },
  { name: "constant keys", queries: 3, keys: 7, keyCount: 3, dropout: 0.25, hides: null },
  { name: "hidden keys", queries: 3, keys: 6, keyCount: 3, dropout: 0.25, hides: (b, _, k) => b === 1 && k > 3 },
  { name: "causal", queries: 5, keys: 5, keyCount: 5, dropout: 0.25, hides: (_, q, k) => k > q },
];

function biasOf({ queries, keys, hides }: Case): Tensor | null {
  if (hides === null) return null;
  const values = Array.from(
    { length: batch * queries * keys },
    (_, at) => hides(Math.floor(at / (queries * keys)), Math.floor(at / keys) % queries, at % keys) ? -Infinity : 0,
  );
  return tensorFrom(values, { shape: [batch, 1, queries, keys], dtype: "float64" });
}

for (const test of cases) {
  Deno.test(`attention's gradient is LibTorch's: ${test.name}`, async () => {
    await assertNothingLeft(() =>
      scope(() => {
        const { queries, keys, keyCount } = test;
        using random = new Generator(5);
        const options = { bias: biasOf(test), dropout: new Dropout(test.dropout), random };
        const [query, key, value] = [queries, keys, keys].map((length, seed) =>
          leafOf([batch, length, size], seed + 1)
        );
        assert.ok(query && key && value);
        const rows = tensorFrom(someNumbers(batch * queries * size, 9), {
          shape: [batch * queries, size],
          dtype: "float64",
        });
        const state = random.state();
        const inHeads = (tensor: Tensor): Tensor => splitHeads(tensor, heads);
        backward(attention(inHeads(query), inHeads(key), inHeads(value), options), { gradient: rows });
        random.setState(state);
        const gradient = noGrad(() =>
          attentionGradient(
            ...[inHeads(query), inHeads(key), inHeads(value), inHeads(ops.view(rows, [batch, queries, size]))] as const,
            ...[keyCount, options] as const,
          )
        );
        const firstOf = (leaf: Tensor): number[] => toNumbers(ops.narrow(leaf.grad ?? leaf, 1, 0, keyCount));
        assertClose(toNumbers(gradient.query), toNumbers(query.grad ?? query), 1e-14);
        assertClose(toNumbers(gradient.key), firstOf(key), 1e-14);
        assertClose(toNumbers(gradient.value), firstOf(value), 1e-14);
        assert.deepEqual(gradient.key.shape, [batch * keyCount, size]);
      })
    );
  });
}
