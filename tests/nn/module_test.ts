// Modules: keys, parameters that are shared, first values, and the parts that have a forward pass.

import assert from "node:assert/strict";
import { Generator, namedParameters, ops, parameterBytes, scope, tensorFrom, toNumbers } from "../../mod.ts";
import { activation } from "../../src/nn/activation.ts";
import { Embedding } from "../../src/nn/embedding.ts";
import { LayerNorm } from "../../src/nn/layer_norm.ts";
import { Linear } from "../../src/nn/linear.ts";
import { disposeModule, initializeParameters, type Module } from "../../src/nn/module.ts";
import { noGrad } from "../../src/torch/autograd.ts";
import { assertClose, assertNothingLeft, assertTensor } from "../support/torch.ts";

Deno.test("keys are the paths of names, in the order of the tree; a tied parameter comes once", async () => {
  await assertNothingLeft(() => {
    const [words, norm] = [new Embedding(4, 2), new LayerNorm(2, 1e-5)];
    const head = { parameters: { weight: words.weight } };
    const model: Module = {
      children: { words, layer: { children: { 0: { children: { norm } } } }, head, tail: new Linear(2, 3) },
    };
    const parameters = namedParameters(model);
    const keys = ["words.weight", "layer.0.norm.weight", "layer.0.norm.bias", "tail.weight", "tail.bias"];
    assert.deepEqual([...parameters.keys()], keys);
    assert.deepEqual([...parameters.values()].map(({ shape }) => shape), [[4, 2], [2], [2], [3, 2], [3]]);
    assert.equal(parameterBytes(model), 4 * (8 + 2 + 2 + 6 + 3));
    disposeModule(model);
    assert.ok(words.weight.isDisposed);
  });
});

Deno.test("parameters belong to no scope, require gradients, and have the type they were asked for", async () => {
  await assertNothingLeft(() => {
    const linear = scope(() => {
      const made = new Linear(2, 2, { dtype: "bfloat16" });
      return { made };
    }).made;
    assert.deepEqual([linear.weight.dtype, linear.weight.requiresGrad, linear.weight.isLeaf], ["bfloat16", true, true]);
    assert.equal(linear.bias.isDisposed, false);
    disposeModule(linear);
  });
});

Deno.test("first values are given where the filter says so", () => {
  const linear = new Linear(50, 50);
  const norm = new LayerNorm(3, 1e-5);
  using random = new Generator(1);
  initializeParameters({ children: { linear, norm } }, random, 0.02);
  const weights = toNumbers(linear.weight);
  const deviation = Math.sqrt(weights.reduce((sum, value) => sum + value * value, 0) / weights.length);
  assert.ok(Math.abs(deviation - 0.02) < 0.0015, `${deviation}`);
  assertTensor(linear.bias, [50], new Array(50).fill(0));
  assert.deepEqual([toNumbers(norm.parameters["weight"] ?? norm.parameters["bias"] ?? linear.bias)], [[1, 1, 1]]);
  initializeParameters({ children: { linear, norm } }, random, 0.02, (key) => key.startsWith("norm."));
  assert.deepEqual(toNumbers(linear.weight), weights);
  [linear, norm].forEach(disposeModule);
});

Deno.test("Linear is x W^T + b, LayerNorm normalises rows, Embedding looks rows up", async () => {
  await assertNothingLeft(() =>
    scope(() => {
      const [linear, norm, table] = [new Linear(2, 1), new LayerNorm(2, 3), new Embedding(3, 2, { paddingIndex: 1 })];
      using random = new Generator(1);
      initializeParameters({ children: { linear, norm, table } }, random, 1);
      noGrad(() => {
        ops.copy_(linear.weight, tensorFrom([2, 3], { shape: [1, 2] }));
        ops.fill_(linear.bias, 5);
      });
      assertTensor(linear.forward(tensorFrom([1, 10, 0, -1], { shape: [2, 2] })), [2, 1], [37, 2]);
      assertTensor(norm.forward(tensorFrom([1, 3], { shape: [1, 2] })), [1, 2], [-0.5, 0.5], 1e-7);
      const rows = toNumbers(table.forward(tensorFrom([2, 1], { dtype: "int64" })));
      assert.deepEqual(rows, [...toNumbers(table.weight).slice(4, 6), 0, 0]);
      [linear, norm, table].forEach(disposeModule);
    })
  );
});

Deno.test("activations by their names, without and with gradients, where they may use the input's memory", () => {
  const x = [-1, 0.5, 2];
  const exact = [-0.15865525393145707, 0.34573123063700656, 1.9544997361036416];
  const byTanh = x.map((v) => 0.5 * v * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (v + 0.044715 * v ** 3))));
  const expected = { gelu: exact, gelu_new: byTanh, gelu_pytorch_tanh: byTanh, relu: [0, 0.5, 2] };
  for (const [name, values] of Object.entries(expected)) {
    scope(() => {
      const input = tensorFrom(x, { dtype: "float64" });
      assertClose(toNumbers(activation(name).apply(input)), values, 1e-15);
      assertTensor(input, [3], x);
      assertClose(noGrad(() => toNumbers(activation(name).apply(input))), values, 1e-15);
      assertClose(toNumbers(input), values, 1e-15);
    });
  }
  assert.throws(() => activation("swish9"), {
    name: "CheckpointError",
    message: /"swish9" is unknown: known are gelu/,
  });
});
