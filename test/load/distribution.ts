/** Many measured values in a few numbers. */

export interface Distribution {
  readonly count: number;
  readonly median: number;
  readonly p99: number;
  readonly max: number;
}

/** By nearest rank; zeros for no values. */
export function distribution(values: readonly number[]): Distribution {
  const sorted = values.toSorted((a, b) => a - b);
  const rank = (part: number): number => sorted[Math.ceil(part * sorted.length) - 1] ?? 0;
  return { count: sorted.length, median: rank(0.5), p99: rank(0.99), max: sorted.at(-1) ?? 0 };
}
