// Draws positions with given probabilities, so many of them, and says what each counts.

import { empty, type Generator, scope, toTypedArray, uniform_ } from "../torch/mod.ts";

/** Drawn positions, ascending, and what each counts: the inverse of its probability, all together 1. */
export interface Drawn {
  readonly positions: number[];
  readonly weights: number[];
}

// This part of the probability is the same for every position, which bounds what one can count.
const uniformPart = 0.1;

/**
 * The probabilities of being among `count` drawn positions, as near to proportional to the scores as can be (none is
 * above 1, and all together they are `count`). What is certain has 1 and is among the `count`.
 *
 * @param scores at least 0
 */
export function inclusionProbabilities(scores: ArrayLike<number>, count: number, certain: number | null): number[] {
  const total = Array.from(scores).reduce((sum, score) => sum + score, 0);
  const mixed = Array.from(
    scores,
    (score) => uniformPart / scores.length + (1 - uniformPart) * (total > 0 ? score / total : 1 / scores.length),
  );
  const isCertain = mixed.map((_, position) => position === certain);
  for (;;) {
    const left = count - isCertain.filter(Boolean).length;
    const rest = mixed.reduce((sum, score, position) => isCertain[position] ? sum : sum + score, 0);
    const over = mixed.flatMap((score, position) => !isCertain[position] && left * score >= rest ? [position] : []);
    if (over.length === 0) return mixed.map((score, position) => isCertain[position] ? 1 : left * score / rest);
    for (const position of over) isCertain[position] = true;
  }
}

/**
 * Draws positions with these probabilities, exactly as many as their sum is: systematic sampling (Madow 1949), which
 * lays them end to end and takes those that the points u, u + 1, u + 2, ... fall into.
 */
export function drawWithProbabilities(probabilities: readonly number[], random: Generator): Drawn {
  const [start = 0] = scope(() =>
    toTypedArray(uniform_(empty([1], { dtype: "float64" }), 0, 1, { generator: random }))
  ) as Float64Array;
  const positions: number[] = [];
  let end = 0;
  probabilities.forEach((probability, position) => {
    const points = Math.ceil(end - start);
    end += probability;
    if (probability === 1 || Math.ceil(end - start) > points) positions.push(position);
  });
  const inverse = positions.map((position) => 1 / (probabilities[position] ?? 1));
  const total = inverse.reduce((sum, each) => sum + each, 0);
  return { positions, weights: inverse.map((each) => each / total) };
}
