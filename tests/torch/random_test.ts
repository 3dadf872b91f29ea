// Generators: PyTorch's numbers, and a state that can be taken and set back.

import assert from "node:assert/strict";
import { type DType, Generator, ops, scope, threads, toNumbers, toTypedArray } from "../../mod.ts";
import { cudaDeviceCount, synchronize } from "../../src/torch/device.ts";
import { assertClose, assertNothingLeft } from "../support/torch.ts";

function uniform(generator: Generator, count: number, dtype: DType = "float32"): number[] {
  return scope(() => toNumbers(ops.uniform_(ops.empty([count], { dtype }), 0, 1, { generator })));
}

function normal(generator: Generator, count: number): number[] {
  return scope(() => toNumbers(ops.normal_(ops.empty([count]), 0, 1, { generator })));
}

Deno.test("a seed gives the numbers of torch.manual_seed", () => {
  using random = new Generator(7);
  const uniforms = [0.5349225401878357, 0.19880318641662598, 0.6592116951942444, 0.6568902730941772];
  assert.deepEqual(uniform(random, 5), [...uniforms, 0.23276156187057495]); // torch.rand(5)
  random.seed(7);
  const doubles = [0.279380429906404, 0.27369371365176565, 0.8620929614176255, 0.6566884305882014];
  assert.deepEqual(uniform(random, 5, "float64"), [...doubles, 0.9225293674529872]); // torch.rand(5, dtype=float64)
  random.seed(7);
  assertClose(normal(random, 3), [-0.1467950940132141, 0.7861412763595581, 0.9468216300010681], 1e-6); // torch.randn(3)
  random.seed(7);
  const normals = [-0.8201345205307007, 0.39563116431236267, 0.8989084959030151, -1.3884038925170898];
  assertClose(normal(random, 16).slice(0, 4), normals, 1e-6); // torch.randn(16)
  random.seed(7);
  scope(() => {
    const integers = ops.random_(ops.empty([6], { dtype: "int64" }), 0, 1000, { generator: random });
    assert.deepEqual(toNumbers(integers), [615, 892, 721, 286, 283, 347]); // torch.randint(0, 1000, (6,))
  });
});

Deno.test("the whole range of 64-bit integers, and seeds beyond 32 bits", () => {
  using random = new Generator(7);
  scope(() => {
    const words = ops.random_(ops.empty([3], { dtype: "int64" }), -(2n ** 63n), null, { generator: random });
    const expected = [1407639518939636932n, -4059781650074555914n, 8087222774582268115n];
    assert.deepEqual([...toTypedArray(words)], expected);
  });
  for (const seed of [2 ** 40 + 3, 2n ** 40n + 3n]) {
    random.seed(seed);
    assert.deepEqual(uniform(random, 3), [0.004263520240783691, 0.10556936264038086, 0.2858424782752991]);
  }
});

Deno.test("a state that is set back repeats the numbers, in another generator too", () => {
  using random = new Generator(3);
  uniform(random, 5);
  normal(random, 1); // leaves half a pair of normal numbers in the state
  const state = random.state();
  const expected = [...normal(random, 3), ...uniform(random, 700)];
  random.setState(state);
  assert.deepEqual([...normal(random, 3), ...uniform(random, 700)], expected);
  using other = new Generator(4);
  other.setState(state);
  assert.deepEqual([...normal(other, 3), ...uniform(other, 700)], expected);
  assert.notDeepEqual(uniform(other, 3), expected.slice(0, 3));
});

Deno.test("generators do not depend on each other, nor on the default one", () => {
  using one = new Generator(1);
  using two = new Generator(1);
  const expected = uniform(one, 6);
  const mixed: number[] = [];
  for (let round = 0; round < 3; round++) {
    mixed.push(...uniform(two, 2));
    uniform(one, 5);
    scope(() => ops.uniform_(ops.empty([7])));
  }
  assert.deepEqual(mixed, expected);
  two.seed(2);
  assert.notDeepEqual(uniform(two, 6), expected);
});

Deno.test("generators leave nothing behind, and cannot be used after they are disposed", async () => {
  await assertNothingLeft(() => {
    const random = new Generator(1);
    random.setState(random.state());
    random.dispose();
    random.dispose();
    assert.throws(() => random.seed(1), { name: "OptionError", message: /after it was disposed/ });
    scope(() =>
      assert.throws(() => ops.uniform_(ops.empty([1]), 0, 1, { generator: random }), { name: "OptionError" })
    );
  });
});

Deno.test("a state that is none is refused, and the generator goes on as before", () => {
  using random = new Generator(1);
  using same = new Generator(1);
  assert.throws(() => random.setState(new Uint8Array(3)), { name: "TorchError", message: /setting a random/ });
  assert.deepEqual(uniform(random, 3), uniform(same, 3));
});

Deno.test("threads sets and tells the number of threads", () => {
  const before = threads();
  try {
    assert.ok(before >= 1);
    assert.equal(threads(1), 1);
    assert.equal(threads(), 1);
    assert.equal(threads(2), 2);
    assert.equal(threads(), 2);
    for (const count of [-1, 1.5, NaN]) assert.throws(() => threads(count), { name: "OptionError", message: /whole/ });
  } finally {
    threads(before);
  }
});

Deno.test("a device that is not there is an error, and the CPU needs no waiting", () => {
  synchronize("cpu");
  assert.throws(() => new Generator(1, "cuda:x" as "cuda:0"), { name: "OptionError", message: /cuda:N/ });
  if (cudaDeviceCount() === 0) {
    assert.throws(() => new Generator(1, "cuda"), Error);
    assert.throws(() => scope(() => ops.zeros([1], { device: "cuda" })), Error);
  }
});
