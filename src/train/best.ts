// The best evaluation of a run: which one it is, and when a run that gets no better has gone on for long enough.

import type { Metrics } from "./evaluate.ts";

/** An evaluation, after which step it was made, and what it gave. */
export interface Evaluation {
  readonly step: number;
  readonly metrics: Metrics;
}

/** What a run remembers of its evaluations; a plain object that JSON holds. */
export interface BestState {
  /** The best evaluation so far; null before the first. */
  readonly best: Evaluation | null;
  /** Evaluations since then, none of which was better. */
  readonly sinceBest: number;
}

/** The metrics of which less is better. */
export const lowerIsBetter: ReadonlySet<string> = new Set(["loss", "perplexity"]);

/**
 * The state after an evaluation. It is the best when its metric is better than that of every one before: lower for
 * `loss` and `perplexity`, higher for the others. A metric that is not a number is worse than any.
 */
export function afterEvaluation({ best, sinceBest }: BestState, evaluation: Evaluation, metric: string): BestState {
  const value = evaluation.metrics[metric] ?? NaN;
  const known = best?.metrics[metric] ?? NaN;
  const isBetter = best === null || (Number.isNaN(known) && !Number.isNaN(value)) ||
    (lowerIsBetter.has(metric) ? value < known : value > known);
  return isBetter ? { best: evaluation, sinceBest: 0 } : { best, sinceBest: sinceBest + 1 };
}
