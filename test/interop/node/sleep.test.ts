/**
 * A laptop that was shut for an hour: its NAT has forgotten it, its connections are dead without a word, and traffic
 * flows again within 3 s of its waking.
 */

import { setTimeout as pause } from 'node:timers/promises';
import { until } from '../../netns/child.ts';
import { NatNetwork } from './nat-network.ts';
import { UNDER_TEST } from './ours.ts';
import { SleptClock } from './slept-clock.ts';
import { membersTest, ONE_WAY } from './suite.ts';
import { answers, pingOn } from './traffic.ts';

const HOUR_SECONDS = 3600;
const AWAKE_MS = 3000;
/** The router forgets after 2 s of silence. */
const ASLEEP_MS = 6000;
/** Before conntrack, which would remember for whatever comes. */
const NOTHING_PASSES =
  'table inet asleep { chain nothing { type filter hook prerouting priority raw; policy drop; }; }';

membersTest(
  'sleep: after an hour of it traffic flows within 3 s',
  ONE_WAY,
  { skip: UNDER_TEST !== 'ours' && 'its clock cannot be set' },
  async (t, members, kinds) => {
    const nats = await NatNetwork.create(members.network);
    const { station, router } = await nats.routed('port-restricted', 'sleeper');
    const clock = new SleptClock(members.network.folder);
    const sleeper = await members.joined(kinds[0], 'sleeper', station, { env: clock.env });
    const other = await members.joined(kinds[1], 'other');
    const isDirect = async (): Promise<boolean> => (await sleeper.ping('other')) === 'direct';
    await until('it goes directly', isDirect, 20_000);
    const pings = pingOn(sleeper.host, await other.ip4(), 100);
    await until('pings come back', () => answers(pings).length > 10);

    for (const [key, value] of [
      ['udp_timeout', 2],
      ['udp_timeout_stream', 2],
      ['tcp_timeout_established', 2],
      ['tcp_loose', 0],
    ])
      await router.sysctl(`net.netfilter.nf_conntrack_${key}`, String(value));
    // What is in use is told the new times by its next packet.
    await pause(500);
    sleeper.freeze();
    await router.nft(NOTHING_PASSES);
    await pause(ASLEEP_MS);
    await router.nft('delete table inet asleep');
    const asleepUntil = Date.now();
    t.ok(
      answers(pings).every(({ at }) => at < asleepUntil - ASLEEP_MS + 1000),
      'it slept',
    );
    clock.add(HOUR_SECONDS);
    sleeper.thaw();
    const awake = Date.now();
    const first = await until(
      'a ping comes back',
      () => answers(pings).find(({ at }) => at >= awake),
      20_000,
    );
    t.ok(first.at - awake < AWAKE_MS, `after ${Math.round(first.at - awake)} ms`);
    t.match(sleeper.child.output, /slept/, 'and the node knows that it slept');
    await until('it goes directly', isDirect, 10_000);
    await sleeper.running();
  },
);
