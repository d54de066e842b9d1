/**
 * Whether the machine has slept: one clock goes on meanwhile (CLOCK_BOOTTIME, Env), the other does not
 * (CLOCK_MONOTONIC). Timers run by the second, so after an hour of sleep none of them is due; what was known of
 * paths and connections is an hour old all the same.
 *
 * Source: clock_gettime(2).
 */

import type { Env } from './base/env.ts';
import { after, seconds } from './base/time.ts';

const EVERY = seconds(2);
const SLEPT_MILLIS = 3000;

/** @param awake milliseconds of the clock that sleeps with the machine */
export function watchSuspend(
  env: Pick<Env, 'now' | 'setTimer'>,
  awake: () => number,
  resumed: (millis: number) => void,
): () => void {
  let ahead = env.now() - awake();
  let cancel: () => void = () => {};
  const look = (): void => {
    const slept = env.now() - awake() - ahead;
    ahead += slept;
    if (slept >= SLEPT_MILLIS) resumed(slept);
    cancel = env.setTimer(after(env.now(), EVERY), look);
  };
  cancel = env.setTimer(after(env.now(), EVERY), look);
  return () => cancel();
}
