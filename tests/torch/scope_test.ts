// Scopes and lifetimes: what is freed when, what leaves a scope, and what happens to those who use it afterwards.

import assert from "node:assert/strict";
import {
  detachFromScope,
  DisposedTensorError,
  liveTensorCount,
  lostTensorCount,
  memory,
  ops,
  scope,
  Tensor,
  tensorFrom,
  traceTensors,
} from "../../mod.ts";
import { assertNothingLeft, assertTensor } from "../support/torch.ts";

const elements = [1, 2, 3];

Deno.test("a scope frees all that was made inside", async () => {
  await assertNothingLeft(() => {
    const inside: Tensor[] = [];
    const before = liveTensorCount();
    scope(() => {
      inside.push(tensorFrom(elements), ops.zeros([4]));
      inside.push(...inside.map((tensor) => ops.add(tensor, tensor)));
      assert.equal(liveTensorCount(), before + 4);
    });
    assert.ok(inside.every((tensor) => tensor.isDisposed));
  });
});

Deno.test("a tensor in the result moves to the surrounding scope, or to nobody", async () => {
  await assertNothingLeft(() => {
    const alone = scope(() => tensorFrom(elements));
    assertTensor(alone, [3], elements);
    alone.dispose();
    let moved: Tensor | undefined;
    scope(() => {
      moved = scope(() => scope(() => tensorFrom(elements)));
      assertTensor(moved, [3], elements);
    });
    assert.equal(moved?.isDisposed, true);
  });
});

Deno.test("arrays, tuples and records of tensors leave a scope, nested too; the rest is freed", async () => {
  await assertNothingLeft(() =>
    scope(() => {
      const before = liveTensorCount();
      const { list, deep, none, text } = scope(() => {
        const lost = tensorFrom([0]);
        return {
          list: [tensorFrom([1]), tensorFrom([2])],
          deep: { inner: [{ tensor: ops.add(lost, lost) }] },
          none: null,
          text: "text",
        };
      });
      assert.equal(liveTensorCount(), before + 3);
      list.forEach((tensor, index) => assertTensor(tensor, [1], [index + 1]));
      assertTensor(deep.inner[0]?.tensor ?? tensorFrom([9]), [1], [0]);
      assert.deepEqual([none, text], [null, "text"]);
    })
  );
});

Deno.test("a tensor that was made outside stays with its owner, though it is part of the result", async () => {
  await assertNothingLeft(() => {
    using free = tensorFrom([1]);
    scope(() => {
      const outer = tensorFrom([2]);
      scope(() => {
        scope(() => free);
        scope(() => [outer, { free }]);
      });
      assertTensor(outer, [1], [2]);
    });
    assertTensor(free, [1], [1]);
  });
});

Deno.test("an exception frees everything, in every scope on its way", async () => {
  await assertNothingLeft(() => {
    assert.throws(() =>
      scope(() => {
        tensorFrom(elements);
        scope(() => {
          tensorFrom(elements);
          throw new RangeError("on purpose");
        });
      }), { name: "RangeError", message: "on purpose" });
    scope(() => assertTensor(tensorFrom(elements), [3], elements));
  });
});

Deno.test("an asynchronous function is refused, and what it made is freed", async () => {
  await assertNothingLeft(() => {
    assert.throws(() =>
      scope(async () => {
        tensorFrom(elements);
        await Promise.resolve();
      }), { name: "FewtuneError", message: /asynchronous/ });
  });
});

Deno.test("detachFromScope: the tensor outlives every scope, until it is disposed", async () => {
  await assertNothingLeft(() => {
    const before = liveTensorCount();
    const kept = scope(() => scope(() => ({ kept: detachFromScope([tensorFrom(elements)]) }))).kept;
    assert.equal(liveTensorCount(), before + 1);
    assertTensor(kept[0] ?? ops.empty([0]), [3], elements);
    kept[0]?.dispose();
  });
});

Deno.test("using, dispose inside a scope, and disposing twice", async () => {
  await assertNothingLeft(() => {
    const before = liveTensorCount();
    {
      using _ = tensorFrom(elements);
      assert.equal(liveTensorCount(), before + 1);
    }
    assert.equal(liveTensorCount(), before);
    scope(() => {
      const x = tensorFrom(elements);
      x.dispose();
      x.dispose();
      assert.equal(liveTensorCount(), before);
    });
    assert.equal(liveTensorCount(), before);
  });
});

Deno.test("memory that two tensors share is freed with the last of them", async () => {
  await assertNothingLeft(() => {
    const before = memory().liveBytes;
    const x = ops.zeros([1024]);
    const view = ops.narrow(x, 0, 0, 1);
    x.dispose();
    assert.ok(memory().liveBytes >= before + 4096);
    assertTensor(view, [1], [0]);
    view.dispose();
    assert.equal(memory().liveBytes, before);
  });
});

Deno.test("use after free is a DisposedTensorError that names the shape", () => {
  const x = scope(() => tensorFrom(elements, { shape: [1, 3] }));
  assert.deepEqual(x.shape, [1, 3]);
  x.dispose();
  const uses = [() => x.handle, () => x.byteLength, () => x.bytes(), () => x.grad, () => ops.add(x, x)];
  for (const use of uses) {
    assert.throws(use, (error) => {
      assert.ok(error instanceof DisposedTensorError);
      assert.match(error.message, /^a tensor of shape \[1,3\] was used after it was disposed/);
      assert.match(error.message, /traceTensors\(true\)/);
      return true;
    });
  }
});

Deno.test("under traceTensors it names the place where the tensor was made", () => {
  const makeTracedTensor = (): Tensor => tensorFrom(elements);
  traceTensors(true);
  try {
    const x = scope(makeTracedTensor);
    x.dispose();
    assert.throws(() => x.shape.length + ops.add(x, x).size, {
      name: "DisposedTensorError",
      message: /^a tensor of shape \[3\] .*; made at .*scope_test\.ts:\d+:\d+\)?$/,
    });
  } finally {
    traceTensors(false);
  }
});

Deno.test("a tensor that was forgotten outside every scope is freed by the collector, and counted as lost", async () => {
  const collect = (globalThis as { gc?: () => void }).gc;
  assert.ok(collect, "run with --v8-flags=--expose-gc");
  const before = [liveTensorCount(), memory().liveBytes];
  const lost = lostTensorCount();
  (() => {
    for (let index = 0; index < 50; index++) ops.zeros([100]);
  })();
  assert.equal(liveTensorCount(), (before[0] ?? 0) + 50);
  for (let round = 0; round < 50 && liveTensorCount() > (before[0] ?? 0); round++) {
    collect();
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  assert.deepEqual([liveTensorCount(), memory().liveBytes], before);
  assert.equal(lostTensorCount(), lost + 50);
});

Deno.test("what a tensor says of itself", () => {
  scope(() => {
    const x = tensorFrom([1, 2, 3, 4, 5, 6], { shape: [2, 3], requiresGrad: true });
    const y = ops.transpose(x, 0, 1);
    assert.deepEqual([x.size, x.byteLength, x.length(0), x.length(-1), x.device], [6, 24, 2, 3, "cpu"]);
    assert.deepEqual([x.isContiguous, x.isLeaf, x.requiresGrad], [true, true, true]);
    assert.deepEqual([y.shape, y.isContiguous, y.isLeaf, y.requiresGrad], [[3, 2], false, false, true]);
    assert.deepEqual([tensorFrom([1]).requiresGrad, ops.zeros([2], { dtype: "int64" }).byteLength], [false, 16]);
    assert.throws(() => x.length(2), {
      name: "OptionError",
      message: "dimension 2 does not exist in a tensor of shape [2,3]",
    });
    assert.throws(() => new Tensor(0), { name: "TorchError", message: /undefined tensor/ });
  });
});
