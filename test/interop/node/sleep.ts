/**
 * A laptop that was shut: its NAT has forgotten it, its connections are dead without a word, and its clock says that
 * an hour has gone by. How long it takes then until traffic flows.
 */

import { setTimeout as pause } from 'node:timers/promises';
import { until } from '../../netns/child.ts';
import type { Client } from '../control/client.ts';
import type { Members, Pair } from './members.ts';
import { NatNetwork } from './nat-network.ts';
import { SleptClock } from './slept-clock.ts';
import { answers, pingOn } from './traffic.ts';

const HOUR_SECONDS = 3600;
/** Before conntrack, which would remember for whatever comes. */
const NOTHING_PASSES =
  'table inet asleep { chain nothing { type filter hook prerouting priority raw; policy drop; }; }';
/** So soon the router forgets; what is in use is told by its next packet. */
const FORGETS_SECONDS = 2;

export interface Woken {
  readonly sleeper: Client;
  /** From its waking to the first answer. */
  readonly tookMs: number;
}

/**
 * @param kinds who sleeps, and who does not
 * @param speaks who pings: the sleeper also in its sleep, the other only once it is awake
 * @param asleepMs by everybody else's clock
 */
export async function sleepAndWake(
  members: Members,
  kinds: Pair,
  speaks: 'the sleeper' | 'the other',
  asleepMs: number,
): Promise<Woken> {
  const nats = await NatNetwork.create(members.network);
  const { station, router } = await nats.routed('port-restricted', 'sleeper');
  const clock = new SleptClock(members.network.folder);
  const sleeper = await members.joined(kinds[0], 'sleeper', station, { env: clock.env });
  const other = await members.joined(kinds[1], 'other');
  const [from, to] = speaks === 'the sleeper' ? [sleeper, other] : [other, sleeper];
  const address = await to.ip4();
  await until('it goes directly', async () => (await from.ping(address)) === 'direct', 20_000);
  const before = pingOn(from.host, address);
  await until('pings come back', () => answers(before).length > 10);

  for (const [key, value] of [
    ['udp_timeout', FORGETS_SECONDS],
    ['udp_timeout_stream', FORGETS_SECONDS],
    ['tcp_timeout_established', FORGETS_SECONDS],
    ['tcp_loose', 0],
  ] as const)
    await router.sysctl(`net.netfilter.nf_conntrack_${key}`, value);
  await pause(500);
  if (speaks === 'the other') await before.stop();
  sleeper.freeze();
  await router.nft(NOTHING_PASSES);
  const asleep = Date.now();
  await pause(asleepMs);
  await router.nft('delete table inet asleep');
  if (answers(before).some(({ at }) => at > asleep)) throw new Error('it did not sleep');
  clock.slept(HOUR_SECONDS, Math.floor((Date.now() - asleep) / 1000));
  sleeper.thaw();
  const awake = Date.now();
  const pings = speaks === 'the other' ? pingOn(from.host, address) : before;
  const first = await until(
    'a ping comes back',
    () => answers(pings).find(({ at }) => at >= awake),
    20_000,
  );
  await until('it goes directly', async () => (await from.ping(address)) === 'direct', 10_000);
  await sleeper.running();
  return { sleeper, tookMs: first.at - awake };
}
