// Mean and standard deviation of a few measured values, such as a metric over seeds.

/** Of values that vary by chance. */
export interface Spread {
  readonly mean: number;
  /** The sample's, with n - 1 below; null of a single value. */
  readonly standardDeviation: number | null;
}

/** The mean and the sample standard deviation, as Python's `statistics.mean` and `stdev`; of none the mean is NaN. */
export function spread(values: readonly number[]): Spread {
  const mean = values.reduce((sum, value) => sum + value / values.length, values.length === 0 ? NaN : 0);
  if (values.length < 2) return { mean, standardDeviation: null };
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0);
  return { mean, standardDeviation: Math.sqrt(squares / (values.length - 1)) };
}
