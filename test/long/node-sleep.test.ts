/** The other end of a sleep (interop/node/sleep.test.ts): its session ends by its own clock, after three minutes. */

import t from 'tap';
import { UNDER_TEST } from '../interop/node/ours.ts';
import { sleepAndWake } from '../interop/node/sleep.ts';
import { membersTest, ONE_WAY } from '../interop/node/suite.ts';

const ASLEEP_MS = 190_000;
const MOST_MS = 300_000;

t.setTimeout(MOST_MS);

membersTest(
  'sleep: who has slept is reached within 3 s',
  ONE_WAY,
  { timeoutMs: MOST_MS, skip: UNDER_TEST !== 'ours' && 'its clock cannot be set' },
  async (t, members, kinds) => {
    const { tookMs } = await sleepAndWake(members, kinds, 'the other', ASLEEP_MS);
    t.ok(tookMs < 3000, `after ${Math.round(tookMs)} ms`);
  },
);
