// What is kept for backward: for an unselected position its key and value, for a selected one the layer's activations.

import assert from "node:assert/strict";
import { type DropoutRandom, forward, Generator, memory, packBatch, scope } from "../../mod.ts";
import { randomBert, randomSequences } from "../support/random_bert.ts";
import { assertNothingLeft } from "../support/torch.ts";

const [sequences, layers, heads, hiddenSize, intermediateSize, float] = [4, 3, 4, 32, 512, 4];
// The system allocator rounds each of a few dozen allocations up.
const slack = 2048;

/** Bytes that are live after a forward pass of four sequences, and that were not before. */
function activations(length: number, k: number, dropout = 0): number {
  using classifier = randomBert({ dropout, intermediateSize });
  using selected = new Generator(1);
  using rest = new Generator(2);
  const random: DropoutRandom = { selected, rest };
  return scope(() => {
    const positions = Array.from({ length: k }, (_, position) => position);
    const batch = packBatch(randomSequences(new Array(sequences).fill(length)), {
      ...{ selected: new Array(sequences).fill(positions), pooling: "mean", rowsPerBlock: Infinity },
    });
    const before = memory().liveBytes;
    forward(classifier.model, batch, random);
    return memory().liveBytes - before;
  });
}

function assertBytes(actual: number, expected: number): void {
  assert.ok(Math.abs(actual - expected) <= slack, `${actual} bytes and not ${expected}`);
}

Deno.test("an unselected position keeps its keys and values, and nothing of the feed-forward", async () => {
  await assertNothingLeft(() => {
    const keysAndValues = layers * 2 * hiddenSize * float;
    assertBytes(activations(128, 4) - activations(64, 4), sequences * 64 * keysAndValues);
    assertBytes(activations(192, 8) - activations(64, 8), sequences * 128 * keysAndValues);
  });
});

Deno.test("with dropout it also keeps a probability, its mask, and what is left of it, for each selected query", async () => {
  await assertNothingLeft(() => {
    const [k, added] = [4, 64];
    const keysAndValues = 2 * hiddenSize * float;
    const attention = heads * k * (float + 1 + float);
    assertBytes(
      activations(128, k, 0.1) - activations(64, k, 0.1),
      sequences * added * layers * (keysAndValues + attention),
    );
  });
});

Deno.test("a selected position keeps the feed-forward twice, and at most eight rows of the hidden size", async () => {
  await assertNothingLeft(() => {
    for (const [few, many] of [[4, 8], [8, 64]] as const) {
      const perRow = (activations(128, many) - activations(128, few)) / (sequences * (many - few) * layers * float);
      const rows = (perRow - 2 * intermediateSize) / hiddenSize;
      assert.ok(rows >= 5 && rows <= 8, `${rows} rows of ${hiddenSize} beside two of ${intermediateSize}`);
    }
  });
});

Deno.test("sixteen of 128 positions keep less than a fifth of what all keep", async () => {
  await assertNothingLeft(() => {
    const ratio = activations(128, 16) / activations(128, 128);
    assert.ok(ratio < 0.2, `${ratio}`);
  });
});
