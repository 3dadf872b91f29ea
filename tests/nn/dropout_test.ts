// Dropout: what is kept, how it is scaled, what it costs, and that a generator's state repeats it.

import assert from "node:assert/strict";
import { backward, Generator, memory, noGrad, ops, scope, type Tensor, tensorFrom, toNumbers } from "../../mod.ts";
import { Dropout } from "../../src/nn/dropout.ts";
import { someNumbers } from "../support/numbers.ts";
import { droppedAt } from "../support/dropout.ts";
import { assertClose, assertNothingLeft, assertTensor } from "../support/torch.ts";

function testScoped(name: string, body: (random: Generator) => void): void {
  Deno.test(name, async () => {
    await assertNothingLeft(() => {
      using random = new Generator(1);
      scope(() => body(random));
    });
  });
}

function leaf(count: number): Tensor {
  return tensorFrom(someNumbers(count), { requiresGrad: true });
}

for (const [probability, rounded] of [[0.1, 26], [0.5, 128], [0.002, 1], [0.9999, 255]] as const) {
  testScoped(`p = ${probability}: ${rounded} of 256 are dropped, and the expectation stays exact`, (random) => {
    const count = 1 << 20;
    const output = toNumbers(new Dropout(probability).apply(ops.full([count], 1, { dtype: "float32" }), random));
    const kept = output.filter((value) => value !== 0);
    const scale = Math.fround(256 / (256 - rounded));
    assert.ok(kept.every((value) => value === scale));
    const expected = count * (1 - rounded / 256);
    const deviation = Math.sqrt(expected * rounded / 256);
    assert.ok(Math.abs(kept.length - expected) < 5 * deviation, `${kept.length} kept of ${count}`);
  });
}

testScoped("an element is dropped where its random byte is below the threshold, in any shape", (random) => {
  const dropout = new Dropout(0.3);
  for (const shape of [[5], [3, 7], [2, 3, 5, 4]]) {
    const state = random.state();
    const x = tensorFrom(someNumbers(shape.reduce((a, b) => a * b)), { shape, dtype: "float64" });
    const dropped = droppedAt(x.size, 0.3, state);
    const expected = toNumbers(x).map((value, index) => dropped[index] ? 0 : value / (1 - 77 / 256));
    random.setState(state);
    const output = dropout.apply(leafLike(x), random);
    assert.deepEqual(output.shape, shape);
    assertClose(toNumbers(output), expected, 1e-15);
  }
});

function leafLike(x: Tensor): Tensor {
  return ops.requiresGrad_(ops.clone(x));
}

testScoped("the same state gives the same mask, and the state goes on", (random) => {
  const dropout = new Dropout(0.5);
  const draw = (): number[] => toNumbers(dropout.apply(leaf(1000), random));
  const state = random.state();
  const [first, second] = [draw(), draw()];
  assert.notDeepEqual(second, first);
  random.setState(state);
  assert.deepEqual([draw(), draw()], [first, second]);
});

testScoped("p = 0 and evaluation return the input itself, and draw nothing", (random) => {
  const x = leaf(8);
  const state = random.state();
  assert.equal(new Dropout(0).apply(x, random), x);
  assert.equal(new Dropout(0.001).apply(x, random), x);
  assert.equal(new Dropout(0.5).apply(x, null), x);
  assert.equal(new Dropout(0.5).applyInPlace(x, null), x);
  assert.equal(new Dropout(0).applyInPlace(x, random), x);
  assert.deepEqual(random.state(), state);
  assert.deepEqual([new Dropout(0).isActive(random), new Dropout(0.5).isActive(null)], [false, false]);
  assert.equal(new Dropout(0.5).isActive(random), true);
});

testScoped("gradients flow through kept elements alone, with the same scale", (random) => {
  for (const inPlace of [false, true]) {
    const x = leaf(64);
    const dropout = new Dropout(0.25);
    const output = inPlace ? dropout.applyInPlace(ops.clone(x), random) : dropout.apply(x, random);
    const weights = someNumbers(64, 2);
    backward(ops.sum(ops.mul(output, tensorFrom(weights))));
    const kept = toNumbers(output).map((value) => value !== 0);
    assert.ok(kept.includes(true) && kept.includes(false));
    assertTensor(x.grad ?? x, [64], weights.map((weight, index) => kept[index] ? weight * 4 / 3 : 0), 1e-6);
  }
});

testScoped("the mask that backward needs takes one byte an element, and nothing else is kept", (random) => {
  const count = 1 << 18;
  const x = ops.requiresGrad_(ops.full([count], 1, { dtype: "float32" }));
  const before = memory().liveBytes;
  const output = new Dropout(0.1).apply(x, random);
  const grown = memory().liveBytes - before;
  assert.ok(grown >= 5 * count && grown < 5 * count + 16384, `${grown / count} bytes an element, the output included`);
  const nonLeaf = ops.clone(x);
  const beforeInPlace = memory().liveBytes;
  new Dropout(0.1).applyInPlace(nonLeaf, random);
  const grownInPlace = memory().liveBytes - beforeInPlace;
  assert.ok(grownInPlace >= count && grownInPlace < count + 8192, `${grownInPlace / count} bytes an element`);
  assert.equal(output.byteLength, 4 * count);
});

testScoped("without gradients it works in the input's own memory", (random) => {
  const x = tensorFrom(someNumbers(256));
  const before = memory().liveBytes;
  const output = noGrad(() => new Dropout(0.5).apply(x, random));
  assert.equal(memory().liveBytes, before);
  assert.deepEqual(toNumbers(x), toNumbers(output));
  assert.ok(toNumbers(x).includes(0));
});

Deno.test("a probability outside of [0, 1) is refused with its value", () => {
  for (const probability of [-0.1, 1, NaN]) {
    assert.throws(() => new Dropout(probability), { name: "OptionError", message: new RegExp(`not ${probability}$`) });
  }
});
