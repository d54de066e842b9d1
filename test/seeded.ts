/**
 * Chance that can be replayed: the same seed gives the same run, so that a failing round is a fact.
 * SplitMix32 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014, narrowed to 32
 * bits); good enough to choose test cases, never for keys.
 */
export interface Seeded {
  /** A whole number of at least 0 and less than `limit`, which is at most 2^32. */
  below(limit: number): number;
  bytes(length: number): Uint8Array;
  /** One of `values`. */
  pick<T>(values: readonly T[]): T;
}

export function seeded(seed: number): Seeded {
  let state = seed >>> 0;
  const word = (): number => {
    state = (state + 0x9e3779b9) >>> 0;
    let z = state;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return (z ^ (z >>> 15)) >>> 0;
  };
  const below = (limit: number): number => word() % limit;
  return {
    below,
    bytes: (length) => Uint8Array.from({ length }, () => word() & 0xff),
    pick: (values) => values[below(values.length)] as (typeof values)[number],
  };
}
