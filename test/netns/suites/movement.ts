/**
 * Sides that move, restart or come in numbers. `a` initiates, `b` responds.
 *
 * Source: the WireGuard paper, sections 2.1 (roaming) and 6.
 */

import type { Test } from 'tap';
import { until } from '../child.ts';
import type { Pair } from '../pair.ts';
import { answers, endpointOf, introduce, ping, restart, transfer } from '../pair.ts';
import type { Case } from '../suite.ts';

const MEGABYTE = 1024 * 1024;
const RETRY_MS = 8000;

/** One ping from `a` is enough for `b` to have learnt `endpoint`, and it is used for what `b` sends. */
async function hasMovedTo(t: Test, { a, b }: Pair, endpoint: string): Promise<void> {
  await until(`a ping from ${endpoint} comes back`, () => answers(a, b.inner[0]), RETRY_MS);
  t.same(await b.tunnel.showOf(a.keys.publicKey, 'endpoints'), [endpoint]);
  const pings = await ping(b, a.inner[1]);
  t.ok(pings.received >= 2, `b reaches a, the first packet perhaps not: ${pings.output}`);
}

async function followsMoves(t: Test, pair: Pair): Promise<void> {
  const { a, b, cable } = pair;
  await hasMovedTo(t, pair, '10.77.0.1:51001');
  const [before] = await b.tunnel.showOf(a.keys.publicKey, 'latest-handshakes');

  await a.tunnel.set('listen-port', '51009');
  await hasMovedTo(t, pair, '10.77.0.1:51009');

  await a.host.ip(
    `addr del 10.77.0.1/24 dev ${cable.a.interface}`,
    `addr add 10.77.0.11/24 dev ${cable.a.interface}`,
  );
  // wireguard-go of 2022 goes on sending from the address it was spoken to at, until it is told anew.
  if (a.implementation === 'debian')
    await a.tunnel.set('peer', b.keys.publicKey, 'endpoint', endpointOf(b));
  await hasMovedTo(t, pair, '10.77.0.11:51009');

  await a.tunnel.set('peer', b.keys.publicKey, 'endpoint', endpointOf(b, 6));
  await hasMovedTo(t, pair, '[fd77::1]:51009');

  await a.tunnel.set('peer', b.keys.publicKey, 'endpoint', endpointOf(b, 4));
  await hasMovedTo(t, pair, '10.77.0.11:51009');
  t.same(
    await b.tunnel.showOf(a.keys.publicKey, 'latest-handshakes'),
    [before],
    'all of it within one session',
  );
}

/** Each comes back under traffic of its own; the other side must leave the session it had. */
async function survivesRestarts(t: Test, { a, b }: Pair): Promise<void> {
  t.equal((await ping(a, b.inner[0])).received, 3);
  for (const [side, other] of [[a, b] as const, [b, a] as const]) {
    const [before] = await other.tunnel.showOf(side.keys.publicKey, 'latest-handshakes');
    const { code } = await side.tunnel.stop();
    t.equal(code, 0, `${side.implementation}: SIGTERM ends it with 0`);
    await restart(side);
    await introduce(side, other, endpointOf(other));
    await until('a ping comes back', () => answers(side, other.inner[0]), RETRY_MS);
    const sent = await transfer(other, side, side.inner[0], MEGABYTE);
    t.match(sent, { bytes: MEGABYTE, receivedSha256: sent.sentSha256 });
    const [after] = await other.tunnel.showOf(side.keys.publicKey, 'latest-handshakes');
    t.ok(Number(after) > Number(before) || after === before, `handshakes ${before}, ${after}`);
  }
}

/** A keypair is replaced again and again under a transfer: what is under way must still be opened. */
async function rekeysUnderLoad(t: Test, { a, b }: Pair): Promise<void> {
  t.equal((await ping(a, b.inner[0])).received, 3);
  const initiations = await b.host.count('input', `udp dport ${b.port} udp length 156`);
  const bytes = 192 * MEGABYTE;
  const load = transfer(a, b, b.inner[0], bytes);
  // A peer that is removed takes its sessions along; the other side still has them, and packets under way.
  for (let round = 0; round < 4; round++) {
    const before = await initiations.packets();
    await a.tunnel.set('peer', b.keys.publicKey, 'remove');
    await introduce(a, b, endpointOf(b));
    await until('an initiation', async () => (await initiations.packets()) > before, RETRY_MS);
  }
  const sent = await load;
  t.match(sent, { bytes, receivedSha256: sent.sentSha256 }, `${sent.seconds} s`);
}

export const movement: readonly Case[] = [
  { name: 'a new port, address or family of the peer is followed', body: followsMoves },
  { name: 'either side may restart', pair: { initiator: 'both' }, body: survivesRestarts },
  { name: 'new handshakes under load lose no byte', body: rekeysUnderLoad },
];
