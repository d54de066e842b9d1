/** Stock clients join, by key and by URL; what they then see and reach, and what others do not. */

import { setTimeout as pause } from 'node:timers/promises';
import { must } from '../../must.ts';
import { until } from '../../netns/child.ts';
import { meshTest } from './suite.ts';

meshTest('join: two clients by key reach each other directly, by name', {}, async (t, mesh) => {
  const [a, b] = await mesh.joined('alice', 'a', 'b');
  t.equal(must(await a.peer('b')).DNSName, 'b.mesh.internal.');
  t.equal(must(await b.peer('a')).Online, true);
  t.equal(await a.ping('b'), 'direct');
  t.equal(await b.ping(await a.ip4()), 'direct');

  await mesh.serve(b.host);
  t.equal(await mesh.talk(a.host, 'b.mesh.internal'), 'whole', 'TCP by the whole name');
  t.equal(await mesh.talk(a.host, 'b'), 'whole', 'and by the short one');
  t.match(await mesh.talk(a.host, 'c.mesh.internal'), /ENOTFOUND/, 'a name that nobody has');

  t.match((await a.cli(['dns', 'query', 'b.mesh.internal'])).stdout, await b.ip4());
  t.match((await a.cli(['dns', 'query', 'c.mesh.internal'])).stdout, /NameError/);
  t.match(await a.whois(await b.ip4()), { node: 'b.mesh.internal.', user: /^alice/ });
  const report = JSON.parse((await a.cli(['netcheck', '--format=json'])).stdout);
  t.match(report, { UDP: true, GlobalV4: new RegExp(`^${a.station.address}:`) }, 'STUN');
  t.equal(report.PreferredDERP, Number(Object.keys(report.RegionLatency)[0]), 'and a home relay');
});

meshTest('join: over HTTPS with a certificate from files', { secure: true }, async (t, mesh) => {
  const [a, b] = await mesh.joined('alice', 'a', 'b');
  t.match(mesh.server.url, /^https:/);
  const { network } = mesh;
  await Promise.all([network.dropUdp(a.station), network.dropUdp(b.station)]);
  t.equal(await a.ping('b', 2), 'relay', 'the relay is behind the same port');
  await mesh.server.child.stop('SIGKILL');
  await mesh.server.again();
  const c = await mesh.client('c');
  await c.up(await mesh.server.createKey({ user: 'alice' }));
  await until('a is there again', () => a.peer('c'), 30_000);

  const careful = await mesh.client('careful', { trusting: false });
  t.match(
    await careful.refusedUp(await mesh.server.createKey({ user: 'alice' })),
    /timeout|certificate/,
    'who has no reason to trust it stays away',
  );
});

meshTest(
  'join: Running within 2 s, also where there is IPv6 and no relay by it',
  {},
  async (t, mesh) => {
    await mesh.server.createUser('alice');
    const key = await mesh.server.createKey({ user: 'alice' });
    const a = await mesh.client('a');
    const asked = performance.now();
    await a.up(key);
    const took = performance.now() - asked;
    t.ok(took < 2000, `${Math.round(took)} ms`);
  },
);

meshTest('join: with UDP dropped the relay carries all of it', {}, async (t, mesh) => {
  const [a, b] = await mesh.joined('alice', 'a', 'b');
  const { network } = mesh;
  await Promise.all([network.dropUdp(a.station), network.dropUdp(b.station)]);
  await mesh.serve(b.host);
  t.equal(await a.ping('b', 2), 'relay');
  t.equal(await mesh.talk(a.host, 'b'), 'whole');

  await network.dropHub(a.station);
  t.equal(await mesh.talk(a.host, await b.ip4()), 'no answer', 'without relay and UDP: nothing');

  await Promise.all([network.allowUdp(a.station), network.allowUdp(b.station)]);
  await network.allowHub(a.station);
  await until('direct again', async () => (await a.ping('b')) === 'direct', 30_000);
});

meshTest('join: by URL, once it is approved and not before', {}, async (t, mesh) => {
  await mesh.server.createUser('alice');
  const [a, b] = [await mesh.client('a'), await mesh.client('b')];
  const [one, other] = [await a.login(), await b.login()];
  t.not(one.url, other.url);
  t.ok(one.url.startsWith(mesh.server.url), one.url);
  await t.rejects(
    mesh.server.approve(one.url.slice(0, -4).concat('0000'), 'alice'),
    'no such login',
  );
  await t.rejects(mesh.server.approve(one.url, 'nobody'), 'no such user');
  await mesh.server.approve(one.url, 'alice');
  t.equal(await one.ended, 0, 'tailscale up comes back');
  t.equal((await a.running()).Self.HostName, 'a');
  t.equal((await b.status()).BackendState, 'NeedsLogin', 'the other still waits');
  t.same(
    (await mesh.server.nodes()).map(({ name }) => name),
    ['a'],
  );
});

meshTest('join: keys that are used up, over or unknown let nobody in', {}, async (t, mesh) => {
  const { server } = mesh;
  await server.createUser('alice');
  const [a, b, c, d] = await Promise.all(['a', 'b', 'c', 'd'].map((name) => mesh.client(name)));
  const single = await server.createKey({ user: 'alice' });
  const short = await server.createKey({ user: 'alice', expiry: '1s' });
  await must(a).up(single);
  await pause(1000);
  const refused = await Promise.all([
    must(b).refusedUp(single),
    must(c).refusedUp(short),
    must(d).refusedUp(`${single.slice(0, -4)}0000`),
  ]);
  for (const words of refused) t.match(words, /key/i, 'and it says why');
  t.equal((await server.nodes()).length, 1);
  const reusable = await server.createKey({ user: 'alice', reusable: true });
  await Promise.all([must(b).up(reusable), must(c).up(reusable)]);
  t.equal((await server.nodes()).length, 3);
});

meshTest('join: two users do not see each other', {}, async (t, mesh) => {
  const [a, friend] = await mesh.joined('alice', 'a', 'friend');
  const [b] = await mesh.joined('bob', 'b');
  await Promise.all([mesh.serve(b.host), mesh.serve(friend.host)]);
  t.ok(await a.peer('friend'));
  t.notOk(await a.peer('b'));
  t.same((await b.status()).Peer ?? {}, {}, 'who is alone sees nobody');
  t.equal(await mesh.talk(a.host, await friend.ip4()), 'whole');
  t.not(await mesh.talk(a.host, await b.ip4()), 'whole');
  t.equal(await a.ping(await b.ip4(), 1), undefined);
  t.not((await a.tried(['whois', await b.ip4()])).code, 0);
});
