/**
 * What a stateful room is handed instead of reaching for it: time, chance and the log. Main gives the real
 * ones, a simulation its own.
 */

import type { Log } from './log.ts';
import type { Millis, UnixMillis } from './time.ts';

export interface Env {
  /** Monotonic, counting through suspend (CLOCK_BOOTTIME). */
  now(): Millis;
  wall(): UnixMillis;
  /** Unpredictable bytes. */
  random(lengthBytes: number): Uint8Array;
  /** Calls `action` once, at `at` or a little later; the result cancels it. */
  setTimer(at: Millis, action: () => void): () => void;
  readonly log: Log;
}
