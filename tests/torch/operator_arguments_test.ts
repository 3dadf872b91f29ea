// Boxed calls: every kind of argument reaches LibTorch as it was given, left out, or None.

import assert from "node:assert/strict";
import { Generator, operator, ops, scope, tensorFrom, toNumbers } from "../../mod.ts";
import { assertTensor } from "../support/torch.ts";

const clamp = operator("aten::clamp(Tensor self, Scalar? min=None, Scalar? max=None) -> Tensor");
const nanToNum = operator(
  "aten::nan_to_num(Tensor self, float? nan=None, float? posinf=None, float? neginf=None) -> Tensor",
);
const sizeOf = operator("aten::size.int(Tensor self, int dim) -> int");
const strideOf = operator("aten::stride.int(Tensor self, int dim) -> int");

function testScoped(name: string, body: () => void): void {
  Deno.test(name, () => scope(body));
}

testScoped("Tensor, and Scalar behind the star", () => {
  const [a, b] = [tensorFrom([1, 2]), tensorFrom([10, 20])];
  assertTensor(ops.add(a, b), [2], [11, 22]);
  assertTensor(ops.add(a, b, { alpha: 0.5 }), [2], [6, 12]);
});

testScoped("Tensor?: given, null and left out", () => {
  const [x, w] = [tensorFrom([1, 2], { shape: [1, 2] }), tensorFrom([3, 4, 5, 6], { shape: [2, 2] })];
  assertTensor(ops.linear(x, w), [1, 2], [11, 17]);
  assertTensor(ops.linear(x, w, null), [1, 2], [11, 17]);
  assertTensor(ops.linear(x, w, tensorFrom([100, 200])), [1, 2], [111, 217]);
});

testScoped("Tensor[]: several, one, and none", () => {
  const [a, b] = [tensorFrom([1, 2]), tensorFrom([3])];
  assertTensor(ops.cat([a, b, a]), [5], [1, 2, 3, 1, 2]);
  assertTensor(ops.cat([a]), [2], [1, 2]);
  assert.throws(() => ops.cat([]), { name: "TorchError", message: /non-empty list of Tensors/ });
});

testScoped("Tensor?[]: with and without None", () => {
  const index = operator("aten::index.Tensor(Tensor self, Tensor?[] indices) -> Tensor");
  const x = tensorFrom([0, 1, 2, 3, 4, 5], { shape: [2, 3] });
  const picked = tensorFrom(BigInt64Array.of(2n, 0n));
  assertTensor(index(x, [null, picked]), [2, 2], [2, 0, 5, 3]);
  assertTensor(index(x, [tensorFrom(BigInt64Array.of(1n, 1n)), picked]), [2], [5, 3]);
});

testScoped("int: positive, negative, and beyond 32 bits as number and bigint", () => {
  const fullInteger = (value: number | bigint): bigint => {
    const x = ops.random_(ops.empty([1], { dtype: "int64" }), value, BigInt(value) + 1n);
    return (new BigInt64Array(x.bytes().slice().buffer))[0] ?? 0n;
  };
  const [low, high] = [-(2n ** 62n), 2n ** 62n];
  for (const value of [0, 5, -5, 2 ** 31, -(2 ** 31) - 1, 2 ** 32 + 7, -(2 ** 32), 2 ** 53 - 1, -(2 ** 53) + 1]) {
    assert.equal(fullInteger(value), BigInt(value));
  }
  assert.equal(fullInteger(low), low);
  assert.equal(fullInteger(high), high);
  assert.throws(() => fullInteger(2 ** 53), { name: "OptionError", message: /9007199254740992 is no whole number/ });
  assert.throws(() => ops.narrow(tensorFrom([1]), 0, 0.5, 1), { name: "OptionError", message: /0\.5/ });
});

testScoped("int[] and SymInt[]: several, one, and none", () => {
  const x = tensorFrom([1, 2, 3, 4, 5, 6], { shape: [1, 2, 3] });
  assertTensor(ops.permute(x, [2, 0, 1]), [3, 1, 2], [1, 4, 2, 5, 3, 6]);
  assertTensor(ops.view(x, [-1]), [6], [1, 2, 3, 4, 5, 6]);
  assertTensor(ops.sumOver(tensorFrom([7]), []), [], [7]);
  assert.deepEqual(ops.empty([]).shape, []);
});

testScoped("int?: given, null and left out", () => {
  const x = tensorFrom([1, 9, 8, 2], { shape: [2, 2] });
  assertTensor(ops.argmax(x), [], [1]);
  assertTensor(ops.argmax(x, null), [], [1]);
  assertTensor(ops.argmax(x, 0), [2], [1, 0]);
  assertTensor(ops.argmax(x, 1, true), [2, 1], [1, 0]);
});

testScoped("int[]?: given, null and left out", () => {
  const variance = operator(
    "aten::std_mean.correction(Tensor self, int[1]? dim=None, *, Scalar? correction=None, bool keepdim=False) -> (Tensor, Tensor)",
  );
  const x = tensorFrom([1, 3, 10, 20], { shape: [2, 2] });
  assertTensor(ops.sumOver(x, null), [], [34]);
  assertTensor(ops.sumOver(x, [1]), [2], [4, 30]);
  assertTensor(variance(x)[1], [], [8.5]);
  assertTensor(variance(x, [1], { correction: 0 })[0], [2], [1, 5]);
  assertTensor(variance(x, [1], { correction: 1, keepdim: true })[0], [2, 1], [Math.SQRT2, 7.0710678], 1e-6);
});

testScoped("float: given and left out, whole and fractional, zero and negative zero", () => {
  const x = tensorFrom([1, 2, 4], { dtype: "float64" });
  const normalized = (eps?: number): number[] => toNumbers(ops.layerNorm(x, [3], null, null, eps));
  const mean = 7 / 3;
  const variance = ((1 - mean) ** 2 + (2 - mean) ** 2 + (4 - mean) ** 2) / 3;
  const expected = (eps: number): number => (1 - mean) / Math.sqrt(variance + eps);
  for (const eps of [2, 0.25, 1e-12]) assert.ok(Math.abs((normalized(eps)[0] ?? 0) - expected(eps)) < 1e-14);
  assert.ok(Math.abs((normalized()[0] ?? 0) - expected(1e-5)) < 1e-14);
  const [infinity, negativeZero] = [tensorFrom([Infinity]), tensorFrom([NaN])];
  assertTensor(nanToNum(infinity, 0, 3), [1], [3]);
  assertTensor(nanToNum(negativeZero, -0), [1], [-0]);
});

testScoped("float?: given, null and left out", () => {
  const x = tensorFrom([NaN, Infinity, -Infinity], { dtype: "float64" });
  const max = Number.MAX_VALUE;
  assertTensor(nanToNum(x), [3], [0, max, -max]);
  assertTensor(nanToNum(x, null, 7), [3], [0, 7, -max]);
  assertTensor(nanToNum(x, 1.5, 2.5, -3.5), [3], [1.5, 2.5, -3.5]);
});

testScoped("float[]?: given and null", () => {
  const upsample = operator(
    "aten::upsample_nearest2d.vec(Tensor input, SymInt[]? output_size, float[]? scale_factors) -> Tensor",
  );
  const x = tensorFrom([1, 2], { shape: [1, 1, 1, 2] });
  assertTensor(upsample(x, null, [2, 1.5]), [1, 1, 2, 3], [1, 1, 2, 1, 1, 2]);
  assertTensor(upsample(x, [1, 4], null), [1, 1, 1, 4], [1, 1, 2, 2]);
});

testScoped("bool: true, false and left out", () => {
  const x = tensorFrom([1, 2], { shape: [1, 2] });
  assert.deepEqual(ops.sumOver(x, [1]).shape, [1]);
  assert.deepEqual(ops.sumOver(x, [1], false).shape, [1]);
  assert.deepEqual(ops.sumOver(x, [1], true).shape, [1, 1]);
});

testScoped("bool?: given, null and left out", () => {
  const x = tensorFrom([3], { requiresGrad: true });
  const y = ops.sum(ops.mul(x, x));
  ops.runBackward(y, [], null, true);
  ops.runBackward(y, [x], null, null);
  assert.throws(() => ops.runBackward(y, []), { name: "TorchError", message: /second time/ });
  assertTensor(x.grad ?? x, [1], [12]);
});

testScoped("bool[]: of three", () => {
  const layerNorm = operator(
    "aten::native_layer_norm(Tensor input, SymInt[] normalized_shape, Tensor? weight, Tensor? bias, float eps) -> (Tensor, Tensor, Tensor)",
  );
  const backward = operator(
    "aten::native_layer_norm_backward(Tensor grad_out, Tensor input, SymInt[] normalized_shape, Tensor mean, Tensor rstd, Tensor? weight, Tensor? bias, bool[3] output_mask) -> (Tensor, Tensor, Tensor)",
  );
  const [x, ones] = [tensorFrom([1, 3], { shape: [1, 2] }), tensorFrom([1, 1])];
  const [output, mean, rstd] = layerNorm(x, [2], ones, ones, 0);
  assertTensor(output, [1, 2], [0, 2]);
  const [, ofWeight, ofBias] = backward(tensorFrom([5, 7], { shape: [1, 2] }), x, [2], mean, rstd, ones, ones, [
    true,
    true,
    true,
  ]);
  assertTensor(ofWeight, [2], [-5, 7]);
  assertTensor(ofBias, [2], [5, 7]);
});

testScoped("Scalar: a whole number is an integer, a fraction a float, a truth value a bool", () => {
  assert.equal(ops.full([1], 3).dtype, "int64");
  assert.equal(ops.full([1], 3.5).dtype, "float32");
  assert.equal(ops.full([1], true).dtype, "bool");
  assertTensor(ops.full([2], -7), [2], [-7, -7]);
  assertTensor(ops.full([1], 2 ** 53 - 1), [1], [2 ** 53 - 1]);
  assertTensor(ops.full([1], 2 ** 53, { dtype: "float64" }), [1], [2 ** 53]);
  assertTensor(ops.full([1], 0.1, { dtype: "float64" }), [1], [0.1]);
  assertTensor(ops.full([3], NaN), [3], [NaN, NaN, NaN]);
  assertTensor(ops.full([1], -Infinity), [1], [-Infinity]);
  assertTensor(ops.fill_(ops.empty([1]), -0), [1], [-0]);
  assertTensor(ops.full([1], false), [1], [0]);
});

testScoped("Scalar?: given, null and left out", () => {
  const x = tensorFrom([-2, 0.5, 9]);
  assertTensor(clamp(x, 0), [3], [0, 0.5, 9]);
  assertTensor(clamp(x, null, 0.75), [3], [-2, 0.5, 0.75]);
  assertTensor(clamp(x, -1, 1), [3], [-1, 0.5, 1]);
  assert.throws(() => clamp(x), { name: "TorchError", message: /must not be None/ });
});

testScoped("str and str?: given, null and left out, of any length", () => {
  const divide = operator("aten::div.Tensor_mode(Tensor self, Tensor other, *, str? rounding_mode) -> Tensor");
  const [x, y] = [tensorFrom([-7]), tensorFrom([2])];
  assertTensor(divide(x, y, { roundingMode: null }), [1], [-3.5]);
  assertTensor(divide(x, y, { roundingMode: "floor" }), [1], [-4]);
  assertTensor(divide(x, y, { roundingMode: "trunc" }), [1], [-3]);
  assert.throws(() => divide(x, y, { roundingMode: "ünknown mode" }), { message: /ünknown mode/ });
  const one = tensorFrom([1], { dtype: "float64" });
  const exact = 0.5 * (1 + 0.6826894921370859);
  const tanhBased = 0.5 * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * 1.044715));
  assertTensor(ops.gelu(one), [1], [exact], 1e-15);
  assertTensor(ops.gelu(one, { approximate: "none" }), [1], [exact], 1e-15);
  assertTensor(ops.gelu(one, { approximate: "tanh" }), [1], [tanhBased], 1e-15);
});

testScoped("ScalarType and ScalarType?: given, null and left out", () => {
  const x = tensorFrom([1, 2]);
  assert.equal(ops.viewDtype(x, "int32").dtype, "int32");
  assert.equal(ops.sum(x).dtype, "float32");
  assert.equal(ops.sum(x, { dtype: null }).dtype, "float32");
  assert.equal(ops.sum(x, { dtype: "float64" }).dtype, "float64");
  assert.throws(() => ops.viewDtype(x, "float8" as "float32"), { name: "OptionError", message: /"float8" is unknown/ });
});

testScoped("None is not the default: left out it is int64, null leaves the choice to LibTorch", () => {
  const randint = operator(
    "aten::randint(SymInt high, SymInt[] size, *, ScalarType? dtype=4, Layout? layout=None, Device? device=None, bool? pin_memory=None) -> Tensor",
  );
  const dtypes = [randint(2, [1]), randint(2, [1], {}), randint(2, [1], { dtype: null })].map(({ dtype }) => dtype);
  assert.deepEqual(dtypes, ["int64", "int64", "float32"]);
});

testScoped("Device and Device?: given, null and left out", () => {
  const toDevice = operator(
    "aten::to.device(Tensor(a) self, Device device, ScalarType dtype, bool non_blocking=False, bool copy=False, MemoryFormat? memory_format=None) -> Tensor(a)",
  );
  assertTensor(toDevice(tensorFrom([1.5]), "cpu", "int64"), [1], [1]);
  assert.equal(ops.zeros([1], { device: "cpu" }).device, "cpu");
  assert.equal(ops.zeros([1], { device: null }).device, "cpu");
  const odd = "tpu" as "cpu";
  assert.throws(() => ops.zeros([1], { device: odd }), { name: "OptionError", message: /"tpu" is unknown: use cpu/ });
});

testScoped("Generator?: given, null and left out", () => {
  using random = new Generator(5);
  const draw = (generator?: Generator | null): number[] =>
    toNumbers(ops.uniform_(ops.empty([4]), 0, 1, generator === undefined ? {} : { generator }));
  const first = draw(random);
  random.seed(5);
  assert.deepEqual(draw(random), first);
  assert.notDeepEqual(draw(null), draw());
});

testScoped("MemoryFormat, MemoryFormat? and Layout?", () => {
  const channelsLast = 2;
  const x = tensorFrom([1, 2, 3, 4], { shape: [1, 2, 2, 1] });
  assert.equal(strideOf(ops.contiguous(x), 1), 2);
  assert.equal(strideOf(ops.contiguous(x, { memoryFormat: channelsLast }), 1), 1);
  assert.equal(strideOf(ops.clone(x, { memoryFormat: channelsLast }), 1), 1);
  assert.equal(sizeOf(ops.zeros([3], { layout: 0 }), 0), 3);
  assert.equal(sizeOf(ops.zeros([3], { layout: null }), 0), 3);
  assert.throws(() => ops.zeros([3], { layout: 99 }), { name: "TorchError" });
});

testScoped("in-place operators change the tensor they are given and return it", () => {
  const x = tensorFrom([1, 2]);
  const alias = ops.add_(x, tensorFrom([10, 20]));
  ops.mulScalar_(alias, 2);
  ops.maskedFill_(x, tensorFrom(Uint8Array.of(1, 0), { dtype: "bool" }), -1);
  assertTensor(x, [2], [-1, 44]);
  assert.equal(alias.bytes().buffer.byteLength, 8);
  assertTensor(alias, [2], [-1, 44]);
});
