// Boxed calls: every kind of result comes back as what it is.

import assert from "node:assert/strict";
import { item, operator, ops, scope, Tensor, tensorFrom } from "../../mod.ts";
import { assertNothingLeft, assertTensor } from "../support/torch.ts";

function testScoped(name: string, body: () => void): void {
  Deno.test(name, () => assertNothingLeft(() => scope(body)));
}

testScoped("a Tensor", () => {
  assert.ok(ops.zeros([2]) instanceof Tensor);
  assertTensor(ops.zeros([1, 2]), [1, 2], [0, 0]);
});

testScoped("a tuple of tensors, named or not", () => {
  const topK = operator(
    "aten::topk(Tensor self, SymInt k, int dim=-1, bool largest=True, bool sorted=True) -> (Tensor values, Tensor indices)",
  );
  const [values, indices] = topK(tensorFrom([3, 9, 5]), 2);
  assertTensor(values, [2], [9, 5]);
  assertTensor(indices, [2], [1, 2]);
  assert.equal(indices.dtype, "int64");
});

testScoped("Tensor[]: of a view operator, which shares memory, and of another", () => {
  const split = operator("aten::split.Tensor(Tensor(a -> *) self, SymInt split_size, int dim=0) -> Tensor(a)[]");
  const x = tensorFrom([1, 2, 3, 4, 5]);
  const parts = split(x, 2);
  assert.equal(parts.length, 3);
  parts.forEach((part, index) => assertTensor(part, [[2], [2], [1]][index] ?? [], [[1, 2], [3, 4], [5]][index] ?? []));
  parts.forEach((part) => ops.zero_(part));
  assertTensor(x, [5], [0, 0, 0, 0, 0]);

  const broadcast = operator("aten::broadcast_tensors(Tensor[] tensors) -> Tensor[]");
  const [rows, columns] = broadcast([tensorFrom([1, 2], { shape: [2, 1] }), tensorFrom([3, 4])]);
  assert.ok(rows && columns);
  assertTensor(rows, [2, 2], [1, 1, 2, 2]);
  assertTensor(columns, [2, 2], [3, 4, 3, 4]);
});

testScoped("a tuple of a tensor and a list", () => {
  const histogram = operator(
    "aten::histogramdd(Tensor self, int[] bins, float[]? range=None, Tensor? weight=None, bool density=False) -> (Tensor hist, Tensor[] bin_edges)",
  );
  const points = tensorFrom([0.5, 1, 1.5, 9], { shape: [2, 2] });
  const [counts, edges] = histogram(points, [2, 1], [0, 2, 0, 10]);
  assertTensor(counts, [2, 1], [1, 1]);
  assert.deepEqual(edges.map(({ shape }) => shape), [[3], [2]]);
});

testScoped("int and SymInt", () => {
  const dense = operator("aten::dense_dim(Tensor self) -> int");
  const size = operator("aten::sym_size.int(Tensor self, int dim) -> SymInt");
  const stride = operator("aten::stride.int(Tensor self, int dim) -> int");
  const wide = operator(
    "aten::as_strided(Tensor(a) self, SymInt[] size, SymInt[] stride, SymInt? storage_offset=None) -> Tensor(a)",
  );
  assert.equal(dense(ops.empty([3, 5])), 2);
  assert.equal(size(ops.empty([3, 5]), -1), 5);
  assert.equal(stride(wide(tensorFrom([1]), [1], [2 ** 40 + 1]), 0), 2 ** 40 + 1);
});

testScoped("float", () => {
  const quantized = operator(
    "aten::_make_per_tensor_quantized_tensor(Tensor self, float scale, int zero_point) -> Tensor",
  );
  const scaleOf = operator("aten::q_scale(Tensor self) -> float");
  assert.equal(scaleOf(quantized(tensorFrom(Uint8Array.of(1)), 0.1, 3)), 0.1);
});

testScoped("bool", () => {
  const [a, b] = [tensorFrom([1, 2]), tensorFrom([1, 3])];
  assert.equal(ops.equal(a, a), true);
  assert.equal(ops.equal(a, b), false);
});

testScoped("Scalar: a number of an integer or a float, a truth value of a bool", () => {
  assert.equal(ops.scalarOf(tensorFrom([-0.5])), -0.5);
  assert.equal(ops.scalarOf(tensorFrom(BigInt64Array.of(-(2n ** 50n)))), -(2 ** 50));
  assert.equal(ops.scalarOf(tensorFrom(Uint8Array.of(1), { dtype: "bool" })), true);
  assert.equal(ops.scalarOf(tensorFrom(Uint8Array.of(0), { dtype: "bool" })), false);
  assert.equal(item(tensorFrom(Uint8Array.of(1), { dtype: "bool" })), 1);
  assert.ok(Number.isNaN(item(tensorFrom([NaN]))));
  assert.throws(() => item(tensorFrom([1, 2])), { name: "TorchError", message: /aten::item\(self: float32\[2\]\)/ });
});

testScoped("nothing", () => {
  const addLists = operator("aten::_foreach_add_.List(Tensor(a!)[] self, Tensor[] other, *, Scalar alpha=1) -> ()");
  const [x, y] = [tensorFrom([1]), tensorFrom([2, 3])];
  assert.equal(addLists([x, y], [x, y], { alpha: 10 }), undefined);
  assertTensor(x, [1], [11]);
  assertTensor(y, [2], [22, 33]);
});

Deno.test("the same operator called in between its own results keeps them apart", () => {
  scope(() => {
    const x = tensorFrom([1]);
    const nested = ops.add(ops.add(x, ops.add(x, x)), ops.add(x, ops.add(x, ops.add(x, x))));
    assertTensor(nested, [1], [7]);
  });
});
