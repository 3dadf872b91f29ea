// What GLUE reports of a task, and the task's score.

import { type GlueTask, glueTaskNamed } from "../data/glue/tasks.ts";
import { OptionError } from "../errors.ts";
import type { Metrics } from "./evaluate.ts";

/**
 * A task's score: the plain mean of the metrics that GLUE reports of it (Wang et al. 2019, section 3), over all
 * evaluations: for MNLI those on dev and on mismatched dev. As the metrics are, it is at most 1.
 *
 * @param evaluations as {@linkcode evaluate} gives them
 * @throws {OptionError} when there is no such task, no evaluation, or one lacks a metric of the task
 */
export function glueScore(task: string, ...evaluations: readonly Metrics[]): number {
  const values = evaluations.flatMap((metrics) => Object.values(glueMetrics(glueTaskNamed(task), metrics)));
  if (values.length === 0) throw new OptionError(`a score of ${task} needs the metrics of an evaluation`);
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Of an evaluation's metrics, those that GLUE reports of the task. Throws as {@linkcode glueScore}. */
export function glueMetrics({ name, metrics: reported }: GlueTask, metrics: Metrics): Metrics {
  return Object.fromEntries(reported.map((metric) => {
    const value = metrics[metric];
    if (value !== undefined) return [metric, value] as const;
    throw new OptionError(
      `GLUE's ${name} is scored by ${metric}, which is not among: ${Object.keys(metrics).join(", ")}`,
    );
  }));
}
