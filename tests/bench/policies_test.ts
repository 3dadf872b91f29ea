// How far each policy's gradient is from that of all positions, on real e-mails with MiniLM: the bench's measure, small.

import assert from "node:assert/strict";
import { measurePolicies } from "../../bench/policies.ts";
import { positionPolicies } from "../../src/selective/policies.ts";
import "../support/torch.ts";

Deno.test("on real e-mails each policy's gradient points the whole one's way, and importance alone is unbiased", async () => {
  const seeds = 12;
  const settings = { k: 12, batchSize: 4, batches: 1, seeds, threads: 1, maxLength: 48 };
  const { policies } = await measurePolicies(settings);
  assert.deepEqual(policies.map(({ policy }) => policy), [...positionPolicies]);
  for (const { policy, cosine, relativeError, errorOfMean } of policies) {
    assert.ok(cosine > 0.5 && cosine < 1, `${policy}: ${cosine}`);
    assert.ok(relativeError > 0.2 && relativeError < 1, `${policy}: ${relativeError}`);
    // An error without bias falls to one part in the root of the draws, by chance a little more or less.
    const remains = errorOfMean / (relativeError / Math.sqrt(seeds));
    const isUnbiased = remains < 1.5;
    assert.equal(isUnbiased, policy === "importance", `${policy}: ${remains}`);
  }
});
