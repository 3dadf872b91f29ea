// The picture and the tables of growth are drawn from whatever was measured.

import assert from "node:assert/strict";
import { axes, type GrowthPoint, type GrowthResult, growthTable } from "../../bench/growth.ts";
import { decimalTicks, drawGrowth } from "../../bench/growth_picture.ts";

function result(points: readonly GrowthPoint[]): GrowthResult {
  const machine = { os: "linux", arch: "x86_64", cpu: null, cores: 2, memoryBytes: 1, instructionSets: null };
  return { date: "2026-01-01", machine, versions: {}, settings: { model: "tiny", steps: 1, threads: 1 }, points };
}

function point(axis: GrowthPoint["axis"], value: number, way: GrowthPoint["way"]): GrowthPoint {
  return { axis, value, way, activationBytes: value * 2 ** 20, peakBytes: value * 2 ** 21, stepSeconds: value / 100 };
}

Deno.test("every point is drawn in each of the three rows, within the picture", () => {
  const points = axes.flatMap((axis) => [4, 8, 16].map((value) => point(axis, value, "store")));
  const picture = drawGrowth(result(points));
  const circles = [...picture.matchAll(/<circle cx="([\d.]+)" cy="([\d.]+)"/g)];
  assert.equal(circles.length, points.length * 3);
  const [, width, height] = /viewBox="0 0 (\d+) (\d+)"/.exec(picture)?.map(Number) ?? [];
  assert.ok(circles.every(([, x, y]) => Number(x) < (width ?? 0) && Number(y) < (height ?? 0)));
  assert.doesNotMatch(picture, /NaN|Infinity|undefined/);
});

Deno.test("one point alone is drawn", () => {
  assert.doesNotMatch(drawGrowth(result([point("k", 4, "recompute")])), /NaN|Infinity|undefined/);
});

Deno.test("ticks enclose the range", () => {
  assert.deepEqual(decimalTicks(300, 4000), [200, 500, 1000, 2000, 5000]);
  assert.deepEqual(decimalTicks(0.3, 4000), [0.1, 1, 10, 100, 1000, 10_000]);
  assert.deepEqual(decimalTicks(1, 1), [1]);
});

Deno.test("a table leaves out ways that an axis was not measured with", () => {
  const table = growthTable(result([point("k", 4, "store"), point("length", 32, "full")]), "k");
  assert.equal(table.split("\n")[0], "| k | Stored: activations | peak | step, s |");
  assert.equal(table.split("\n").length, 3);
});
