// A linear map of GELU: the gradients of the two operators, without the memory of the first one's output.

import assert from "node:assert/strict";
import {
  backward,
  type DType,
  memory,
  noGrad,
  operator,
  ops,
  scope,
  type Tensor,
  tensorFrom,
  toNumbers,
} from "../../mod.ts";
import { activation } from "../../src/nn/activation.ts";
import { Linear } from "../../src/nn/linear.ts";
import { disposeModule } from "../../src/nn/module.ts";
import { assertGradients, leafOf } from "../support/finite_differences.ts";
import { distance, norm, someNumbers } from "../support/numbers.ts";
import { assertNothingLeft } from "../support/torch.ts";

const frugalLinear = operator(
  "fewtune::linear(Tensor input, Tensor weight, Tensor? bias, Tensor? cast, str gelu) -> Tensor",
);
const [rows, inFeatures, outFeatures] = [3, 5, 2];

function linearOf(weight: Tensor, bias: Tensor): Linear {
  const linear = new Linear(inFeatures, outFeatures, { dtype: "float64" });
  scope(() => {
    ops.copy_(ops.detach(linear.weight), weight);
    ops.copy_(ops.detach(linear.bias), bias);
  });
  return linear;
}

for (const name of ["gelu", "gelu_new", "relu"]) {
  Deno.test(`a linear map of ${name} has the gradients of the two in a row`, async () => {
    await assertNothingLeft(() =>
      scope(() => {
        const [weight, bias] = [leafOf([outFeatures, inFeatures], 2), leafOf([outFeatures], 3)];
        const linear = linearOf(weight, bias);
        const input = leafOf([rows, inFeatures]);
        assertGradients((x) => linear.forwardActivated(ops.clone(x), activation(name)), [input], 1e-8);
        const gradients = [linear.weight, linear.bias].map((leaf) => toNumbers(leaf.grad ?? leaf));
        for (const leaf of [linear.weight, linear.bias]) leaf.grad = null;
        const weights = tensorFrom(someNumbers(rows * outFeatures, 99), {
          shape: [rows, outFeatures],
          dtype: "float64",
        });
        backward(linear.forward(activation(name).apply(input)), { gradient: weights });
        const expected = [linear.weight, linear.bias].map((leaf) => toNumbers(leaf.grad ?? leaf));
        assert.deepEqual(gradients, expected);
        disposeModule(linear);
      })
    );
  });
}

Deno.test("of GELU's input and output it keeps the input alone", async () => {
  await assertNothingLeft(() =>
    scope(() => {
      const linear = new Linear(512, 4);
      const input = ops.requiresGrad_(ops.zeros([64, 512]));
      const bytes = (compute: () => Tensor): number =>
        scope(() => {
          const before = memory().liveBytes;
          compute();
          return memory().liveBytes - before;
        });
      assert.equal(bytes(() => linear.forwardActivated(input, activation("gelu"))), 4 * 64 * 4);
      assert.equal(bytes(() => linear.forward(activation("gelu").apply(input))), 4 * 64 * (4 + 512));
      disposeModule(linear);
    })
  );
});

Deno.test("a frozen weight gets no gradient, and its input still does", () => {
  scope(() => {
    const linear = new Linear(inFeatures, outFeatures);
    for (const leaf of [linear.weight, linear.bias]) ops.requiresGrad_(leaf, false);
    const input = ops.requiresGrad_(ops.full([rows, inFeatures], 0.5));
    backward(ops.sum(linear.forwardActivated(input, activation("gelu"))));
    assert.equal(linear.weight.grad, null);
    assert.ok(input.grad !== null);
    disposeModule(linear);
  });
});

for (const isNative of [true, false]) {
  Deno.test(`a bfloat16 input keeps its type, the weight's gradient has the weight's: ${isNative ? "native" : "emulated"}`, () => {
    scope(() => {
      const weight = ops.requiresGrad_(
        tensorFrom(someNumbers(outFeatures * inFeatures, 2), { shape: [outFeatures, inFeatures] }),
      );
      const bias = ops.requiresGrad_(tensorFrom(someNumbers(outFeatures, 3)));
      const rounded = ops.to(tensorFrom(someNumbers(rows * inFeatures, 1), { shape: [rows, inFeatures] }), {
        dtype: "bfloat16",
      });
      const input = ops.requiresGrad_(rounded);
      const cast = isNative ? noGrad(() => ops.to(weight, { dtype: "bfloat16" })) : null;
      const output = frugalLinear(input, weight, bias, cast, "none");
      backward(ops.sum(output));

      const exact = ops.requiresGrad_(ops.to(ops.detach(input), { dtype: "float64" }));
      const [w, b] = [weight, bias].map((leaf) => ops.requiresGrad_(ops.to(ops.detach(leaf), { dtype: "float64" })));
      assert.ok(w && b);
      const expected = ops.linear(ops.gelu(exact), w, b);
      backward(ops.sum(expected));
      // Eight bits of significand, a few roundings of them.
      const assertNear = (actual: Tensor | null, wanted: Tensor | null, dtype: DType): void => {
        assert.ok(actual && wanted);
        assert.equal(actual.dtype, dtype);
        const off = distance(toNumbers(ops.to(actual, { dtype: "float64" })), toNumbers(wanted)) /
          norm(toNumbers(wanted));
        assert.ok(off < 2 ** -7, `${off}`);
      };
      assertNear(output, expected, "bfloat16");
      assertNear(input.grad, exact.grad, "bfloat16");
      assertNear(weight.grad, w.grad, "float32");
      assertNear(bias.grad, b.grad, "float32");
    });
  });
}
