// Memory statistics: exact live bytes of known allocations, and the peak.

import assert from "node:assert/strict";
import { memory, ops, resetPeakMemory, scope, tensorFrom } from "../../mod.ts";
import { assertNothingLeft } from "../support/torch.ts";

// glibc adds to a request less than a page.
const slack = 4096;

Deno.test("live bytes are those of the tensors, and nothing when all are freed", async () => {
  await assertNothingLeft(() =>
    scope(() => {
      const start = memory().liveBytes;
      for (const [index, bytes] of [64, 1000, 1 << 20, 3].entries()) {
        const before = memory().liveBytes;
        const made = ops.empty([bytes], { dtype: "uint8" });
        const grown = memory().liveBytes - before;
        assert.ok(grown >= bytes && grown <= bytes + slack, `${bytes} bytes: ${grown}`);
        if (index === 2) {
          made.dispose();
          assert.equal(memory().liveBytes, before);
        }
      }
      assert.ok(memory().liveBytes - start >= 64 + 1000 + 3);
    })
  );
});

Deno.test("views, handles and empty tensors take none", () => {
  scope(() => {
    const x = ops.zeros([100, 100]);
    const before = memory().liveBytes;
    ops.transpose(x, 0, 1);
    ops.view(x, [-1]);
    ops.detach(x);
    ops.empty([0]);
    assert.equal(memory().liveBytes, before);
  });
});

Deno.test("the peak is the highest since it was reset", () => {
  const mebibyte = 1 << 20;
  resetPeakMemory();
  const start = memory().liveBytes;
  assert.equal(memory().peakBytes, start);
  ops.empty([2 * mebibyte], { dtype: "uint8" }).dispose();
  ops.empty([mebibyte], { dtype: "uint8" }).dispose();
  const { liveBytes, peakBytes } = memory();
  assert.equal(liveBytes, start);
  assert.ok(peakBytes >= start + 2 * mebibyte && peakBytes <= start + 2 * mebibyte + slack);
  resetPeakMemory();
  assert.equal(memory().peakBytes, start);
});

Deno.test("what an operator needs in between counts for the peak", () => {
  scope(() => {
    const x = ops.zeros([1 << 16], { dtype: "float64" });
    resetPeakMemory();
    const before = memory().liveBytes;
    ops.sum(x, { dtype: "float32" });
    assert.ok(memory().peakBytes >= before);
    ops.layerNorm(ops.transpose(ops.view(x, [256, 256]), 0, 1), [256]);
    assert.ok(memory().peakBytes >= before + 2 * x.byteLength);
  });
});

Deno.test("gradients and what backward needs are counted, and freed with their owners", async () => {
  await assertNothingLeft(() =>
    scope(() => {
      const x = tensorFrom(new Float32Array(1 << 16), { requiresGrad: true });
      const before = memory().liveBytes;
      scope(() => ops.runBackward(ops.sum(ops.mul(x, x)), []));
      const grown = memory().liveBytes - before;
      assert.ok(grown >= x.byteLength && grown <= x.byteLength + slack, `${grown}`);
      x.grad = null;
      assert.equal(memory().liveBytes, before);
    })
  );
});

Deno.test("on the meta device a tensor has a shape and no memory", () => {
  const { liveBytes } = memory();
  resetPeakMemory();
  scope(() => {
    const tensor = ops.empty([2 ** 28, 2 ** 28], { dtype: "float64", device: "meta" });
    assert.deepEqual([tensor.shape, tensor.dtype, tensor.device], [[2 ** 28, 2 ** 28], "float64", "meta"]);
  });
  assert.equal(memory().peakBytes, liveBytes);
});

Deno.test("on the CPU what is reserved is what is live, and another device has to be one", () => {
  const { liveBytes, peakBytes, reservedBytes, peakReservedBytes } = memory("cpu");
  assert.deepEqual([reservedBytes, peakReservedBytes], [liveBytes, peakBytes]);
  assert.throws(() => memory("tpu" as "cpu"), { name: "OptionError", message: /"tpu" is unknown/ });
});
