/**
 * Health items: what a person must act on, in plain words. A room raises one by its code and lowers it when
 * it is over; the same item is shown by every status page and verb.
 */

export interface HealthItem {
  /** Stable, for scripts: `aead-fallback`. */
  readonly code: string;
  readonly severity: 'notice' | 'warning' | 'error';
  readonly text: string;
  /** What to do about it. */
  readonly remedy: string;
}
