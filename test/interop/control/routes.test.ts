/** Networks behind nodes: announced, approved, reached; not approved, not reached. */

import { must } from '../../must.ts';
import { until } from '../../netns/child.ts';
import { meshTest } from './suite.ts';

const SUBNET = '192.168.67.0/24';
const DEVICE = '192.168.67.10';
/** Of documentation: nobody's, so only the exit leads there; behind a hop, since an exit opens no LAN of its own. */
const OUTSIDE = '198.51.100.10';
const HOP = '203.0.113.10';
const EXITS = ['0.0.0.0/0', '::/0'] as const;

meshTest(
  'routes: a subnet is reached while it is approved, by its own users',
  {},
  async (t, mesh) => {
    const { server } = mesh;
    const [a, shy, router] = await mesh.joined('alice', 'a', 'shy', 'router');
    const [stranger] = await mesh.joined('bob', 'stranger');
    const device = await mesh.network.device('device', router.station);
    await mesh.serve(device);
    for (const client of [a, stranger]) await client.cli(['set', '--accept-routes']);
    await router.cli(['set', `--advertise-routes=${SUBNET}`]);
    t.not(await mesh.talk(a.host, DEVICE), 'whole', 'announced is not approved');
    t.same(must(await a.peer('router')).PrimaryRoutes ?? [], []);

    await server.approveRoutes('router', SUBNET);
    await until('a is told', async () => (await a.peer('router'))?.PrimaryRoutes?.includes(SUBNET));
    t.equal(await mesh.talk(a.host, DEVICE), 'whole');
    t.not(await mesh.talk(shy.host, DEVICE), 'whole', 'who does not accept routes');
    t.not(await mesh.talk(stranger.host, DEVICE), 'whole', 'another user');

    await server.withdrawRoutes('router', SUBNET);
    await until('a is told', async () => (await a.peer('router'))?.PrimaryRoutes === undefined);
    t.not(await mesh.talk(a.host, DEVICE), 'whole', 'withdrawn');
  },
);

meshTest('routes: an exit node is one only when it is approved', {}, async (t, mesh) => {
  const [a, exit] = await mesh.joined('alice', 'a', 'exit');
  const outside = await mesh.network.lab.host('outside');
  await mesh.network.lab.link(outside, exit.host, {
    a: [`${HOP}/24`],
    b: ['203.0.113.1/24'],
  });
  await outside.ip(`addr add ${OUTSIDE}/32 dev lo`);
  await exit.host.ip(`route add ${OUTSIDE} via ${HOP}`);
  await exit.host.forward();
  await mesh.serve(outside);
  await exit.cli(['set', '--advertise-exit-node']);
  const address = await exit.ip4();
  const early = await a.tried(['set', `--exit-node=${address}`]);
  t.not(early.code, 0);
  t.match(early.stderr, /exit node/, 'the client knows none');

  await mesh.server.approveRoutes('exit', ...EXITS);
  await until('a is told', async () => (await a.peer('exit'))?.ExitNodeOption);
  t.not(await mesh.talk(a.host, OUTSIDE), 'whole', 'an exit is used by who wants it');
  await a.cli(['set', `--exit-node=${address}`]);
  await until('a goes out there', async () => (await mesh.talk(a.host, OUTSIDE)) === 'whole');
  await a.cli(['set', '--exit-node=']);
  t.not(await mesh.talk(a.host, OUTSIDE), 'whole');
});
