/**
 * Strangers who send. `a` initiates, `b` responds and is shot at.
 *
 *     a ----+
 *           +-- br0 -- b          a and b are peers; m is not, and knows b's public key
 *     m ----+
 */

import { join } from 'node:path';
import type { Test } from 'tap';
import { until } from '../child.ts';
import { UNDER_TEST } from '../implementations.ts';
import type { Host } from '../lab.ts';
import { privateBytes } from '../memory.ts';
import type { Pair, Side } from '../pair.ts';
import { answers, NODE, ping } from '../pair.ts';
import type { Case } from '../suite.ts';

const HOSTILE = join(import.meta.dirname, '../hostile.ts');
const MALLORY = '10.66.0.9';
const TARGET = '10.66.0.2';

/** Longer than one retry of the peer that has to get in. */
const FLOOD_MS = 8000;
/** A garbage collector may be late; a datagram each that stays would be a hundred. */
const MAX_GROWTH_MEGABYTES: number = UNDER_TEST === 'ours' ? 8 : 32;

async function addMallory(pair: Pair): Promise<Host> {
  const m = await pair.lab.host('m');
  await pair.lab.link(m, pair.b.host, { a: [`${MALLORY}/24`], b: [`${TARGET}/24`] });
  return m;
}

function shooting(verb: 'hostile' | 'stranger' | 'flood', amount: number, b: Side): string[] {
  return [NODE, HOSTILE, verb, TARGET, `${b.port}`, `${amount}`, b.keys.publicKey];
}

async function ignoresMalformed(t: Test, pair: Pair): Promise<void> {
  const m = await addMallory(pair);
  const { a, b } = pair;
  t.equal((await ping(a, b.inner[0])).received, 3);
  const answered = await b.host.count('output', `ip daddr ${MALLORY}`);
  const arrived = await b.host.count('input', `udp dport ${b.port} ip saddr ${MALLORY}`);
  // Pages that are touched once only, buffers for instance, are touched by the first thousands.
  await m.run(shooting('hostile', 10_000, b));
  const before = privateBytes(b.tunnel.pid);
  await m.run(shooting('hostile', 90_000, b));
  const grownMegabytes = (privateBytes(b.tunnel.pid) - before) / 2 ** 20;
  t.ok((await arrived.packets()) > 90_000, `${await arrived.packets()} arrived`);
  t.equal(await answered.packets(), 0, 'none was answered');
  t.ok(
    grownMegabytes < MAX_GROWTH_MEGABYTES,
    `private memory grew by ${grownMegabytes.toFixed(1)} MB`,
  );
  t.equal((await ping(a, b.inner[0])).received, 3, 'the tunnel is unharmed');
}

async function ignoresUnknownKeys(t: Test, pair: Pair): Promise<void> {
  const m = await addMallory(pair);
  const { b } = pair;
  const { stdout } = await m.run(shooting('stranger', 50, b));
  t.match(stdout, 'sent 50 cookies 0 responses 0 others 0');
}

async function admitsPeersUnderFlood(t: Test, pair: Pair): Promise<void> {
  const m = await addMallory(pair);
  const { a, b } = pair;
  const into = await b.host.count('input', `udp dport ${b.port} ip saddr ${MALLORY}`);
  const out = await b.host.count('output', `udp sport ${b.port} ip daddr ${MALLORY}`);
  const tries = await b.host.count('input', `udp dport ${b.port} ip saddr ${a.outer[0]}`);
  const replies = await b.host.count('output', `udp sport ${b.port} ip daddr ${a.outer[0]}`);
  const flood = m.start(shooting('flood', FLOOD_MS, b), { name: 'flood' });
  await until('the flood has begun', async () => (await into.packets()) > 10_000);
  const began = performance.now();
  // A cookie is asked for at the first try, and used at the second, 5 s later.
  await until('a ping comes back', () => answers(a, b.inner[0], 1000), FLOOD_MS).catch(
    async (error) => {
      const [tried, replied] = [await tries.packets(), await replies.packets()];
      throw new Error(`${error.message}; ${tried} datagrams from a, ${replied} to it`);
    },
  );
  t.comment(`in after ${Math.round(performance.now() - began)} ms`);
  const [, sent, cookies, responses] = await flood.says(
    /sent (\d+) cookies (\d+) responses (\d+)/,
    15_000,
  );
  t.ok(Number(cookies) > 0, `${cookies} cookies for ${sent} initiations`);
  t.equal(responses, '0', 'no handshake was answered');
  const [bytesIn, bytesOut] = [(await into.read()).bytes, (await out.read()).bytes];
  t.ok(bytesOut < bytesIn, `${bytesOut} bytes out for ${bytesIn} in`);
}

/** What must hold whoever the peer is. */
export const flood: Case = {
  name: 'under a flood of handshakes the peer still gets in',
  body: admitsPeersUnderFlood,
};

export const hostility: readonly Case[] = [
  { name: '100,000 malformed datagrams get no answer', body: ignoresMalformed },
  { name: 'a right mac1 from an unknown key gets no answer', body: ignoresUnknownKeys },
  flood,
];
