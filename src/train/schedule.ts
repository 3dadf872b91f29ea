// The learning rate over the steps: it rises in the warm-up, and then falls or stays.

/** The courses that a learning rate can take after its warm-up. */
export const schedules = ["linear", "cosine", "constant"] as const;

/** Down to zero along a line or half a cosine, or as it is. */
export type Schedule = typeof schedules[number];

/** What the schedule depends on. */
export interface ScheduleOptions {
  /** Default `linear`. */
  readonly schedule?: Schedule | undefined;
  /** The highest learning rate, reached at the end of the warm-up. */
  readonly learningRate: number;
  readonly warmupSteps: number;
  readonly totalSteps: number;
}

// The part of the highest learning rate after the warm-up, by the part of the steps after it that is done.
const courses: Readonly<Record<Schedule, (done: number, left: number) => number>> = {
  linear: (_, left) => Math.max(0, left),
  cosine: (done) => Math.max(0, 0.5 * (1 + Math.cos(Math.PI * done))),
  constant: () => 1,
};

/**
 * The learning rate of step `step` (from 0), as `get_linear_schedule_with_warmup`, `get_cosine_schedule_with_warmup` and
 * `get_constant_schedule_with_warmup` of Hugging Face's transformers: the first step of a warm-up has learning rate 0.
 */
export function learningRateAt(step: number, options: ScheduleOptions): number {
  const { schedule = "linear", learningRate, warmupSteps, totalSteps } = options;
  if (step < warmupSteps) return learningRate * (step / Math.max(1, warmupSteps));
  const after = Math.max(1, totalSteps - warmupSteps);
  return learningRate * courses[schedule]((step - warmupSteps) / after, (totalSteps - step) / after);
}

/** {@linkcode learningRateAt} for the linear schedule. */
export function linearSchedule(step: number, options: Omit<ScheduleOptions, "schedule">): number {
  return learningRateAt(step, { ...options, schedule: "linear" });
}
