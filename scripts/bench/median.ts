/** Medians, and how far repeats of a measurement lie apart. */

/** Of an even number, the mean of the middle two. @throws Error for no values */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const high = sorted[sorted.length >> 1];
  const low = sorted[(sorted.length - 1) >> 1];
  if (high === undefined || low === undefined) throw new Error('median of nothing');
  return (low + high) / 2;
}

/** The widest distance between two of `values`, as a part of their median. */
export function spread(values: readonly number[]): number {
  return (Math.max(...values) - Math.min(...values)) / median(values);
}
