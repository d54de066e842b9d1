/**
 * Reasons to doubt a path, bounded: whoever can send pings from ever new places cannot keep it doubted. One that
 * comes too soon after the last is kept, and counts when its time has come, unless the path has answered since.
 */

import type { Millis } from '../../base/time.ts';
import { after, NEVER, seconds } from '../../base/time.ts';
import { LONG_AGO } from './candidates.ts';

const AGAIN: Millis = seconds(1);

export class Suspicion {
  #lastAt: Millis = LONG_AGO;
  #keptSince: Millis = NEVER;

  /** When one that is kept counts; NEVER where none is. */
  get dueAt(): Millis {
    return this.#keptSince === NEVER ? NEVER : after(this.#lastAt, AGAIN);
  }

  /** @returns whether it counts now */
  raise(now: Millis): boolean {
    if (now >= this.#lastAt + AGAIN) {
      this.#lastAt = now;
      this.#keptSince = NEVER;
      return true;
    }
    if (this.#keptSince === NEVER) this.#keptSince = now;
    return false;
  }

  /** The path has answered a ping that was sent then. */
  answered(sentAt: Millis): void {
    if (sentAt > this.#keptSince) this.#keptSince = NEVER;
  }

  /** The path is another, of which nothing bad is known. */
  forget(): void {
    this.#keptSince = NEVER;
  }
}
