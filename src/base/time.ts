/**
 * Durations and instants. `Millis` is monotonic and counts through suspend; `UnixMillis` is wall time and
 * may jump. The brands keep the two from being compared.
 */

declare const brand: unique symbol;

/** A monotonic instant, or a duration, in milliseconds. */
export type Millis = number & { readonly [brand]: 'Millis' };

/** Wall time: milliseconds since 1970-01-01T00:00Z. */
export type UnixMillis = number & { readonly [brand]: 'UnixMillis' };

/** Later than every instant: "never". */
export const NEVER: Millis = Number.POSITIVE_INFINITY as Millis;

export const millis = (value: number): Millis => value as Millis;
export const seconds = (value: number): Millis => (value * 1000) as Millis;
export const unixMillis = (value: number): UnixMillis => value as UnixMillis;

/** `instant` moved by `duration`. */
export const after = (instant: Millis, duration: Millis): Millis => (instant + duration) as Millis;
