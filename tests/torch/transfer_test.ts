// Tensors from and to typed arrays: every element type, every bit, and no needless copy.

import assert from "node:assert/strict";
import { type DType, item, memory, ops, scope, type Tensor, tensorFrom, toNumbers, toTypedArray } from "../../mod.ts";
import type { TypedArray } from "../../src/torch/dtype.ts";
import { assertNothingLeft, assertTensor } from "../support/torch.ts";

const awkward = [0, -0, 1, -1.5, NaN, Infinity, -Infinity, 5e-324, 1.7976931348623157e308, 0.1];

const samples: readonly { readonly dtype: DType; readonly elements: TypedArray }[] = [
  { dtype: "float32", elements: Float32Array.from(awkward) },
  { dtype: "float64", elements: Float64Array.from(awkward) },
  { dtype: "float16", elements: Uint16Array.of(0, 0x8000, 0x3c00, 0x7c00, 0xfc00, 0x7e01, 1, 0x7bff) },
  { dtype: "bfloat16", elements: Uint16Array.of(0, 0x8000, 0x3f80, 0x7f80, 0xff80, 0x7fc1, 1, 0x7f7f) },
  { dtype: "int64", elements: BigInt64Array.of(0n, -1n, 2n ** 53n + 1n, -(2n ** 63n), 2n ** 63n - 1n) },
  { dtype: "int32", elements: Int32Array.of(0, -1, 2 ** 31 - 1, -(2 ** 31)) },
  { dtype: "uint8", elements: Uint8Array.of(0, 1, 127, 128, 255) },
  { dtype: "bool", elements: Uint8Array.of(0, 1, 1, 0) },
];

function bytesOf(array: TypedArray): number[] {
  return [...new Uint8Array(array.buffer, array.byteOffset, array.byteLength)];
}

for (const { dtype, elements } of samples) {
  Deno.test(`${dtype} goes there and back without losing a bit`, async () => {
    await assertNothingLeft(() =>
      scope(() => {
        const tensor = tensorFrom(elements, { dtype });
        assert.deepEqual([tensor.dtype, tensor.shape], [dtype, [elements.length]]);
        const back = toTypedArray(tensor);
        assert.equal(back.constructor, elements.constructor);
        assert.deepEqual(bytesOf(back), bytesOf(elements));
        assert.deepEqual(bytesOf(toTypedArray(ops.clone(tensor))), bytesOf(elements));
      })
    );
  });
}

Deno.test("the element type follows from the array, float32 from plain numbers", () => {
  scope(() => {
    const dtypes = [
      tensorFrom([1.5]),
      tensorFrom(Float32Array.of(1)),
      tensorFrom(Float64Array.of(1)),
      tensorFrom(BigInt64Array.of(1n)),
      tensorFrom(Int32Array.of(1)),
      tensorFrom(Uint8Array.of(1)),
    ].map(({ dtype }) => dtype);
    assert.deepEqual(dtypes, ["float32", "float32", "float64", "int64", "int32", "uint8"]);
    assert.throws(() => tensorFrom(Uint16Array.of(1)), { name: "OptionError", message: /float16 or bfloat16/ });
  });
});

Deno.test("half-width floats are rounded from numbers, as PyTorch rounds them", () => {
  const numbers = [1, -2.5, 0.1, 65504, -0, -Infinity];
  scope(() => {
    const patterns = (dtype: DType, elements: TypedArray | number[]): TypedArray =>
      toTypedArray(tensorFrom(elements, { dtype }));
    const bfloat16 = Uint16Array.of(16256, 49184, 15821, 18304, 32768, 65408);
    const float16 = Uint16Array.of(15360, 49408, 11878, 31743, 32768, 64512);
    for (const elements of [numbers, Float32Array.from(numbers), Float64Array.from(numbers)]) {
      assert.deepEqual(patterns("bfloat16", elements), bfloat16);
      assert.deepEqual(patterns("float16", elements), float16);
    }
    assertTensor(tensorFrom([1.5, NaN], { dtype: "bfloat16" }), [2], [1.5, NaN]);
  });
});

Deno.test("numbers become the elements of any type", () => {
  scope(() => {
    assertTensor(tensorFrom([1, -2, 2 ** 53], { dtype: "int64" }), [3], [1, -2, 2 ** 53]);
    const far = [-1, -(2 ** 31), 2 ** 31, -(2 ** 32) - 1, 2 ** 40 + 3, -(2 ** 53), -(2 ** 63)];
    assert.deepEqual(toTypedArray(tensorFrom(far, { dtype: "int64" })), BigInt64Array.from(far, BigInt));
    for (const odd of [0.5, NaN, Infinity]) {
      assert.throws(() => tensorFrom([odd], { dtype: "int64" }), { name: "OptionError", message: /cannot hold/ });
    }
    assertTensor(tensorFrom([1, -2], { dtype: "int32" }), [2], [1, -2]);
    assertTensor(tensorFrom([1, 0], { dtype: "bool" }), [2], [1, 0]);
    assertTensor(tensorFrom(Int32Array.of(7, -8), { dtype: "int64" }), [2], [7, -8]);
    assertTensor(tensorFrom([0.1], { dtype: "float64" }), [1], [0.1]);
    assertTensor(tensorFrom(awkward, { dtype: "float64" }), [awkward.length], awkward);
    assertTensor(tensorFrom([16_777_217]), [1], [16_777_216]);
    assert.throws(() => tensorFrom(BigInt64Array.of(1n), { dtype: "float32" }), {
      name: "OptionError",
      message: /int64/,
    });
  });
});

Deno.test("shapes: none, empty, and those that do not fit", () => {
  scope(() => {
    assertTensor(tensorFrom([5], { shape: [] }), [], [5]);
    assertTensor(tensorFrom([], { shape: [0, 3] }), [0, 3], []);
    assertTensor(tensorFrom([]), [0], []);
    assertTensor(tensorFrom([1, 2, 3, 4, 5, 6], { shape: [2, 1, 3] }), [2, 1, 3], [1, 2, 3, 4, 5, 6]);
    assert.throws(() => tensorFrom([1, 2, 3], { shape: [2, 2] }), {
      name: "OptionError",
      message: "shape [2,2] holds 4 elements, but 3 were given",
    });
    assert.throws(() => tensorFrom([1], { shape: [-1, -1] }));
  });
});

Deno.test("elements of a view come in row-major order", () => {
  scope(() => {
    const x = tensorFrom([1, 2, 3, 4, 5, 6], { shape: [2, 3] });
    assert.deepEqual([...toTypedArray(ops.transpose(x, 0, 1))], [1, 4, 2, 5, 3, 6]);
    assert.deepEqual(toNumbers(ops.narrow(x, 1, 1, 2)), [2, 3, 5, 6]);
  });
});

Deno.test("a copy is independent of the tensor and of the array it came from", () => {
  scope(() => {
    const source = Float32Array.of(1, 2);
    const x = tensorFrom(source);
    source[0] = 9;
    const copy = toTypedArray(x);
    copy[1] = 9;
    assertTensor(x, [2], [1, 2]);
  });
});

Deno.test("bytes() is the tensor's own memory, of contiguous tensors alone", () => {
  scope(() => {
    const x = tensorFrom([1, 2, 3, 4], { shape: [2, 2] });
    new Float32Array(x.bytes().buffer, 0, 4)[3] = 40;
    assertTensor(x, [2, 2], [1, 2, 3, 40]);
    const second = ops.select(x, 0, 1);
    assert.deepEqual([...new Float32Array(second.bytes().slice().buffer)], [3, 40]);
    assert.equal(ops.empty([0]).bytes().length, 0);
    assert.throws(() => ops.transpose(x, 0, 1).bytes(), {
      name: "OptionError",
      message: /contiguous CPU.*\[2,2\] on cpu/,
    });
  });
});

Deno.test("making a tensor allocates its elements once, and reading it as they are nothing", () => {
  scope(() => {
    const elements = new Float32Array(1 << 18);
    const before = memory().liveBytes;
    const x: Tensor = tensorFrom(elements);
    const made = memory().liveBytes - before;
    assert.ok(made >= elements.byteLength && made < elements.byteLength + 4096, `${made}`);
    const peak = memory().peakBytes;
    toTypedArray(x);
    assert.equal(memory().peakBytes, peak);
  });
});

Deno.test("item reads the only element; numbers beyond 2^53 lose their last digits in toNumbers alone", () => {
  scope(() => {
    const large = tensorFrom(BigInt64Array.of(2n ** 53n + 1n));
    assert.deepEqual(toNumbers(large), [2 ** 53]);
    assert.deepEqual([...toTypedArray(large)], [2n ** 53n + 1n]);
    assert.equal(item(tensorFrom([-2.5], { shape: [1, 1] })), -2.5);
  });
});
