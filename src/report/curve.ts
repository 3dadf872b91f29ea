// Curves as they are drawn: with few enough points, and smoothed.

import type { Point } from "./run.ts";

/**
 * At most `most` points of a curve: of each stretch the lowest and the highest, so that no peak is lost, and the first
 * and the last of all.
 */
export function thinned(points: readonly Point[], most: number): readonly Point[] {
  if (points.length <= most) return points;
  const stretches = Math.floor(most / 2) - 1;
  const inner = points.slice(1, -1);
  const kept = Array.from({ length: stretches }, (_, index) => {
    const [from, to] = [index, index + 1].map((border) => Math.floor(border * inner.length / stretches));
    return extremes(inner.slice(from, to));
  });
  return [...points.slice(0, 1), ...kept.flat(), ...points.slice(-1)];
}

function extremes(points: readonly Point[]): Point[] {
  const sorted = points.toSorted((a, b) => a[1] - b[1]);
  const ends = new Set([...sorted.slice(0, 1), ...sorted.slice(-1)]);
  return points.filter((point) => ends.has(point));
}

/**
 * The exponential moving average of a curve, in which the last `span` points weigh 86 %, without its bias to the start
 * (Kingma and Ba 2015, section 3).
 */
export function smoothed(points: readonly Point[], span: number): Point[] {
  const decay = 1 - 2 / (span + 1);
  let [sum, weight] = [0, 0];
  return points.map(([step, value]) => {
    sum = decay * sum + (1 - decay) * value;
    weight = decay * weight + (1 - decay);
    return [step, sum / weight];
  });
}
