// What is kept for backward, to the byte: one operator on whole sequences inside the graph would show.

import assert from "node:assert/strict";
import { accumulateGradients, Generator, type GradientOptions, memory, ops, scope } from "../../mod.ts";
import { randomBert, randomSequences } from "../support/random_bert.ts";
import { pack, takeGradients } from "../support/small_bert.ts";
import { assertNothingLeft } from "../support/torch.ts";

const [sequences, hiddenSize, intermediateSize, float] = [4, 32, 64, 4];

interface Setting extends Pick<GradientOptions, "activations" | "keptStates" | "precision"> {
  readonly numHiddenLayers: number;
  readonly length: number;
  readonly k: number;
  readonly dropout?: number;
}

/** Bytes that are live at the end of forward, and that were not before. */
function keptBytes({ numHiddenLayers, length, k, dropout = 0, ...options }: Setting): number {
  using classifier = randomBert({ dropout, numHiddenLayers, intermediateSize });
  using selected = new Generator(1);
  using rest = new Generator(2);
  return scope(() => {
    const positions = Array.from({ length: k }, (_, position) => position);
    const lengths = new Array<number>(sequences).fill(length);
    const batch = pack(classifier, randomSequences(lengths), lengths.map(() => positions), {
      rowsPerBlock: 2 * length,
    });
    const before = memory().liveBytes;
    let kept = 0;
    accumulateGradients(classifier.model, batch, (logits) => ops.sum(logits), {
      ...options,
      random: { selected, rest },
      onLoss: () => kept = memory().liveBytes - before,
    });
    takeGradients(classifier);
    return kept;
  });
}

/** The bytes that one more layer keeps. */
function layerBytes(setting: Omit<Setting, "numHiddenLayers">): number {
  return keptBytes({ ...setting, numHiddenLayers: 4 }) - keptBytes({ ...setting, numHiddenLayers: 3 });
}

// Beside keys and values of the rest: the layer's input, attention's result, both norms' inputs, the feed-forward's
// input, and its value before GELU; of each norm a mean and a deviation.
function storedBytes(rest: number, selected: number): number {
  const statistics = 2 * 2;
  return sequences * float * (rest * 2 * hiddenSize + selected * (5 * hiddenSize + intermediateSize + statistics));
}

const cases = [[64, 4], [128, 4], [128, 16], [32, 32]] as const;

Deno.test("store keeps of the rest keys and values, of the selected rows what backward cannot rebuild elementwise", async () => {
  await assertNothingLeft(() => {
    for (const [length, k] of cases) {
      assert.equal(layerBytes({ activations: "store", length, k }), storedBytes(length - k, k), `${k} of ${length}`);
    }
  });
});

Deno.test("dropout adds two bytes for each selected element, and nothing for attention", async () => {
  await assertNothingLeft(() => {
    for (const [length, k] of cases) {
      const noise = 2 * sequences * k * hiddenSize;
      assert.equal(layerBytes({ activations: "store", length, k, dropout: 0.1 }), storedBytes(length - k, k) + noise);
    }
  });
});

Deno.test("recompute keeps the layer's input, and for the selected rows attention's result", async () => {
  await assertNothingLeft(() => {
    const keptStates = { from: 0, every: 1 };
    for (const dropout of [0, 0.1]) {
      for (const [length, k] of cases) {
        const rows = k === length ? length : length + k;
        const bytes = layerBytes({ activations: "recompute", keptStates, length, k, dropout });
        assert.equal(bytes, sequences * float * hiddenSize * rows, `${k} of ${length}`);
      }
    }
  });
});

Deno.test("states of the rest that are not kept take nothing", async () => {
  await assertNothingLeft(() => {
    const kept = (from: number, every: number): number =>
      keptBytes({
        activations: "recompute",
        keptStates: { from, every },
        ...{ numHiddenLayers: 6, length: 64, k: 4 },
      });
    const state = sequences * 60 * hiddenSize * float;
    assert.equal(kept(0, 1) - kept(1, 1), 0);
    assert.equal(kept(0, 1) - kept(3, 1), 2 * state);
    assert.equal(kept(0, 1) - kept(0, 2), 2 * state);
    assert.equal(kept(0, 1) - kept(0, 5), 4 * state);
    assert.equal(kept(0, 1) - kept(6, 1), 5 * state);
  });
});

Deno.test("by default recompute keeps all but the states of the lowest quarter of the layers", () => {
  const setting = { activations: "recompute", numHiddenLayers: 8, length: 64, k: 4 } as const;
  assert.equal(keptBytes(setting), keptBytes({ ...setting, keptStates: { from: 2, every: 1 } }));
});

Deno.test("bf16 keeps half of it", async () => {
  await assertNothingLeft(() => {
    const setting = { keptStates: { from: 0, every: 1 }, length: 64, k: 4, precision: "bf16" } as const;
    assert.equal(layerBytes({ ...setting, activations: "recompute" }), sequences * 2 * hiddenSize * (64 + 4));
    // Means and deviations of the norms stay float32.
    const statistics = sequences * 4 * 4 * float;
    assert.equal(
      layerBytes({ ...setting, activations: "store" }) - statistics,
      (storedBytes(60, 4) - statistics) / 2,
    );
  });
});
