// Mean and standard deviation of a few measured values, such as a metric over seeds.

/** Of values that vary by chance. */
export interface Spread {
  readonly mean: number;
  /** The sample's, with n - 1 below; null of a single value. */
  readonly standardDeviation: number | null;
}

/** The mean and the sample standard deviation, as Python's `statistics.mean` and `stdev`; of none the mean is NaN. */
export function spread(values: readonly number[]): Spread {
  // From the first value on, so that equal values have exactly their value as the mean.
  const [first = NaN] = values;
  const mean = values.reduce((sum, value) => sum + (value - first) / values.length, first);
  if (values.length < 2) return { mean, standardDeviation: null };
  const length = Math.hypot(...values.map((value) => value - mean));
  return { mean, standardDeviation: length / Math.sqrt(values.length - 1) };
}
