/** Our node joins, by key and by URL, and is seen, reached and known by its name like any other. */

import { must } from '../../must.ts';
import { until } from '../../netns/child.ts';
import { UNDER_TEST as CONTROL } from '../control/server.ts';
import { membersTest, nodeTest, ONE_WAY, PAIRS } from './suite.ts';

/** headscale takes 0.9 s to register and 0.5 s for the first map, by its own log. */
const SOON_MS = CONTROL === 'headscale' ? 4000 : 2000;

nodeTest('join: by key, and each reaches the other directly', PAIRS, {}, async (t, scene) => {
  const { a, b, mesh } = scene;
  for (const [one, other] of [
    [a, b],
    [b, a],
  ] as const) {
    const known = await until('each is told of the other', () => one.peer(other.name));
    t.equal(known.DNSName, `${other.name}.mesh.internal.`);
    await until('it is online', async () => (await one.peer(other.name))?.Online);
    t.equal(await one.ping(other.name), 'direct', `${one.name} pings by name`);
    const address = await other.ip4();
    t.equal(await one.ping(address), 'direct', 'and by address');
    t.equal((await one.cli(['ip', '-4'])).stdout.trim(), await one.ip4());
    t.match(await one.whois(address), { node: `${other.name}.mesh.internal.`, user: /^alice/ });
    await mesh.serve(other.host);
    t.equal(await mesh.talk(one.host, address), 'whole', 'TCP, by its checksums');
    const six = must((await other.status()).Self.TailscaleIPs.find((ip) => ip.includes(':')));
    t.equal(await mesh.talk(one.host, six), 'whole', 'and by IPv6');
  }
  t.same((await mesh.server.nodes()).map(({ online }) => online).sort(), [true, true]);
});

membersTest(
  'join: by URL, once it is approved and not before',
  ONE_WAY,
  {},
  async (t, members, [kind]) => {
    const { server } = members.mesh;
    await members.key();
    const [a, b] = [await members.member(kind, 'a'), await members.member(kind, 'b')];
    const [one, other] = [await a.login(), await b.login()];
    t.ok(one.url.startsWith(server.url), one.url);
    t.not(one.url, other.url);
    await server.approve(one.url, 'alice');
    t.equal(await one.ended, 0, 'up comes back');
    t.equal((await a.running()).Self.HostName, 'a');
    t.equal((await b.status()).BackendState, 'NeedsLogin', 'the other still waits');
    t.same(
      (await server.nodes()).map(({ name }) => name),
      ['a'],
    );
  },
);

membersTest(
  'join: over HTTPS with a certificate from files',
  ONE_WAY,
  { secure: true },
  async (t, members, kinds) => {
    const [a, b] = [await members.joined(kinds[0], 'a'), await members.joined(kinds[1], 'b')];
    const { network } = members;
    await Promise.all([network.dropUdp(a.station), network.dropUdp(b.station)]);
    t.equal(await a.ping('b', 2), 'relay', 'the relay is behind the same port');
    await Promise.all([network.allowUdp(a.station), network.allowUdp(b.station)]);
    await until('direct', async () => (await a.ping('b', 1)) === 'direct', 10_000);
  },
);

membersTest('join: a wrong key is refused in words', ONE_WAY, {}, async (t, members, [kind]) => {
  const a = await members.member(kind, 'a');
  const key = await members.key();
  const wrong = `${key.slice(0, -4)}0000`;
  t.match(await a.refusedUp(wrong), /key/i);
  await a.up(key);
  t.equal((await a.status()).BackendState, 'Running', 'and a right one is taken after it');
});

membersTest(
  'join: Running within 2 s of up, and logout ends it',
  ONE_WAY,
  {},
  async (t, members, [kind]) => {
    const a = await members.member(kind, 'a');
    const key = await members.key();
    const asked = performance.now();
    await a.up(key);
    const took = performance.now() - asked;
    t.ok(took < SOON_MS, `${Math.round(took)} ms`);
    await a.cli(['down']);
    t.equal((await a.status()).BackendState, 'Stopped');
    await a.up(key);
    t.equal((await members.mesh.server.nodes()).length, 1, 'it is the same node');
    await a.cli(['logout']);
    await a.state('NeedsLogin');
  },
);
