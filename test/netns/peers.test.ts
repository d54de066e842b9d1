/**
 * Many peers: changes to some are not felt by others, and idle ones cost little.
 *
 *     b is the hub; a and c are its spokes
 */

import { isMissing, UNDER_TEST } from './implementations.ts';
import { privateBytes } from './memory.ts';
import type { Side } from './pair.ts';
import { addSide, introduce, makePair, newKeys, ping, transfer } from './pair.ts';
import { labTest } from './suite.ts';

const MEGABYTE = 1024 * 1024;
const IDLE_PEERS = 1000;
/** wireguard-go of 2025 was measured at 29 MB. */
const IDLE_PEERS_MAX_BYTES: number = (UNDER_TEST === 'ours' ? 16 : 40) * MEGABYTE;

const subject = { skip: isMissing(UNDER_TEST) };

labTest('peers: two at once get what is theirs, and reach each other', subject, async (t, lab) => {
  const { a, b } = await makePair(lab, [UNDER_TEST, UNDER_TEST], { initiator: 'a' });
  const c = await addSide(lab, b, UNDER_TEST);
  const sent = await Promise.all([
    transfer(a, b, b.inner[0], 32 * MEGABYTE),
    transfer(c, b, b.inner[1], 32 * MEGABYTE),
    transfer(b, a, a.inner[1], 32 * MEGABYTE),
  ]);
  for (const one of sent) t.match(one, { bytes: 32 * MEGABYTE, receivedSha256: one.sentSha256 });

  await b.host.forward();
  for (const side of [a, c])
    await side.tunnel.set('peer', b.keys.publicKey, 'allowed-ips', '10.78.0.0/24,fd78::/64');
  t.equal((await ping(a, c.inner[0])).received, 3, 'from one spoke to the other');
  const across = await transfer(a, c, c.inner[1], 8 * MEGABYTE);
  t.match(across, { bytes: 8 * MEGABYTE, receivedSha256: across.sentSha256 });
});

labTest('peers: adding, changing and removing others loses no packet', subject, async (t, lab) => {
  const { a, b } = await makePair(lab, [UNDER_TEST, UNDER_TEST], { initiator: 'a' });
  const c = await addSide(lab, b, UNDER_TEST);
  t.equal((await ping(a, b.inner[0])).received, 3);
  const steady = ping(a, b.inner[0], { count: 1000, intervalMs: 4 });
  let rounds = 0;
  let running = true;
  void steady.then(() => {
    running = false;
  });
  while (running) {
    await churn(b, c, rounds++);
  }
  const { sent, received } = await steady;
  t.equal(received, sent, `${sent} pings through ${rounds} rounds of changes`);
  t.ok(rounds >= 5, `${rounds} rounds`);
});

/** One stranger comes, changes and goes; the other spoke goes and comes back. */
async function churn(b: Side, c: Side, round: number): Promise<void> {
  const stranger = newKeys().publicKey;
  const first = `10.79.${round % 256}.1/32`;
  await b.tunnel.set('peer', stranger, 'allowed-ips', first, 'endpoint', '10.77.0.200:1234');
  await b.tunnel.set('peer', stranger, 'allowed-ips', `${first},10.80.0.0/16`);
  await b.tunnel.set('peer', stranger, 'persistent-keepalive', '1');
  await b.tunnel.set('peer', stranger, 'remove');
  await b.tunnel.set('peer', c.keys.publicKey, 'remove');
  await introduce(b, c);
}

labTest('peers: a thousand idle ones cost little', subject, async (t, lab) => {
  const { a, b } = await makePair(lab, [UNDER_TEST, UNDER_TEST], { initiator: 'a' });
  t.equal((await ping(a, b.inner[0])).received, 3);
  const before = privateBytes(b.tunnel.pid);
  const peers = Array.from({ length: IDLE_PEERS }, (_, index) => {
    const [high, low] = [index >> 8, index & 0xff];
    return `[Peer]\nPublicKey = ${newKeys().publicKey}\nAllowedIPs = 10.90.${high}.${low}/32, fd90::${index.toString(16)}/128\n`;
  });
  const began = performance.now();
  await b.host.run(['wg', 'addconf', b.tunnel.interface, '/dev/stdin'], {
    input: peers.join('\n'),
  });
  const tookMs = performance.now() - began;
  const dump = (await b.tunnel.show('dump')).split('\n');
  t.equal(dump.length, 1 + 1 + IDLE_PEERS, 'all of them are there');
  const grown = privateBytes(b.tunnel.pid) - before;
  t.ok(
    grown < IDLE_PEERS_MAX_BYTES,
    `${(grown / MEGABYTE).toFixed(1)} MB, ${Math.round(tookMs)} ms`,
  );
  t.comment(`${IDLE_PEERS} peers: ${(grown / MEGABYTE).toFixed(1)} MB, ${Math.round(tookMs)} ms`);
  t.equal((await ping(a, b.inner[0])).received, 3, 'and the tunnel is unharmed');
});
