// The gradient of every differentiable operator against central differences, in float64.

import assert from "node:assert/strict";
import { ops, scope, type Tensor, tensorFrom } from "../../mod.ts";
import { assertGradients, type Differentiable, leafOf } from "../support/finite_differences.ts";
import { assertNothingLeft, assertTensor } from "../support/torch.ts";

interface Case {
  readonly name: keyof typeof ops;
  readonly of?: string;
  readonly shapes: readonly (readonly number[])[];
  readonly compute: Differentiable;
}

const ids = (...values: number[]): Tensor => tensorFrom(values, { dtype: "int64" });
const flags = (...values: number[]): Tensor => tensorFrom(values, { dtype: "bool" });
// What in-place operators are tried on: no leaf, and nothing that anything else reads.
const copy = (x: Tensor): Tensor => ops.clone(x);
const hidden = (): Tensor => tensorFrom([0, -Infinity, 0, 0, 0, 0], { shape: [2, 1, 1, 3], dtype: "float64" });

const cases: readonly Case[] = [
  { name: "view", shapes: [[2, 3]], compute: (x) => ops.view(x, [3, 2]) },
  { name: "reshape", shapes: [[2, 3, 2]], compute: (x) => ops.reshape(ops.transpose(x, 0, 1), [6, 2]) },
  { name: "transpose", shapes: [[2, 3]], compute: (x) => ops.transpose(x, 0, 1) },
  { name: "permute", shapes: [[2, 3, 2]], compute: (x) => ops.permute(x, [2, 0, 1]) },
  { name: "narrow", shapes: [[4, 2]], compute: (x) => ops.narrow(x, 0, 1, 2) },
  { name: "select", shapes: [[2, 3]], compute: (x) => ops.select(x, 1, 2) },
  { name: "cat", shapes: [[2, 2], [1, 2]], compute: (x, y) => ops.cat([x, y, x]) },
  {
    name: "cat",
    of: "along the keys of heads",
    shapes: [[1, 2, 2, 2], [1, 2, 1, 2]],
    compute: (x, y) => ops.cat([x, y], 2),
  },
  { name: "stack", shapes: [[2], [2]], compute: (x, y) => ops.stack([x, y], 1) },
  { name: "unsqueeze", shapes: [[2]], compute: (x) => ops.unsqueeze(x, 1) },
  { name: "contiguous", shapes: [[2, 3]], compute: (x) => ops.contiguous(ops.transpose(x, 0, 1)) },
  {
    name: "indexSelect",
    of: "with repeats",
    shapes: [[4, 2]],
    compute: (x) => ops.indexSelect(x, 0, ids(3, 0, 3, 3, 1)),
  },
  { name: "clone", shapes: [[3]], compute: (x) => ops.clone(x) },
  { name: "copy_", shapes: [[3], [3]], compute: (x, y) => ops.add(ops.copy_(copy(x), y), x) },
  { name: "to", of: "by way of a copy", shapes: [[3]], compute: (x) => ops.to(x, { dtype: "float64", copy: true }) },
  { name: "add", of: "broadcast, scaled", shapes: [[2, 3], [3]], compute: (x, y) => ops.add(x, y, { alpha: 2.5 }) },
  { name: "add_", of: "broadcast", shapes: [[2, 3], [3]], compute: (x, y) => ops.add_(copy(x), y) },
  { name: "sub", shapes: [[2, 3], [2, 1]], compute: (x, y) => ops.sub(x, y) },
  { name: "mul", shapes: [[2, 3], [3]], compute: (x, y) => ops.mul(x, y) },
  { name: "mul_", shapes: [[2], [2]], compute: (x, y) => ops.mul_(copy(x), y) },
  { name: "addScalar", shapes: [[3]], compute: (x) => ops.mul(ops.addScalar(x, 0.5), x) },
  { name: "addScalar_", shapes: [[3]], compute: (x) => ops.mul(ops.addScalar_(copy(x), 0.5), x) },
  { name: "mulScalar", shapes: [[3]], compute: (x) => ops.mulScalar(x, -1.75) },
  { name: "mulScalar_", shapes: [[3]], compute: (x) => ops.mulScalar_(copy(x), 0.3) },
  { name: "div", shapes: [[3], [3]], compute: (x, y) => ops.div(x, y) },
  { name: "matmul", shapes: [[2, 3], [3, 2]], compute: (x, y) => ops.matmul(x, y) },
  {
    name: "matmul",
    of: "in batches of heads",
    shapes: [[2, 2, 3, 2], [2, 2, 2, 3]],
    compute: (x, y) => ops.matmul(x, y),
  },
  { name: "linear", shapes: [[3, 2], [4, 2], [4]], compute: (x, w, b) => ops.linear(x, w, b) },
  { name: "linear", of: "without bias", shapes: [[3, 2], [4, 2]], compute: (x, w) => ops.linear(x, w) },
  { name: "softmax", shapes: [[2, 3]], compute: (x) => ops.softmax(x, -1) },
  { name: "logSoftmax", shapes: [[2, 3]], compute: (x) => ops.logSoftmax(x, 1) },
  { name: "gelu", shapes: [[6]], compute: (x) => ops.gelu(x) },
  { name: "gelu", of: "by tanh", shapes: [[6]], compute: (x) => ops.gelu(x, { approximate: "tanh" }) },
  { name: "gelu_", shapes: [[6]], compute: (x) => ops.gelu_(copy(x)) },
  { name: "tanh", shapes: [[4]], compute: (x) => ops.tanh(x) },
  { name: "relu", shapes: [[6]], compute: (x) => ops.relu(x) },
  { name: "relu_", shapes: [[6]], compute: (x) => ops.relu_(copy(x)) },
  { name: "sigmoid", shapes: [[4]], compute: (x) => ops.sigmoid(x) },
  { name: "exp", shapes: [[4]], compute: (x) => ops.exp(x) },
  { name: "sum", shapes: [[2, 3]], compute: (x) => ops.sum(x) },
  { name: "sumOver", shapes: [[2, 3]], compute: (x) => ops.sumOver(x, [0], true) },
  { name: "mean", shapes: [[2, 3]], compute: (x) => ops.mean(x) },
  { name: "meanOver", shapes: [[2, 3]], compute: (x) => ops.meanOver(x, [1]) },
  { name: "maskedFill", shapes: [[2, 3]], compute: (x) => ops.maskedFill(x, flags(1, 0, 1), 0) },
  { name: "maskedFill_", shapes: [[2, 3]], compute: (x) => ops.maskedFill_(copy(x), flags(0, 0, 1), 5) },
  { name: "where", shapes: [[3], [3]], compute: (x, y) => ops.where(flags(1, 0, 1), x, y) },
  { name: "abs", shapes: [[4]], compute: (x) => ops.abs(x) },
  { name: "clamp_", shapes: [[6]], compute: (x) => ops.clamp_(copy(x), -0.4, 0.4) },
  { name: "sigmoid_", shapes: [[4]], compute: (x) => ops.sigmoid_(copy(x)) },
  { name: "logit", shapes: [[4]], compute: (x) => ops.logit(ops.sigmoid(x)) },
  { name: "erfinv_", shapes: [[4]], compute: (x) => ops.erfinv_(copy(ops.tanh(x))) },
  { name: "expand", shapes: [[2, 1]], compute: (x) => ops.expand(x, [3, 2, 2]) },
  { name: "powScalar", shapes: [[4]], compute: (x) => ops.powScalar(x, 3) },
  { name: "linalgVectorNorm", shapes: [[5]], compute: (x) => ops.linalgVectorNorm(x) },
  {
    name: "layerNorm",
    shapes: [[3, 4], [4], [4]],
    compute: (x, weight, bias) => ops.layerNorm(x, [4], weight, bias, 1e-12),
  },
  { name: "embedding", of: "with repeats", shapes: [[4, 3]], compute: (w) => ops.embedding(w, ids(2, 0, 2, 3)) },
  {
    name: "scaledDotProductAttention",
    shapes: [[2, 2, 2, 3], [2, 2, 3, 3], [2, 2, 3, 3]],
    compute: (q, k, v) => ops.scaledDotProductAttention(q, k, v),
  },
  {
    name: "scaledDotProductAttention",
    of: "with a hidden key",
    shapes: [[2, 2, 2, 3], [2, 2, 3, 3], [2, 2, 3, 3]],
    compute: (q, k, v) => ops.scaledDotProductAttention(q, k, v, hidden()),
  },
  { name: "crossEntropyLoss", shapes: [[3, 4]], compute: (x) => ops.crossEntropyLoss(x, ids(2, 0, 2)) },
  { name: "mseLoss", shapes: [[3], [3]], compute: (x, y) => ops.mseLoss(x, y) },
  { name: "indexAdd_", shapes: [[3, 2], [2, 2]], compute: (x, y) => ops.indexAdd_(copy(x), 0, ids(0, 2), y) },
  { name: "indexCopy_", shapes: [[3, 2], [2, 2]], compute: (x, y) => ops.indexCopy_(copy(x), 0, ids(2, 0), y) },
  { name: "indexFill_", shapes: [[3, 2]], compute: (x) => ops.indexFill_(copy(x), 0, ids(1), 2) },
  { name: "topk", shapes: [[6]], compute: (x) => ops.topk(x, 3, 0, true, true)[0] },
  { name: "zero_", shapes: [[2]], compute: (x) => ops.add(ops.zero_(copy(x)), x) },
  { name: "fill_", shapes: [[2]], compute: (x) => ops.add(ops.fill_(copy(x), 3), x) },
];

// Operators whose result depends on no input, or in steps, and those that say or change something.
const without: readonly (keyof typeof ops)[] = [
  ...(["empty", "zeros", "full", "arange", "emptyLike", "zerosLike", "normal_", "uniform_", "random_"] as const),
  ...([
    "viewDtype",
    "detach",
    "lessThanScalar",
    "equalScalar",
    "nonzero",
    "logicalNot",
    "argmax",
    "isfinite",
    "all",
    "equal",
  ] as const),
  ...(["runBackward", "requiresGrad_", "scalarOf", "fusedAdamw_"] as const),
  ...(["coalesce", "sparseIndices", "sparseValues", "toDense", "foreachAddScalar_", "softmaxBackward"] as const),
];

for (const { name, of, shapes, compute } of cases) {
  Deno.test(`the gradient of ${name}${of === undefined ? "" : ` ${of}`}`, async () => {
    await assertNothingLeft(() =>
      scope(() => assertGradients(compute, shapes.map((shape, index) => leafOf(shape, index + 1)), 1e-8))
    );
  });
}

Deno.test("every operator is either tried here or has no gradient", () => {
  const named = new Set([...cases.map(({ name }) => name), ...without]);
  assert.deepEqual([...named].sort(), Object.keys(ops).sort());
});

Deno.test("the padding row of an embedding gets no gradient", () => {
  scope(() => {
    const weight = leafOf([3, 2]);
    ops.runBackward(ops.sum(ops.embedding(weight, ids(0, 1, 1, 2), 1)), []);
    assertTensor(weight.grad ?? weight, [3, 2], [1, 1, 0, 0, 1, 1]);
  });
});
