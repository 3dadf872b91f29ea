// The picture of a profiled step: well-formed, without a number that is none, its areas up to the peak.

import assert from "node:assert/strict";
import { profileStep, type StepProfile } from "../../mod.ts";
import { drawProfile } from "../../src/experiments/profile_picture.ts";
import { randomBert } from "../support/random_bert.ts";
import "../support/torch.ts";

function profile(optimizerInBackward: boolean, modelName: string): Promise<StepProfile> {
  return profileStep(() => randomBert(), { lengths: [9, 5, 2], k: 3, steps: 1, optimizerInBackward, modelName });
}

// Each element stands on a line of its own: closed there, with attributes in quotes and text that is escaped.
const element = /^<[a-z]+( [a-zA-Z0-9-]+="[^"<>&]*")+(\/>|>[^<>]*<\/text>)$/;

Deno.test("the picture is well-formed", async () => {
  for (const optimizerInBackward of [false, true]) {
    const [opening = "", ...lines] = drawProfile(await profile(optimizerInBackward, "a<b> & c")).trim().split("\n");
    assert.match(opening, /^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg"( [a-zA-Z-]+="[^"<>&]*")+>$/);
    assert.equal(lines.pop(), "</svg>");
    for (const line of lines) {
      assert.match(line, element);
      assert.doesNotMatch(line, /NaN|Infinity|undefined|null/);
      assert.doesNotMatch(line, /&(?!(amp|lt|gt);)/);
    }
    assert.ok(lines.some((line) => line.includes(">a&lt;b&gt; &amp; c: 3 sequences, 16 tokens; selective, k = 3")));
  }
});

Deno.test("the areas lie on each other, from nothing up to the peak", async () => {
  const result = await profile(false, "model");
  const polygons = [...drawProfile(result).matchAll(/<polygon points="([^"]*)"/g)].map(([, points = ""]) =>
    points.split(" ").map((point) => point.split(",").map(Number))
  );
  assert.equal(polygons.length, 5);
  const columns = result.timeline.length;
  polygons.forEach((points, index) => {
    const [upper, lower] = [points.slice(0, 2 * columns), points.slice(2 * columns).toReversed()];
    const below = polygons[index - 1]?.slice(0, 2 * columns);
    assert.deepEqual(lower, below ?? upper.map(([x]) => [x, 388]));
  });
  const heights = polygons.at(-1)?.slice(0, 2 * columns).map(([, y = NaN]) => (388 - y) / (388 - 112)) ?? [];
  result.timeline.forEach(({ peakBytes }, index) => {
    assert.ok(Math.abs((heights[2 * index] ?? NaN) - peakBytes / result.peakBytes) < 0.001);
  });
});
