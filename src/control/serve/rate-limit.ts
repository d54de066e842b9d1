/**
 * How often: a bucket of tokens for each group, full at first and filled again with time. A full bucket is the
 * same as none, so those that are not used are forgotten.
 */

import type { Millis } from '../../base/time.ts';
import type { Rate } from './limits.ts';

/** More groups than this at once are counted no longer, but refused: the buckets of a flood are forgotten first. */
const MAX_BUCKETS = 16_384;

interface Bucket {
  tokens: number;
  at: Millis;
}

export class RateLimit {
  readonly #rate: Rate;
  readonly #buckets = new Map<string, Bucket>();

  constructor(rate: Rate) {
    this.#rate = rate;
  }

  /** Takes a token. @returns 0, or in how many seconds there is one again */
  take(group: string | undefined, now: Millis): number {
    if (group === undefined) return 0;
    const { burst, perSecond } = this.#rate;
    let bucket = this.#buckets.get(group);
    if (bucket === undefined) {
      if (this.#buckets.size >= MAX_BUCKETS) this.forget(now);
      if (this.#buckets.size >= MAX_BUCKETS) return 1;
      bucket = { tokens: burst, at: now };
      this.#buckets.set(group, bucket);
    }
    bucket.tokens = this.#filled(bucket, now);
    bucket.at = now;
    if (bucket.tokens < 1) return Math.max(1, Math.ceil((1 - bucket.tokens) / perSecond));
    bucket.tokens--;
    return 0;
  }

  /** Lets go of the buckets that are full again. */
  forget(now: Millis): void {
    for (const [group, bucket] of this.#buckets)
      if (this.#filled(bucket, now) >= this.#rate.burst) this.#buckets.delete(group);
  }

  #filled({ tokens, at }: Bucket, now: Millis): number {
    const { burst, perSecond } = this.#rate;
    return Math.min(burst, tokens + ((now - at) / 1000) * perSecond);
  }
}
