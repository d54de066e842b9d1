/** A machine that has slept is noticed, and one that is only slow is not. */

import t from 'tap';
import type { Millis } from '../../../src/base/time.ts';
import { watchSuspend } from '../../../src/suspend-watch.ts';

t.test('suspend: an hour of sleep is told once, a slow timer never', async (t) => {
  let boot = 1_000_000;
  let awake = 5000;
  let due: (() => void) | undefined;
  const slept: number[] = [];
  const env = {
    now: () => boot as Millis,
    setTimer: (_at: Millis, action: () => void) => {
      due = action;
      return () => {
        due = undefined;
      };
    },
  };
  const stop = watchSuspend(
    env,
    () => awake,
    (millis) => slept.push(millis),
  );
  const pass = (millis: number, sleep = 0): void => {
    boot += millis + sleep;
    awake += millis;
    due?.();
  };
  pass(2000);
  pass(60_000);
  t.same(slept, [], 'a timer that is late by a minute');
  pass(2000, 3_600_000);
  t.same(slept, [3_600_000]);
  pass(2000);
  t.same(slept, [3_600_000], 'and then no more');
  stop();
  t.equal(due, undefined, 'nothing is left to run');
});
