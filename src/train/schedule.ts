// The learning rate over the steps: linear warm-up, then linear decay to zero.

/** What the schedule depends on. */
export interface ScheduleOptions {
  /** The highest learning rate, reached at the end of the warm-up. */
  readonly learningRate: number;
  readonly warmupSteps: number;
  readonly totalSteps: number;
}

/**
 * The learning rate of step `step` (from 0), as `get_linear_schedule_with_warmup` of Hugging Face's transformers:
 * the first step of a warm-up has learning rate 0.
 */
export function linearSchedule(step: number, options: ScheduleOptions): number {
  const { learningRate, warmupSteps, totalSteps } = options;
  if (step < warmupSteps) return learningRate * (step / Math.max(1, warmupSteps));
  return learningRate * Math.max(0, (totalSteps - step) / Math.max(1, totalSteps - warmupSteps));
}
