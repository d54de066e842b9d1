/** The way between two members, as it closes and opens under traffic. */

import { setTimeout as pause } from 'node:timers/promises';
import { until } from '../../netns/child.ts';
import type { Station } from '../control/network.ts';
import { nodeTest, PAIRS } from './suite.ts';
import { answers, longestGap, pingOn } from './traffic.ts';

/** Until a path that is open again is taken. */
const DIRECT_AGAIN_MS = 10_000;
/** Of two measurements side by side, on two cores that others share. */
const MARGIN_MS = 1000;
const CLOSED_MS = 12_000;

nodeTest(
  'paths: without UDP the relay carries all of it, and direct within 10 s after it is there',
  PAIRS,
  {},
  async (t, { a, b, mesh }) => {
    const { network } = mesh;
    await Promise.all([network.dropUdp(a.station), network.dropUdp(b.station)]);
    await mesh.serve(b.host);
    t.equal(await a.ping('b', 2), 'relay');
    t.equal(await b.ping('a', 2), 'relay');
    t.equal(await mesh.talk(a.host, await b.ip4()), 'whole');
    await network.dropHub(a.station);
    t.equal(await mesh.talk(a.host, await b.ip4()), 'no answer', 'without relay and UDP: nothing');

    await network.allowHub(a.station);
    await until('the relay is back', async () => (await a.ping('b', 1)) !== undefined, 20_000);
    await Promise.all([network.allowUdp(a.station), network.allowUdp(b.station)]);
    const opened = performance.now();
    await until('direct', async () => (await a.ping('b', 1)) === 'direct', DIRECT_AGAIN_MS + 2000);
    const took = performance.now() - opened;
    t.ok(took < DIRECT_AGAIN_MS, `${Math.round(took)} ms`);
    t.equal(await mesh.talk(a.host, await b.ip4()), 'whole');
  },
);

nodeTest(
  'paths: one that dies in silence under traffic is left as soon as a stock pair leaves it',
  PAIRS,
  { timeoutMs: 150_000 },
  async (t, { a, b, members }) => {
    const c = await members.joined('stock', 'c');
    const d = await members.joined('stock', 'd');
    t.equal(await a.ping('b'), 'direct');
    t.equal(await c.ping('d'), 'direct');
    const [mine, theirs] = [pingOn(a.host, await b.ip4()), pingOn(c.host, await d.ip4())];
    await until('both answer', () => answers(mine).length > 10 && answers(theirs).length > 10);
    const stations = [a, b, c, d].map(({ station }) => station);
    const closed = Date.now();
    await Promise.all(stations.map(deafen));
    await pause(CLOSED_MS);
    const [gap, stock] = [longestGap(mine, closed), longestGap(theirs, closed)];
    t.ok(gap < CLOSED_MS - 1000, `it goes on by the relay after ${Math.round(gap)} ms`);
    t.ok(gap <= stock + MARGIN_MS, `a stock pair beside it after ${Math.round(stock)} ms`);

    await Promise.all(stations.map(hear));
    const opened = performance.now();
    await until('direct', async () => (await a.ping('b', 1)) === 'direct', DIRECT_AGAIN_MS + 2000);
    const took = performance.now() - opened;
    t.ok(took < DIRECT_AGAIN_MS, `direct again after ${Math.round(took)} ms`);
    await Promise.all([mine.stop(), theirs.stop()]);
  },
);

const DEAF = 'inet lab-deaf';

/** What comes by UDP is lost, and nobody is told. */
async function deafen({ host, cable }: Station): Promise<void> {
  await host.nft(`
    table ${DEAF} {
      chain in {
        type filter hook prerouting priority raw
        iifname "${cable.a.interface}" meta l4proto udp drop
      }
    }`);
}

async function hear({ host }: Station): Promise<void> {
  await host.run(['nft', 'delete', 'table', ...DEAF.split(' ')]);
}
