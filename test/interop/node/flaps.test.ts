/**
 * A cable that is pulled and plugged in again and again: afterwards the node holds what it held before.
 *
 *     before and after: descriptors, nft rules, routes, policy rules; memory within a bound
 *
 * 50 times here; 1,000 in test/long.
 */

import { until } from '../../netns/child.ts';
import { flap, holdings } from './leaks.ts';
import { membersTest, ONE_WAY } from './suite.ts';

const FLAPS = 50;
/** The first ones make what is then kept: compiled code, buffers, a relay connection. */
const WARMING_FLAPS = 5;
const GROWTH_MB = 15;

membersTest(
  'flaps: after 50 of them nothing is left over',
  ONE_WAY,
  { timeoutMs: 150_000 },
  async (t, members, kinds) => {
    const a = await members.joined(kinds[0], 'a');
    await members.joined(kinds[1], 'b');
    t.equal(await a.ping('b'), 'direct');
    await flap(a, WARMING_FLAPS);
    await until('a reaches b', async () => (await a.ping('b')) === 'direct', 20_000);
    const before = await holdings(a);
    await flap(a, FLAPS);
    await until('a reaches b', async () => (await a.ping('b')) === 'direct', 20_000);
    const after = await holdings(a);
    t.same(after.counts, before.counts);
    t.ok(
      after.anonymousMb - before.anonymousMb < GROWTH_MB,
      `${Math.round(before.anonymousMb)} MB, then ${Math.round(after.anonymousMb)}`,
    );
  },
);
