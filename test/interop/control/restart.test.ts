/** What a restart of either side, and a logout, leave as it was. */

import { must } from '../../must.ts';
import { until } from '../../netns/child.ts';
import { meshTest } from './suite.ts';

/** How long clients take to come back after the server does. */
const BACK_MS = 30_000;

meshTest(
  'restart: a client comes back as the same node, its key not asked again',
  {},
  async (t, mesh) => {
    const { server } = mesh;
    await server.createUser('alice');
    const [a, b] = [await mesh.client('a'), await mesh.client('b')];
    for (const client of [a, b]) await client.up(await server.createKey({ user: 'alice' }));
    const before = await b.status();
    await b.stop();
    await until(
      'a sees that b is gone',
      async () => must(await a.peer('b')).Online === false,
      20_000,
    );
    await b.start();
    const after = await b.running();
    t.same(after.Self.TailscaleIPs, before.Self.TailscaleIPs);
    t.equal(after.Self.ID, before.Self.ID);
    await until('a sees it online', async () => must(await a.peer('b')).Online);
    t.equal(await a.ping('b'), 'direct');
    t.equal((await server.nodes()).length, 2);
  },
);

meshTest(
  'restart: a server that was killed knows everybody, and peers talked on without it',
  {},
  async (t, mesh) => {
    const { server } = mesh;
    const [a, b] = await mesh.joined('alice', 'a', 'b');
    const key = await server.createKey({ user: 'alice' });
    t.equal(await a.ping('b'), 'direct');
    await mesh.serve(b.host);
    t.equal(await mesh.talk(a.host, 'b'), 'whole');
    const facts = async (): Promise<unknown> =>
      (await server.nodes()).map(({ id, name, addresses }) => ({ id, name, addresses }));
    const before = await facts();
    const expiry = (await a.status()).Self.KeyExpiry;
    await server.child.stop('SIGKILL');
    t.equal(await mesh.talk(a.host, 'b'), 'whole', 'without any server');

    await server.again();
    const came = performance.now();
    await until(
      'both are online again',
      async () => (await server.nodes()).every(({ online }) => online),
      BACK_MS,
    );
    t.comment(`all back after ${Math.round(performance.now() - came)} ms`);
    t.same(await facts(), before, 'the same names and addresses');
    t.equal((await a.status()).Self.KeyExpiry, expiry, 'and no key is younger for it');
    t.equal(await a.ping('b'), 'direct');
    const c = await mesh.client('c');
    await c.up(key);
    await until('a is told of a new one', () => a.peer('c'), BACK_MS);
  },
);

meshTest('logout: the node is out at once, and back in with its address', {}, async (t, mesh) => {
  const { server } = mesh;
  const [a, b] = await mesh.joined('alice', 'a', 'b');
  const address = await b.ip4();
  t.equal(await a.ping('b'), 'direct');
  await b.cli(['logout']);
  await b.state('NeedsLogin');
  await until('a knows', async () => (await a.peer('b'))?.Expired ?? true);
  t.equal(await a.ping(address, 1), undefined);

  await b.up(await server.createKey({ user: 'alice' }));
  t.equal(await b.ip4(), address);
  await until('a sees it again', async () => (await a.peer('b'))?.Online);
  t.equal(await a.ping('b'), 'direct');
  t.equal((await server.nodes()).length, 2, 'one entry for each machine');
});
