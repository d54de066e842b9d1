/**
 * Two routers for one prefix, and one of them fails.
 *
 *     a ──┬── left   ── 192.168.67.10, a device
 *         └── right  ── 192.168.67.10, another one with the same address, so that either answers
 */

import type { Test } from 'tap';
import { must } from '../../must.ts';
import { until } from '../../netns/child.ts';
import type { Client } from './client.ts';
import type { Mesh } from './mesh.ts';
import { NODE } from './mesh.ts';
import { UNDER_TEST } from './server.ts';
import { meshTest } from './suite.ts';

const SUBNET = '192.168.67.0/24';
const DEVICE = '192.168.67.10';
/** The traffic is on its new way within this. */
const MOVED_MS = 15_000;
const METRICS = 'http://127.0.0.1:9580/metrics';

type Fail = (mesh: Mesh, router: Client) => Promise<void>;

for (const [how, fail] of [
  ['killed', async (_mesh, router) => router.stop('killed')],
  ['cut off', async (mesh, router) => mesh.network.cut(router.station)],
] as const satisfies readonly (readonly [string, Fail])[])
  meshTest(
    `failover: a router is ${how}, the other carries on within 15 s`,
    {},
    async (t, mesh) => {
      const { a, primary, other } = await twoRouters(t, mesh);
      const failed = performance.now();
      await fail(mesh, primary);
      await until(
        'the device answers again',
        async () => (await mesh.talk(a.host, DEVICE)) === 'whole',
        MOVED_MS,
      );
      const took = performance.now() - failed;
      t.ok(took < MOVED_MS, `after ${Math.round(took)} ms`);
      t.same(await primaryOf(a), other.name, 'by the other router');

      if (how === 'killed') await primary.start();
      else await mesh.network.mend(primary.station);
      await until('it is back', async () => (await a.peer(primary.name))?.Online, 45_000);
      t.equal(await primaryOf(a), other.name, 'and what works is left where it is');
    },
  );

meshTest(
  'failover: routers answer their probes, and one that stands still is replaced within 15 s',
  {},
  async (t, mesh) => {
    const { a, primary, other } = await twoRouters(t, mesh);
    if (UNDER_TEST === 'ours') {
      const probes = await until('both have answered', async () => {
        const counts = await probesOf(mesh);
        return counts['answered'] === 2 && counts;
      });
      t.same(probes, { asked: 2, answered: 2, unanswered: 0 });
    }
    const stood = performance.now();
    primary.freeze();
    try {
      await until(
        'the device answers again',
        async () => (await mesh.talk(a.host, DEVICE)) === 'whole',
        MOVED_MS,
      );
      const took = performance.now() - stood;
      t.ok(took < MOVED_MS, `after ${Math.round(took)} ms`);
      t.equal(await primaryOf(a), other.name, 'by the other router');
    } finally {
      primary.thaw();
    }
  },
);

/** By outcome, as /metrics of our server counts them. */
async function probesOf({ network }: Mesh): Promise<Readonly<Record<string, number>>> {
  const show = 'fetch(process.argv[1]).then(async (got) => console.log(await got.text()))';
  const { stdout } = await network.hub.run([NODE, '-e', show, METRICS]);
  const lines = stdout.matchAll(/^postern_router_probes_total\{outcome="(\w+)"\} (\d+)$/gm);
  return Object.fromEntries(Array.from(lines, ([, outcome, count]) => [outcome, Number(count)]));
}

async function twoRouters(
  t: Test,
  mesh: Mesh,
): Promise<{ a: Client; primary: Client; other: Client }> {
  const [a, left, right] = await mesh.joined('alice', 'a', 'left', 'right');
  for (const router of [left, right]) {
    await mesh.serve(await mesh.network.device(`${router.name}-device`, router.station));
    await router.cli(['set', `--advertise-routes=${SUBNET}`]);
  }
  await a.cli(['set', '--accept-routes']);
  for (const router of [left, right]) await mesh.server.approveRoutes(router.name, SUBNET);
  const name = await until('one of them is primary', () => primaryOf(a));
  t.equal(await mesh.talk(a.host, DEVICE), 'whole');
  const [primary, other] = name === 'left' ? [left, right] : [right, left];
  return { a, primary, other };
}

/** The one router that the prefix goes to, as a client sees it. */
async function primaryOf(client: Client): Promise<string | undefined> {
  const peers = Object.values(must((await client.status()).Peer));
  const primaries = peers.filter(({ PrimaryRoutes }) => PrimaryRoutes?.includes(SUBNET));
  if (primaries.length > 1) throw new Error('two primaries for one prefix');
  return primaries[0]?.DNSName.split('.')[0];
}
