/** 1,000 link flaps in a row: afterwards our node holds what it held before, and reaches whom it reached. */

import t from 'tap';
import { flap, holdings } from '../interop/node/leaks.ts';
import { membersTest, ONE_WAY } from '../interop/node/suite.ts';
import { until } from '../netns/child.ts';

const FLAPS = 1000;
const WARMING_FLAPS = 50;
const MOST_MS = 20 * 60_000;
/** A heap that is full of short-lived objects differs by as much from one moment to the next. */
const GROWTH_MB = 15;

t.setTimeout(MOST_MS);

membersTest(
  'flaps: after 1,000 of them nothing is left over',
  ONE_WAY,
  { timeoutMs: MOST_MS },
  async (t, members, kinds) => {
    const a = await members.joined(kinds[0], 'a');
    await members.joined(kinds[1], 'b');
    await flap(a, WARMING_FLAPS);
    await until('a reaches b', async () => (await a.ping('b')) === 'direct', 30_000);
    const before = await holdings(a);
    await flap(a, FLAPS);
    await until('a reaches b', async () => (await a.ping('b')) === 'direct', 30_000);
    const after = await holdings(a);
    t.same(after.counts, before.counts);
    const [was, is] = [before.anonymousMb, after.anonymousMb].map(Math.round);
    t.ok(after.anonymousMb - before.anonymousMb < GROWTH_MB, `${was} MB, then ${is}`);
  },
);
