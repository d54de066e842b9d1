/**
 * What makes it WireGuard: handshakes, keys, both families inside and outside, sizes, cryptokey routing and
 * silence. `a` initiates, `b` responds.
 *
 * Source: the WireGuard paper, sections 2 to 6.
 */

import { randomBytes } from 'node:crypto';
import type { Test } from 'tap';
import { until } from '../child.ts';
import type { Pair, Side } from '../pair.ts';
import { answers, endpointOf, introduce, newKeys, ping, transfer } from '../pair.ts';
import type { Case } from '../suite.ts';

const MEGABYTE = 1024 * 1024;

/** A keepalive is an empty transport message: header 16, tag 16, and UDP's own 8. */
const KEEPALIVE_UDP_BYTES = 40;
/** An initiation that was lost is sent again after 5 s and up to 334 ms. */
const RETRY_MS = 8000;

async function carriesBothFamilies(t: Test, { a, b }: Pair): Promise<void> {
  for (const family of [0, 1] as const) {
    const pings = await ping(a, b.inner[family]);
    t.equal(pings.received, 3, `pings to ${b.inner[family]}: ${pings.output}`);
    for (const [from, to] of [[a, b] as const, [b, a] as const]) {
      const sent = await transfer(from, to, to.inner[family], 8 * MEGABYTE);
      t.match(sent, { bytes: 8 * MEGABYTE, receivedSha256: sent.sentSha256 }, to.inner[family]);
    }
  }
  for (const [side, other] of [[a, b] as const, [b, a] as const]) {
    const [handshake] = await side.tunnel.showOf(other.keys.publicKey, 'latest-handshakes');
    const ageSeconds = Date.now() / 1000 - Number(handshake);
    t.ok(ageSeconds > -2 && ageSeconds < 30, `latest handshake ${ageSeconds} s ago`);
    const [received, sent] = await side.tunnel.showOf(other.keys.publicKey, 'transfer');
    t.ok(Number(received) > 16 * MEGABYTE && Number(sent) > 16 * MEGABYTE, 'bytes are counted');
  }
}

async function sharesKey(pair: Pair, side: Side, key: string): Promise<void> {
  const other = side === pair.a ? pair.b : pair.a;
  await side.host.run(
    [
      ...['wg', 'set', side.tunnel.interface, 'peer', other.keys.publicKey],
      ...['preshared-key', '/dev/stdin'],
    ],
    { input: key },
  );
}

async function needsTheSharedKey(t: Test, pair: Pair): Promise<void> {
  const { a, b } = pair;
  const key = randomBytes(32).toString('base64');
  await sharesKey(pair, a, key);
  await sharesKey(pair, b, randomBytes(32).toString('base64'));
  t.equal((await ping(a, b.inner[0])).received, 0, 'nothing passes with two different keys');
  t.same(await a.tunnel.showOf(b.keys.publicKey, 'latest-handshakes'), ['0']);
  await sharesKey(pair, b, key);
  await until('a ping comes back with one key', () => answers(a, b.inner[0]), RETRY_MS);
  t.same(await b.tunnel.showOf(a.keys.publicKey, 'preshared-keys'), [key]);
}

/** `b` gets datagrams and sends none, until `remedy`; then a ping comes back. */
async function isSilent(t: Test, { a, b }: Pair, remedy: () => Promise<void>): Promise<void> {
  const incoming = await b.host.count('input', `udp dport ${b.port}`);
  const outgoing = await b.host.count('output', `udp sport ${b.port}`);
  t.equal((await ping(a, b.inner[0])).received, 0, 'no ping comes back');
  t.ok((await incoming.packets()) > 0, 'initiations have arrived');
  t.equal(await outgoing.packets(), 0, 'nothing was answered');
  await remedy();
  await until('a ping comes back', () => answers(a, b.inner[0]), RETRY_MS);
}

async function isSilentToStrangers(t: Test, pair: Pair): Promise<void> {
  const { a, b } = pair;
  await introduce(a, b, endpointOf(b));
  await isSilent(t, pair, () => introduce(b, a));
}

async function isSilentToTheWrongKey(t: Test, pair: Pair): Promise<void> {
  const { a, b } = pair;
  const wrong = { ...b, keys: newKeys() };
  await introduce(b, a);
  await introduce(a, wrong, endpointOf(b));
  await isSilent(t, pair, async () => {
    await a.tunnel.set('peer', wrong.keys.publicKey, 'remove');
    await introduce(a, b, endpointOf(b));
  });
}

async function checksSources(t: Test, { a, b }: Pair): Promise<void> {
  t.equal((await ping(a, b.inner[0])).received, 3);
  for (const [from, to, crafted] of [[a, b, 77] as const, [b, a, 78] as const]) {
    const addresses = [`10.78.0.${crafted}`, `fd78::${crafted}`] as const;
    await from.host.ip(
      `addr add ${addresses[0]}/24 dev ${from.tunnel.interface}`,
      `addr add ${addresses[1]}/64 dev ${from.tunnel.interface} nodad`,
    );
    const seen = [
      await to.host.count('input', `ip saddr ${addresses[0]}`),
      await to.host.count('input', `ip6 saddr ${addresses[1]}`),
    ] as const;
    const arrived = await to.host.count('input', `udp dport ${to.port}`);
    for (const family of [0, 1] as const) {
      const options = { from: addresses[family], patienceMs: 200 };
      t.equal((await ping(from, to.inner[family], options)).received, 0, addresses[family]);
      t.equal(await seen[family].packets(), 0, `${addresses[family]} was not let in`);
    }
    t.ok((await arrived.packets()) >= 6, 'though it had arrived');
    const allowed = [to, from].map(({ inner }) => `${inner[0]}/32,${inner[1]}/128`);
    await to.tunnel.set(
      ...['peer', from.keys.publicKey, 'allowed-ips'],
      `${allowed[1]},${addresses[0]}/32,${addresses[1]}/128`,
    );
    for (const family of [0, 1] as const)
      t.equal((await ping(from, to.inner[family], { from: addresses[family] })).received, 3);
  }
}

async function sendsNothingToNobody(t: Test, { a, b }: Pair): Promise<void> {
  t.equal((await ping(a, b.inner[0])).received, 3);
  const outgoing = await a.host.count('output', `udp sport ${a.port} udp length > 40`);
  t.equal((await ping(a, '10.78.0.99', { patienceMs: 200 })).received, 0);
  t.equal((await ping(a, 'fd78::99', { patienceMs: 200 })).received, 0);
  t.equal(await outgoing.packets(), 0, 'no peer is allowed these addresses, so nothing left');
  t.equal((await ping(a, b.inner[0])).received, 3, 'the tunnel is unharmed');
}

/** Each size around the edge, because padding to 16 and the MTU as its limit meet there. */
async function carriesEverySize(t: Test, { a, b }: Pair): Promise<void> {
  for (const mtuBytes of [1280, 1381, 1420, 1500]) {
    for (const { host, tunnel } of [a, b])
      await host.ip(`link set ${tunnel.interface} mtu ${mtuBytes}`);
    const lost: string[] = [];
    for (let packetBytes = mtuBytes - 17; packetBytes <= mtuBytes; packetBytes++)
      for (const address of b.inner) {
        const pings = await ping(a, address, { count: 1, packetBytes });
        if (pings.received !== 1) lost.push(`${packetBytes} to ${address}: ${pings.output}`);
      }
    t.same(lost, [], `MTU ${mtuBytes}: every packet of up to this size came back`);
    const tooLong = await ping(a, b.inner[0], { count: 1, packetBytes: mtuBytes + 1 });
    t.match(tooLong, { received: 0, output: /too long/i }, 'one byte more does not enter');
    const sent = await transfer(a, b, b.inner[1], 4 * MEGABYTE);
    t.match(sent, { bytes: 4 * MEGABYTE, receivedSha256: sent.sentSha256 }, `MTU ${mtuBytes}`);
  }
}

async function keepsAlive(t: Test, { a, b }: Pair): Promise<void> {
  const keepalives = await b.host.count(
    'input',
    `udp dport ${b.port} udp length ${KEEPALIVE_UDP_BYTES}`,
  );
  await a.tunnel.set('peer', b.keys.publicKey, 'persistent-keepalive', '1');
  await until('the first keepalive', async () => (await keepalives.packets()) >= 1);
  const began = performance.now();
  await until('the fifth keepalive', async () => (await keepalives.packets()) >= 5, 8000);
  const took = performance.now() - began;
  t.ok(took > 2500 && took < 5500, `four more keepalives took ${Math.round(took)} ms`);
  const [received] = await b.tunnel.showOf(a.keys.publicKey, 'transfer');
  t.ok(Number(received) >= 5 * 32, 'they were taken for authentic');
}

export const essentials: readonly Case[] = [
  { name: 'ping and TCP pass in both families over IPv4', body: carriesBothFamilies },
  {
    name: 'ping and TCP pass in both families over IPv6',
    pair: { outerFamily: 6 },
    body: carriesBothFamilies,
  },
  { name: 'a preshared key must be the same on both sides', body: needsTheSharedKey },
  {
    name: 'an unknown initiator gets no answer',
    pair: { acquainted: false },
    body: isSilentToStrangers,
  },
  {
    name: 'an initiation for another public key gets no answer',
    pair: { acquainted: false },
    body: isSilentToTheWrongKey,
  },
  { name: 'a source address outside the allowed IPs is dropped', body: checksSources },
  { name: 'a packet for no peer does not leave', body: sendsNothingToNobody },
  {
    name: 'every packet size up to the MTU passes, at MTUs from 1280 to 1500',
    pair: { outerMtuBytes: 1600 },
    body: carriesEverySize,
  },
  { name: 'a persistent keepalive of 1 s comes once a second', body: keepsAlive },
];
