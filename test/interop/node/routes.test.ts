/** Networks behind members, with our node as the one that leads there and as the one that goes there. */

import { must } from '../../must.ts';
import { until } from '../../netns/child.ts';
import { UNDER_TEST } from '../control/server.ts';
import { nodeTest, PAIRS } from './suite.ts';

const SUBNET = '192.168.67.0/24';
const DEVICE = '192.168.67.10';
/** Of documentation: nobody's, so only the exit leads there; behind a hop, since an exit opens no LAN of its own. */
const OUTSIDE = '198.51.100.10';
const HOP = '203.0.113.10';
const EXITS = ['0.0.0.0/0', '::/0'] as const;
/** headscale tells a router of its own route two seconds after the others; a conversation in vain takes five. */
const [REACHED_MS, CHANGED_MS] = UNDER_TEST === 'headscale' ? [15_000, 15_000] : [5000, 10_000];

nodeTest(
  'routes: a subnet is reached while it is approved and accepted',
  PAIRS,
  {},
  async (t, { a, b, mesh }) => {
    const { server } = mesh;
    const device = await mesh.network.device('device', b.station);
    await mesh.serve(device);
    await b.cli(['set', `--advertise-routes=${SUBNET}`]);
    await a.cli(['set', '--accept-routes']);
    t.not(await mesh.talk(a.host, DEVICE), 'whole', 'announced is not approved');
    await server.approveRoutes('b', SUBNET);
    await until('a is told', async () => (await a.peer('b'))?.PrimaryRoutes?.includes(SUBNET));
    const reached = async (): Promise<boolean> => (await mesh.talk(a.host, DEVICE)) === 'whole';
    await until('it is reached', reached, REACHED_MS);
    t.equal(await mesh.talk(a.host, DEVICE, 2_000_000), 'whole', 'by larger pieces too');
    await a.cli(['set', '--accept-routes=false']);
    await until('not wanted', async () => (await mesh.talk(a.host, DEVICE)) !== 'whole');
    await a.cli(['set', '--accept-routes']);
    await until('wanted again', reached);

    await server.withdrawRoutes('b', SUBNET);
    await until('a is told', async () => (await a.peer('b'))?.PrimaryRoutes === undefined);
    t.not(await mesh.talk(a.host, DEVICE), 'whole', 'withdrawn');
  },
);

nodeTest(
  'routes: an exit node is one when it is approved, and used by who wants it',
  PAIRS,
  {},
  async (t, { a, b, mesh }) => {
    const outside = await mesh.network.lab.host('outside');
    await mesh.network.lab.link(outside, b.host, { a: [`${HOP}/24`], b: ['203.0.113.1/24'] });
    await outside.ip(`addr add ${OUTSIDE}/32 dev lo`);
    await b.host.ip(`route add ${OUTSIDE} via ${HOP}`);
    await b.host.forward();
    await mesh.serve(outside);
    await b.cli(['set', '--advertise-exit-node']);
    await mesh.server.approveRoutes('b', ...EXITS);
    await until('a is told', async () => must(await a.peer('b')).ExitNodeOption);
    t.not(await mesh.talk(a.host, OUTSIDE), 'whole', 'not by itself');
    await a.cli(['set', `--exit-node=${await b.ip4()}`]);
    await until(
      'a goes out there',
      async () => (await mesh.talk(a.host, OUTSIDE)) === 'whole',
      CHANGED_MS,
    );
    t.equal(await a.ping('b'), 'direct', 'and its own packets do not loop');
    await a.cli(['set', '--exit-node=']);
    t.not(await mesh.talk(a.host, OUTSIDE), 'whole');
  },
);
