import { UNDER_TEST } from './ours.ts';
import { sleepAndWake } from './sleep.ts';
import { membersTest, ONE_WAY } from './suite.ts';

/** The router has forgotten by then. */
const ASLEEP_MS = 6000;

membersTest(
  'sleep: after an hour of it what it wants to send is there within 3 s',
  ONE_WAY,
  { skip: UNDER_TEST !== 'ours' && 'its clock cannot be set' },
  async (t, members, kinds) => {
    const { sleeper, tookMs } = await sleepAndWake(members, kinds, 'the sleeper', ASLEEP_MS);
    t.ok(tookMs < 3000, `after ${Math.round(tookMs)} ms`);
    // It looks every two seconds.
    await sleeper.child.says(/the machine has slept/, 5000);
  },
);
