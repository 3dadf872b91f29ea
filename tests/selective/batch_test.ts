// Packing: which rows there are, in which order, how they are pooled, and what is refused.

import assert from "node:assert/strict";
import {
  packBatch,
  type PackedBatch,
  packMaskedBatch,
  type Pooling,
  scope,
  type Tensor,
  toNumbers,
} from "../../mod.ts";
import { assertNothingLeft, assertTensor } from "../support/torch.ts";

const sequences = [
  { inputIds: [11, 12], tokenTypeIds: [0, 1] },
  { inputIds: [21, 22, 23, 24], tokenTypeIds: [0, 0, 1, 1] },
];
const selected = [[0], [0, 2]];

function numbers(...tensors: readonly Tensor[]): number[][] {
  return tensors.map((tensor) => {
    assert.equal(tensor.dtype, "int64");
    return toNumbers(tensor);
  });
}

Deno.test("rows: longer sequences first, selected positions and the rest apart, no padding", async () => {
  await assertNothingLeft(() =>
    scope(() => {
      const { selected: chosen, rest, layout, size, gradientStops } = packBatch(sequences, {
        selected,
        pooling: "mean",
      });
      assert.deepEqual([size, layout.selectedRows, layout.restRows, gradientStops], [2, 3, 3, null]);
      assert.deepEqual(numbers(chosen.inputIds, chosen.positionIds, chosen.tokenTypeIds), [
        [21, 23, 11],
        [0, 2, 0],
        [0, 1, 0],
      ]);
      assert.deepEqual(numbers(rest.inputIds, rest.positionIds, rest.tokenTypeIds), [
        [22, 24, 12],
        [1, 3, 1],
        [0, 1, 1],
      ]);
    })
  );
});

Deno.test("keys before every sequence take its first positions, tokens are rows that are always selected", async () => {
  await assertNothingLeft(() =>
    scope(() => {
      const preceding = { keys: 10, tokenIds: [50, 51] };
      const { selected: chosen, rest } = packBatch(sequences, { selected, pooling: "mean", preceding });
      assert.deepEqual(numbers(chosen.inputIds, chosen.positionIds, chosen.tokenTypeIds), [
        [50, 51, 21, 23, 50, 51, 11],
        [10, 11, 12, 14, 10, 11, 12],
        [0, 0, 0, 1, 0, 0, 0],
      ]);
      assert.deepEqual(numbers(rest.inputIds, rest.positionIds), [[22, 24, 12], [13, 15, 13]]);
      const readBy = (pooling: Pooling, selected: number[][]): number[][] =>
        matrixOf(packBatch(sequences, { selected, pooling, preceding }));
      assert.deepEqual(readBy("cls", selected), [[0, 0, 0, 0, 1, 0, 0], [1, 0, 0, 0, 0, 0, 0]]);
      // The text's share of the mean is that of its length: two positions count for its four.
      assert.deepEqual(readBy("mean", selected)[1], [1 / 6, 1 / 6, 1 / 3, 1 / 3, 0, 0, 0].map(Math.fround));
      assert.deepEqual(readBy("last", [[1], [3]]), [[0, 0, 0, 0, 0, 1], [0, 0, 1, 0, 0, 0]]);
      assert.deepEqual(readBy("each", [[1], [3]]), [[0, 0, 0, 0, 0, 1], [0, 0, 1, 0, 0, 0]]);
    })
  );
});

/** What the head reads: the weight of each selected row in each output. */
function matrixOf({ layout, pool: { size, rows, outputs, weights } }: PackedBatch): number[][] {
  const matrix = Array.from({ length: size }, () => new Array<number>(layout.selectedRows).fill(0));
  const [at, of, values] = [toNumbers(rows), toNumbers(outputs), toNumbers(weights)];
  values.forEach((value, index) => {
    const row = matrix[of[index] ?? NaN];
    assert.ok(row);
    row[at[index] ?? NaN] = value;
  });
  return matrix;
}

Deno.test("a language model's head reads each selected position, in the caller's order of sequences", () => {
  scope(() => {
    const each = { selected: [[1], [0, 2]], pooling: "each" } as const;
    // The second sequence is the longer one, so that its rows come first.
    assert.deepEqual(matrixOf(packBatch(sequences, each)), [[0, 0, 1], [1, 0, 0], [0, 1, 0]]);
    assert.deepEqual(matrixOf(packMaskedBatch(sequences, each)), [[0, 0, 0, 0, 0, 1], [1, 0, 0, 0, 0, 0], [
      0,
      0,
      1,
      0,
      0,
      0,
    ]]);
    assert.throws(() => packBatch(sequences, { ...each, selected: [[1], []] }), {
      name: "OptionError",
      message: /of sequence 1, \[\], have to ascend and be at least one of 0 to 3$/,
    });
  });
});

Deno.test("pooling: the mean over the selected positions, the first or the last one, in the caller's order", () => {
  scope(() => {
    const mean = matrixOf(packBatch(sequences, { selected, pooling: "mean" }));
    assert.deepEqual(mean, [[0, 0, 1], [0.5, 0.5, 0]]);
    assert.deepEqual(matrixOf(packBatch(sequences, { selected, pooling: "cls" })), [[0, 0, 1], [1, 0, 0]]);
    const toLast = [[1], [0, 3]];
    assert.deepEqual(matrixOf(packBatch(sequences, { selected: toLast, pooling: "last" })), [[0, 0, 1], [0, 1, 0]]);
    const masked = packMaskedBatch(sequences, { selected: toLast, pooling: "last" });
    assert.deepEqual(matrixOf(masked), [[0, 0, 0, 0, 0, 1], [0, 0, 0, 1, 0, 0]]);
    const double = packBatch([{ inputIds: [1, 2, 3], tokenTypeIds: [0, 0, 0] }], {
      ...{ selected: [[0, 1, 2]], pooling: "mean", dtype: "float64" },
    });
    assert.deepEqual(matrixOf(double), [[1 / 3, 1 / 3, 1 / 3]]);
  });
});

Deno.test("in masked mode every row is selected, and gradients stop at those that are not", () => {
  scope(() => {
    const batch = packMaskedBatch(sequences, { selected, pooling: "mean" });
    assert.deepEqual([batch.layout.selectedRows, batch.layout.restRows], [6, 0]);
    assert.ok(batch.gradientStops);
    assertTensor(batch.gradientStops, [6, 1], [0, 1, 0, 1, 0, 1]);
    assert.deepEqual(matrixOf(batch), [[0, 0, 0, 0, 1, 0], [0.5, 0, 0.5, 0, 0, 0]]);
  });
});

Deno.test("blocks hold at most the rows that are asked for, and at least one sequence", () => {
  scope(() => {
    const lengths = [3, 9, 4, 2, 1];
    const batch = lengths.map((length) => ({
      inputIds: new Array<number>(length).fill(1),
      tokenTypeIds: new Array<number>(length).fill(0),
    }));
    const blocks = (rowsPerBlock: number): number[] =>
      packBatch(batch, { selected: lengths.map(() => [0]), pooling: "mean", rowsPerBlock }).layout.blocks
        .map(({ sequences }) => sequences);
    assert.deepEqual(blocks(1), [1, 1, 1, 1, 1]);
    assert.deepEqual(blocks(7), [1, 2, 2]);
    assert.deepEqual(blocks(13), [2, 3]);
    assert.deepEqual(blocks(1024), [5]);
    assert.deepEqual(blocks(Infinity), [5]);
  });
});

Deno.test("selections that cannot be, and a batch of nothing, are refused", async () => {
  await assertNothingLeft(() => {
    const bad = [[], [1], [0, 0], [0, 2, 1], [0, 4], [0, 3, 3]];
    for (const packer of [packBatch, packMaskedBatch]) {
      for (const positions of bad) {
        assert.throws(() => packer(sequences, { selected: [[0], positions], pooling: "mean" }), {
          name: "OptionError",
          message: `the selected positions of sequence 1, [${positions}], have to ascend from 0 to at most 3`,
        });
      }
      for (const positions of [[], [0], [0, 2], [1, 0, 3], [0, 4], [-1, 3], [3, 3]]) {
        assert.throws(() => packer(sequences, { selected: [[1], positions], pooling: "last" }), {
          name: "OptionError",
          message: `the selected positions of sequence 1, [${positions}], have to ascend to 3, the last one`,
        });
      }
      assert.throws(() => packer(sequences, { selected: [[0]], pooling: "mean" }), { name: "OptionError" });
      assert.throws(() => packer([], { selected: [], pooling: "mean" }), {
        name: "OptionError",
        message: /at least one/,
      });
    }
  });
});
