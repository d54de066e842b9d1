/**
 * Sessions that grow old: rekey at 120 s, expiry at 180 s, and the end of all keys at 540 s.
 *
 * Source: the WireGuard paper, section 6.1 to 6.3.
 */

import { until } from '../netns/child.ts';
import type { ImplementationName } from '../netns/implementations.ts';
import { isMissing, UNDER_TEST } from '../netns/implementations.ts';
import { privateBytes } from '../netns/memory.ts';
import type { Side } from '../netns/pair.ts';
import { answers, introduce, makePair, ping, restart, transfer } from '../netns/pair.ts';
import { labTest } from '../netns/suite.ts';

const MEGABYTE = 1024 * 1024;
const MINUTE_MS = 60_000;

async function handshakeAt(side: Side, other: Side): Promise<number> {
  return Number((await side.tunnel.showOf(other.keys.publicKey, 'latest-handshakes'))[0]);
}

const SUBJECTS: readonly (readonly [ImplementationName, ImplementationName])[] = [
  [UNDER_TEST, 'current'],
  ['current', UNDER_TEST],
  [UNDER_TEST, UNDER_TEST],
];

for (const subject of SUBJECTS) {
  const [first, second] = subject;
  labTest(
    `rekey: ${first} to ${second}, a ping every 100 ms for seven minutes loses none`,
    { skip: isMissing(...subject), timeoutMs: 12 * MINUTE_MS },
    async (t, lab) => {
      const { a, b } = await makePair(lab, subject, { initiator: 'a' });
      const initiations = await b.host.count('input', `udp dport ${b.port} udp length 156`);
      await until('the first ping', () => answers(a, b.inner[0]));
      const began = await handshakeAt(a, b);
      const { sent, received } = await ping(a, b.inner[0], { count: 4000, intervalMs: 100 });
      t.equal(received, sent, `${sent} pings`);
      const last = await handshakeAt(a, b);
      // After 120, 240 and 360 s, each by the next packet, with one more try where both sides began.
      t.ok(
        last - began >= 355 && last - began <= 375,
        `the last handshake ${last - began} s later`,
      );
      t.ok((await initiations.packets()) <= 6, `${await initiations.packets()} initiations`);
    },
  );
}

labTest(
  'expiry: a session of 180 s carries nothing more, and a new one is made',
  { skip: isMissing(UNDER_TEST), timeoutMs: 5 * MINUTE_MS },
  async (t, lab) => {
    const { a, b } = await makePair(lab, [UNDER_TEST, UNDER_TEST], { initiator: 'a' });
    await until('the first ping', () => answers(a, b.inner[0]));
    const began = await handshakeAt(a, b);
    const transport = await b.host.count('input', `udp dport ${b.port} udp length > 40`);
    const sinceHandshake = (): number => Date.now() / 1000 - began;
    await until('181 s of silence', () => sinceHandshake() > 181, 4 * MINUTE_MS);
    const before = await transport.packets();
    t.ok(await answers(a, b.inner[0], 1000), 'the first ping after that waits for a handshake');
    t.ok((await handshakeAt(a, b)) - began > 180, 'which is a new one');
    t.ok((await transport.packets()) > before);
  },
);

labTest(
  'restart: a responder that forgot us is found again by the initiator alone',
  { skip: isMissing(UNDER_TEST), timeoutMs: MINUTE_MS },
  async (t, lab) => {
    const { a, b } = await makePair(lab, [UNDER_TEST, UNDER_TEST], { initiator: 'a' });
    await until('the first ping', () => answers(a, b.inner[0]));
    await b.tunnel.stop();
    await restart(b);
    await introduce(b, a);
    const began = performance.now();
    // Silence for 10 s after sending, then 5 s more: keepalive timeout and rekey timeout.
    await until('a ping comes back', () => answers(a, b.inner[0]), 25_000);
    t.ok(performance.now() - began < 20_000, `${Math.round(performance.now() - began)} ms`);
  },
);

labTest(
  'soak: ten minutes of transfers and pings leave memory where it was',
  { skip: isMissing(UNDER_TEST), timeoutMs: 14 * MINUTE_MS },
  async (t, lab) => {
    const { a, b } = await makePair(lab, [UNDER_TEST, UNDER_TEST]);
    const pings = ping(a, b.inner[1], { count: 6000, intervalMs: 100 });
    const began = performance.now();
    const memory: number[] = [];
    let rounds = 0;
    while (performance.now() - began < 10 * MINUTE_MS) {
      const [from, to] = rounds % 2 === 0 ? [a, b] : [b, a];
      const sent = await transfer(from, to, to.inner[rounds % 2 === 0 ? 0 : 1], 32 * MEGABYTE);
      if (sent.sentSha256 !== sent.receivedSha256 || sent.bytes !== 32 * MEGABYTE)
        return void t.match(sent, { receivedSha256: sent.sentSha256 }, `round ${rounds}`);
      memory.push(privateBytes(a.tunnel.pid));
      rounds++;
    }
    const { sent, received } = await pings;
    t.equal(received, sent, `${sent} pings beside ${rounds} transfers`);
    // The first minute is warming up.
    const [early = 0, late = 0] = [memory[Math.floor(rounds / 10)], memory.at(-1)];
    const grown = (late - early) / MEGABYTE;
    t.ok(grown < 8, `private memory of a grew by ${grown.toFixed(1)} MB`);
  },
);
