// What goes wrong in an operator call: typed errors of one line, after which everything still works.

import assert from "node:assert/strict";
import {
  DisposedTensorError,
  operator,
  ops,
  OutOfMemoryError,
  SchemaError,
  scope,
  takeWarnings,
  tensorFrom,
  TorchError,
} from "../../mod.ts";
import { assertNothingLeft, assertTensor } from "../support/torch.ts";

function assertOneLine(error: unknown): error is Error {
  return error instanceof Error && !error.message.includes("\n");
}

function assertUsable(): void {
  scope(() => assertTensor(ops.add(tensorFrom([1]), tensorFrom([2])), [1], [3]));
}

Deno.test("what LibTorch refuses names the operator and the types and shapes of its tensors, in one line", async () => {
  await assertNothingLeft(() =>
    scope(() => {
      const [x, w] = [tensorFrom([1, 2, 3, 4], { shape: [2, 2] }), ops.zeros([3, 5])];
      assert.throws(() => ops.linear(x, w), (error) => {
        assert.ok(error instanceof TorchError && assertOneLine(error));
        assert.equal(error.name, "TorchError");
        assert.match(error.message, /^aten::linear\(input: float32\[2,2\], weight: float32\[3,5\]\): mat1 and mat2/);
        return true;
      });
    })
  );
  assertUsable();
});

Deno.test("tensors in lists are named too, the first eight of them", () => {
  scope(() => {
    const [a, b] = [ops.zeros([2, 3]), ops.zeros([4], { dtype: "int64" })];
    assert.throws(() => ops.cat([a, b]), { message: /^aten::cat\(tensors: float32\[2,3\], int64\[4\]\): / });
    assert.throws(() => ops.cat([...new Array(8).fill(a), b]), { message: /float32\[2,3\], \.\.\.\): / });
  });
});

Deno.test("an error in backward is a TorchError too", () => {
  scope(() => {
    const x = tensorFrom([1, 2], { requiresGrad: true });
    assert.throws(() => ops.runBackward(ops.mul(x, x), []), { name: "TorchError", message: /scalar outputs/ });
  });
  assertUsable();
});

Deno.test("a hundred refusals leave nothing behind", async () => {
  await assertNothingLeft(() => {
    for (let round = 0; round < 100; round++) {
      scope(() => assert.throws(() => ops.matmul(ops.zeros([2, 3]), ops.zeros([2, 3])), TorchError));
    }
  });
});

Deno.test("an absurd allocation is an OutOfMemoryError, and smaller ones still succeed", async () => {
  await assertNothingLeft(() => {
    assert.throws(() => ops.empty([2 ** 47]), (error) => {
      assert.ok(error instanceof OutOfMemoryError && error instanceof TorchError && assertOneLine(error));
      assert.equal(error.name, "OutOfMemoryError");
      assert.match(error.message, /^aten::empty\(\): .*562949953421312 bytes/);
      return true;
    });
    assertUsable();
  });
});

Deno.test("a size beyond 64 bits of bytes is refused", () => {
  assert.throws(() => ops.empty([2 ** 40, 2 ** 40]), TorchError);
  assertUsable();
});

Deno.test("a schema that differs from LibTorch's is a SchemaError that names both, at every call", () => {
  const declared = "aten::tanh(Tensor self, int extra) -> Tensor";
  const wrong = operator(declared);
  scope(() => {
    const x = tensorFrom([1]);
    for (let call = 0; call < 2; call++) {
      assert.throws(() => wrong(x, 1), (error) => {
        assert.ok(error instanceof SchemaError && assertOneLine(error));
        assert.ok(error.message.includes(declared), error.message);
        assert.ok(error.message.includes("aten::tanh(Tensor self) -> Tensor"), error.message);
        return true;
      });
    }
  });
});

Deno.test("an operator or an overload that LibTorch has not is a SchemaError", () => {
  scope(() => {
    const x = tensorFrom([1]);
    const unknown = operator("fewtune::no_such(Tensor self) -> Tensor");
    assert.throws(() => unknown(x), { name: "SchemaError", message: /no operator fewtune::no_such, declared as/ });
    const overload = operator("aten::add.NoSuch(Tensor self) -> Tensor");
    assert.throws(() => overload(x), { name: "SchemaError", message: /no operator aten::add\.NoSuch/ });
  });
});

Deno.test("text that is no schema, and types that do not cross, are SchemaErrors", () => {
  scope(() => {
    const x = tensorFrom([1]);
    assert.throws(() => (operator("add(Tensor") as unknown as (x: unknown) => unknown)(x), {
      name: "SchemaError",
      message: /not an operator schema: "add\(Tensor"/,
    });
    const resultType = operator("aten::promote_types(ScalarType type1, ScalarType type2) -> ScalarType");
    assert.throws(() => resultType("float32", "int64"), { name: "SchemaError", message: /ScalarType/ });
  });
});

Deno.test("an argument that is left out though it has no default is named", () => {
  scope(() => {
    const add = ops.add as unknown as (x: unknown) => unknown;
    assert.throws(() => add(tensorFrom([1])), { name: "TorchError", message: /argument other is missing/ });
  });
  assertUsable();
});

Deno.test("a disposed tensor is refused as an argument before anything is called", () => {
  scope(() => {
    const [x, y] = [tensorFrom([1, 2]), tensorFrom([1, 2])];
    y.dispose();
    assert.throws(() => ops.add_(x, y), DisposedTensorError);
    assert.throws(() => ops.cat([x, y]), DisposedTensorError);
    assertTensor(x, [2], [1, 2]);
  });
});

Deno.test("more arguments than one call can take are refused", () => {
  assert.throws(() => ops.zeros(new Array(70_000).fill(1)), { name: "FewtuneError", message: /65536 slots/ });
  assertUsable();
});

Deno.test("LibTorch's warnings are kept and not printed", () => {
  takeWarnings();
  scope(() => {
    const x = tensorFrom([1], { requiresGrad: true });
    assert.equal(ops.mul(x, x).grad, null);
  });
  assert.match(takeWarnings(), /^The \.grad attribute of a Tensor that is not a leaf Tensor .*\n$/s);
  assert.equal(takeWarnings(), "");
});
