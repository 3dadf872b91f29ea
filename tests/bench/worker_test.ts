// The worker of the step benchmark makes a step for each line, and refuses what is not there.

import assert from "node:assert/strict";
import { contestantNames, contestants, start, titleOf, type Work } from "../../bench/contestants.ts";
import { modelSizes } from "../../bench/model_sizes.ts";
import { secondsOf } from "../../bench/stepper.ts";

const work: Work = { size: modelSizes.tiny, batchSize: 3, lengths: "cola", k: 4, threads: 1 };

Deno.test("a worker measures steps whose bytes do not change from the second on", async () => {
  const { step, residentBytes, stop } = start("recompute", work, undefined);
  try {
    const [first, second, third] = [await step(), await step(), await step()];
    assert.ok(first.restingBytes < second.restingBytes, "the first step makes the optimizer's state");
    assert.equal(third.restingBytes, second.restingBytes);
    assert.equal(third.activationBytes, second.activationBytes);
    assert.ok(third.peakBytes >= third.restingBytes + third.activationBytes);
    assert.ok(secondsOf(third) > 0);
    assert.ok(residentBytes() > third.peakBytes);
  } finally {
    await stop();
  }
});

Deno.test("peers take part where there is a Python, in bf16 where that is asked for", () => {
  const own = contestants({ peers: false, bf16: false });
  assert.deepEqual(own, [
    "full",
    "store",
    "recompute",
    "in_backward",
    "lora",
    "lora_store",
    "recompute_bf16",
    "lora_bf16",
  ]);
  assert.equal(contestants({ peers: true, bf16: false })[0], "hf_full");
  const all = contestants({ peers: true, bf16: true });
  assert.equal(new Set(all.map(titleOf)).size, all.length);
});

Deno.test("a contestant that is not known, or a peer without a Python, is refused", () => {
  assert.deepEqual(contestantNames("store,full"), ["store", "full"]);
  assert.throws(() => contestantNames("store,best"), /there is no contestant best, only hf_full, /);
  assert.throws(() => start("hf_full", work, undefined), /hf_full needs --python/);
});
