// Autograd: grad mode, backward and its options, gradients at leaves, and hooks that zero them.

import assert from "node:assert/strict";
import { backward, noGrad, ops, scope, type Tensor, tensorFrom, withGrad, zeroGradAt } from "../../mod.ts";
import { isGradEnabled } from "../../src/torch/autograd.ts";
import { assertNothingLeft, assertTensor } from "../support/torch.ts";

function testScoped(name: string, body: () => void): void {
  Deno.test(name, () => assertNothingLeft(() => scope(body)));
}

function leaf(elements: readonly number[]): Tensor {
  return tensorFrom(elements, { requiresGrad: true });
}

function assertGrad(tensor: Tensor, expected: readonly number[] | null): void {
  if (expected === null) assert.equal(tensor.grad, null);
  else assertTensor(tensor.grad ?? ops.empty([0]), tensor.shape, expected);
}

/** What LibTorch itself does: whether an operator on a leaf is recorded. */
function records(): boolean {
  return scope(() => ops.mul(leaf([1]), tensorFrom([1])).requiresGrad);
}

Deno.test("noGrad and withGrad nest, and end with their function, whatever it does", () => {
  const seen: boolean[] = [];
  const look = (): void => {
    assert.equal(isGradEnabled(), records());
    seen.push(records());
  };
  look();
  const value = noGrad(() => {
    look();
    withGrad(() => {
      look();
      noGrad(look);
      look();
    });
    assert.throws(() =>
      withGrad(() => {
        throw new RangeError("on purpose");
      }), RangeError);
    look();
    return "value";
  });
  assert.equal(value, "value");
  look();
  assert.throws(() =>
    noGrad(() => {
      throw new RangeError("on purpose");
    }), RangeError);
  look();
  assert.deepEqual(seen, [true, false, true, false, true, false, true, true]);
});

testScoped("backward accumulates into every leaf that requires gradients", () => {
  const [x, y, constant] = [leaf([1, 2]), leaf([3, 4]), tensorFrom([5, 6])];
  backward(ops.sum(ops.mul(ops.mul(x, y), constant)));
  assertGrad(x, [15, 24]);
  assertGrad(y, [5, 12]);
  assertGrad(constant, null);
  backward(ops.sum(x));
  assertGrad(x, [16, 25]);
});

testScoped("inputs: only these leaves get gradients", () => {
  const [x, y] = [leaf([2]), leaf([3])];
  const product = ops.sum(ops.mul(x, y));
  backward(product, { inputs: [y], retainGraph: true });
  assertGrad(x, null);
  assertGrad(y, [2]);
  backward(product, { inputs: [x, y] });
  assertGrad(x, [3]);
  assertGrad(y, [4]);
});

testScoped("gradient: of an output with more than one element", () => {
  const x = leaf([1, 2, 3]);
  assert.throws(() => backward(ops.mul(x, x)), { name: "TorchError", message: /scalar outputs/ });
  backward(ops.mul(x, x), { gradient: tensorFrom([1, 10, 100]) });
  assertGrad(x, [2, 40, 600]);
});

testScoped("retainGraph: backward can run again; without it that is an error", () => {
  const x = leaf([3]);
  const y = ops.sum(ops.mul(x, x));
  backward(y, { retainGraph: true });
  backward(y);
  assertGrad(x, [12]);
  assert.throws(() => backward(y), { name: "TorchError", message: /second time/ });
});

testScoped("a gradient can be set, shared and removed", () => {
  const x = leaf([1, 2]);
  assertGrad(x, null);
  x.grad = tensorFrom([5, 6]);
  assertGrad(x, [5, 6]);
  backward(ops.sum(x));
  assertGrad(x, [6, 7]);
  const shared = x.grad;
  if (shared !== null) ops.zero_(shared);
  assertGrad(x, [0, 0]);
  x.grad = null;
  assertGrad(x, null);
});

testScoped("nothing is recorded under noGrad, and backward through it is an error", () => {
  const x = leaf([1]);
  const y = noGrad(() => ops.mul(x, x));
  assert.equal(y.requiresGrad, false);
  assert.throws(() => backward(y), { name: "TorchError", message: /does not require grad/ });
  assert.equal(ops.detach(ops.mul(x, x)).requiresGrad, false);
});

testScoped("a leaf cannot be changed in place while recording, but can be under noGrad", () => {
  const x = leaf([1]);
  assert.throws(() => ops.mulScalar_(x, 2), { name: "TorchError", message: /leaf/ });
  noGrad(() => ops.mulScalar_(x, 2));
  assertTensor(x, [1], [2]);
});

testScoped("zeroGradAt zeroes the gradient where the mask is true, for all that is below", () => {
  const x = leaf([1, 2, 3]);
  const y = ops.mul(x, x);
  zeroGradAt(y, tensorFrom([0, 1, 0], { dtype: "bool" }));
  backward(ops.sum(ops.mul(y, tensorFrom([1, 10, 100]))));
  assertGrad(x, [2, 0, 600]);
});

testScoped("zeroGradAt: the mask is broadcast, several hooks add up, and the value stays", () => {
  const x = tensorFrom([1, 2, 3, 4], { shape: [2, 2], requiresGrad: true });
  const y = ops.mulScalar(x, 3);
  zeroGradAt(y, tensorFrom([1, 0], { shape: [2, 1], dtype: "bool" }));
  zeroGradAt(y, tensorFrom([0, 1], { shape: [1, 2], dtype: "bool" }));
  assertTensor(y, [2, 2], [3, 6, 9, 12]);
  backward(ops.sum(y));
  assertGrad(x, [0, 0, 3, 0]);
});

testScoped("zeroGradAt holds its mask, lets other paths pass, and removes NaN", () => {
  const x = leaf([0, 1]);
  const y = ops.mul(x, x);
  scope(() => zeroGradAt(y, tensorFrom([1, 0], { dtype: "bool" })));
  backward(ops.sum(ops.add(ops.mul(y, tensorFrom([NaN, 1])), x)));
  assertGrad(x, [1, 3]);
});

testScoped("zeroGradAt on a leaf acts on what is accumulated; without recording it is an error", () => {
  const x = leaf([1, 2]);
  zeroGradAt(x, tensorFrom([0, 1], { dtype: "bool" }));
  backward(ops.sum(ops.mul(x, x)));
  assertGrad(x, [2, 0]);
  assert.throws(() => zeroGradAt(tensorFrom([1]), tensorFrom([1], { dtype: "bool" })), {
    name: "TorchError",
    message: /hanging a hook on a tensor: /,
  });
});

Deno.test("an asynchronous function is refused, and the mode changes back", () => {
  assert.throws(() => noGrad(() => Promise.resolve()), { name: "FewtuneError", message: /asynchronous/ });
  assert.equal(isGradEnabled(), true);
});
