/** What an administrator does to a node, and how soon its client and its peers know. */

import { must } from '../../must.ts';
import { until } from '../../netns/child.ts';
import { meshTest } from './suite.ts';

/** A right that has ended is over, and its holder told, within this. */
const CUT_OFF_MS = 5000;

meshTest('expire: the client must log in again, and keeps its address', {}, async (t, mesh) => {
  const { server } = mesh;
  const [a, b] = await mesh.joined('alice', 'a', 'b');
  const before = await b.status();
  await server.expire('b');
  await b.state('NeedsLogin', CUT_OFF_MS);
  await until(
    'a reaches it no more',
    async () => (await a.ping(must(before.Self.TailscaleIPs[0]), 1)) === undefined,
    CUT_OFF_MS,
  );
  await b.up(await server.createKey({ user: 'alice' }), '--force-reauth');
  const after = await b.status();
  t.same(after.Self.TailscaleIPs, before.Self.TailscaleIPs);
  t.equal(after.Self.ID, before.Self.ID);
  await until('a reaches it again', async () => (await a.ping('b')) === 'direct', 10_000);
});

meshTest('expire: a later date brings the client back without a login', {}, async (t, mesh) => {
  const { server } = mesh;
  const [a, b] = await mesh.joined('alice', 'a', 'b');
  const before = (await b.status()).Self;
  await server.expire('b');
  await b.state('NeedsLogin', CUT_OFF_MS);
  const day = new Date(Date.now() + 24 * 3_600_000).toISOString().replace(/\.\d+/, '');
  await server.expire('b', day);
  const after = (await b.running()).Self;
  t.equal(after.PublicKey, before.PublicKey);
  t.equal(after.KeyExpiry, day);
  await until('a reaches it again', async () => (await a.ping('b')) === 'direct', 10_000);
});

meshTest('re-authentication: a new node key on approval, the same node', {}, async (t, mesh) => {
  const { server } = mesh;
  const [a, b] = await mesh.joined('alice', 'a', 'b');
  const before = (await b.status()).Self;
  const login = await b.login('--force-reauth');
  t.equal(must(await a.peer('b')).PublicKey, before.PublicKey, 'the old key until then');
  await server.approve(login.url, 'alice');
  t.equal(await login.ended, 0);
  const after = (await b.running()).Self;
  t.not(after.PublicKey, before.PublicKey);
  t.same(after.TailscaleIPs, before.TailscaleIPs);
  t.equal(after.ID, before.ID);
  await until('a has the new key', async () => (await a.peer('b'))?.PublicKey === after.PublicKey);
  await until('and reaches it', async () => (await a.ping('b')) === 'direct', 10_000);
});

meshTest('delete: the node is cut off within 5 s and told so', {}, async (t, mesh) => {
  const { server } = mesh;
  const [a, b] = await mesh.joined('alice', 'a', 'b');
  const address = await b.ip4();
  await mesh.serve(b.host);
  t.equal(await mesh.talk(a.host, address), 'whole');
  const key = await server.createKey({ user: 'alice' });
  await server.remove('b');
  await Promise.all([
    until('a has it no more', async () => !(await a.peer('b')), CUT_OFF_MS),
    b.state('NeedsLogin', CUT_OFF_MS),
  ]);
  t.not(await mesh.talk(a.host, address), 'whole');
  t.same(
    (await server.nodes()).map(({ name }) => name),
    ['a'],
  );
  await b.up(key);
  t.not(await b.ip4(), address, 'its address rests');
  t.equal(await a.ping('b'), 'direct');
});

meshTest(
  'ephemeral: deleted when it has been away, and nobody else is',
  { ephemeralAfter: '2s' },
  async (t, mesh) => {
    const { server } = mesh;
    await server.createUser('alice');
    const [a, lasting, passing] = await Promise.all(
      ['a', 'lasting', 'passing'].map((name) => mesh.client(name)),
    );
    const key = await server.createKey({ user: 'alice', reusable: true });
    await Promise.all([must(a).up(key), must(lasting).up(key)]);
    await must(passing).up(await server.createKey({ user: 'alice', ephemeral: true }));
    await Promise.all([must(lasting).stop('killed'), must(passing).stop('killed')]);
    const names = async (): Promise<string> =>
      (await server.nodes())
        .map(({ name }) => name)
        .sort()
        .join(' ');
    await until('the passing one is gone', async () => (await names()) === 'a lasting', 30_000);
    await until('a sees it so', async () => !(await must(a).peer('passing')));
    t.ok(await must(a).peer('lasting'));
    await must(lasting).start();
    await must(lasting).running();
    t.equal(await names(), 'a lasting');
  },
);

meshTest('tags: a tagged node belongs to nobody, so no user reaches it', {}, async (t, mesh) => {
  const { server } = mesh;
  const [a, b] = await mesh.joined('alice', 'a', 'b');
  const robot = await mesh.client('robot');
  await robot.up(await server.createKey({ tags: ['tag:server'] }));
  t.same((await robot.status()).Self.Tags, ['tag:server']);
  t.notOk(await a.peer('robot'));
  t.ok(await a.peer('b'));
  await server.tag('b', 'tag:server');
  await until('a has b no more', async () => !(await a.peer('b')), CUT_OFF_MS);
  t.same((await b.status()).Self.Tags, ['tag:server']);
  t.equal((await b.status()).BackendState, 'Running', 'it is a member still');
  const c = await mesh.client('c');
  const key = await server.createKey({ user: 'alice' });
  t.match(await c.refusedUp(key, '--advertise-tags=tag:server'), /tag/, 'nobody tags himself');
});
