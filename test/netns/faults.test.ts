/**
 * What breaks under a tunnel, and comes back. `a` is the side that it happens to.
 */

import { existsSync } from 'node:fs';
import type { Test } from 'tap';
import { until } from './child.ts';
import { socketPath, UNDER_TEST } from './implementations.ts';
import type { Pair } from './pair.ts';
import { answers, endpointOf, introduce, ping, restart, transfer } from './pair.ts';
import type { Case } from './suite.ts';
import { runSuite } from './suite.ts';

const MEGABYTE = 1024 * 1024;
const BACK_MS = 5000;
/** A handshake that has met a deaf peer is tried again after 5 s and a little. */
const RETRY_MS = 8000;

async function endsWithItsInterface(t: Test, { a, b }: Pair): Promise<void> {
  t.equal((await ping(a, b.inner[0])).received, 3);
  await a.host.ip(`link del ${a.tunnel.interface}`);
  const ending = await until('the process ends', () => a.tunnel.child.ending, BACK_MS);
  t.same(ending, { code: 0, signal: null }, 'cleanly');
  t.notOk(existsSync(socketPath(a.tunnel.interface)), 'with its socket');
  await restart(a);
  await introduce(a, b, endpointOf(b));
  await until('a ping comes back after a new start', () => answers(a, b.inner[0]), RETRY_MS);
}

async function endsUnderLoad(t: Test, { a, b }: Pair): Promise<void> {
  const load = transfer(a, b, b.inner[0], 4096 * MEGABYTE).catch(() => 'cut off');
  const bytes = async (): Promise<number> =>
    Number((await b.tunnel.showOf(a.keys.publicKey, 'transfer'))[0]);
  await until('the load flows', async () => (await bytes()) > 16 * MEGABYTE);
  const began = performance.now();
  t.same(await a.tunnel.stop(), { code: 0, signal: null });
  t.ok(performance.now() - began < 2500, `after ${Math.round(performance.now() - began)} ms`);
  const left = await a.host.run(['ip', 'link', 'show', a.tunnel.interface], { check: false });
  t.not(left.code, 0, 'the interface is gone');
  // The sender's connection hangs now; the lab's end is its end.
  for (const child of b.host.children.filter(({ name }) => name.endsWith('receive')))
    await child.stop('SIGKILL');
  await a.host.ip('link del eth0');
  void load;
}

async function survivesItsInterfaceDown(t: Test, { a, b }: Pair): Promise<void> {
  t.equal((await ping(a, b.inner[0])).received, 3);
  await a.host.ip(`link set ${a.tunnel.interface} down`);
  t.equal((await ping(b, a.inner[0], { patienceMs: 200 })).received, 0, 'down is down');
  await a.host.ip(`link set ${a.tunnel.interface} up`);
  await until('a ping comes back', () => answers(a, b.inner[0]), RETRY_MS);
  t.equal(a.tunnel.child.ending, undefined, 'by the same process');
}

/** ENETUNREACH while the cable is out, EPERM while a firewall refuses. */
async function survivesANetworkThatIsGone(t: Test, { a, b, cable }: Pair): Promise<void> {
  t.equal((await ping(a, b.inner[0])).received, 3);
  await a.host.ip(`link set ${cable.a.interface} down`);
  t.equal((await ping(a, b.inner[0], { count: 20, patienceMs: 200 })).received, 0, 'unplugged');
  await a.host.ip(`link set ${cable.a.interface} up`);
  await until('a ping comes back after the cable', () => answers(a, b.inner[0]), BACK_MS);

  await a.host.nft(`
    table inet refusal {
      chain output {
        type filter hook output priority 0
        udp dport ${b.port} drop
      }
    }`);
  t.equal((await ping(a, b.inner[0], { count: 20, patienceMs: 200 })).received, 0, 'refused');
  await a.host.nft('delete table inet refusal');
  await until('a ping comes back after the firewall', () => answers(a, b.inner[0]), BACK_MS);
  t.equal(a.tunnel.child.ending, undefined, 'by the same process');
}

async function survivesASleep(t: Test, { a, b }: Pair): Promise<void> {
  t.equal((await ping(a, b.inner[0])).received, 3);
  const initiations = await b.host.count('input', `udp dport ${b.port} udp length 156`);
  a.tunnel.child.signal('SIGSTOP');
  const asleep = await ping(b, a.inner[0], { count: 20, intervalMs: 100, patienceMs: 200 });
  t.equal(asleep.received, 0, 'nothing while it sleeps');
  a.tunnel.child.signal('SIGCONT');
  await until('a ping comes back', () => answers(a, b.inner[0]), 2000);
  t.equal((await ping(a, b.inner[0], { count: 20 })).received, 20);
  t.ok((await initiations.packets()) <= 1, `${await initiations.packets()} new handshakes`);
}

async function survivesBeingKilled(t: Test, { a, b }: Pair): Promise<void> {
  for (let round = 0; round < 3; round++) {
    t.equal((await ping(a, b.inner[0])).received, 3, `round ${round}`);
    a.tunnel.child.signal('SIGKILL');
    await a.tunnel.child.exited;
    await restart(a);
    await introduce(a, b, endpointOf(b));
    await until('a ping comes back', () => answers(a, b.inner[0]), 2000);
  }
}

const cases: readonly Case[] = [
  { name: 'a deleted interface ends the process, and a new one works', body: endsWithItsInterface },
  { name: 'SIGTERM under load ends the process at once', body: endsUnderLoad },
  { name: 'an interface set down and up goes on', body: survivesItsInterfaceDown },
  { name: 'an unreachable or refusing network is waited for', body: survivesANetworkThatIsGone },
  { name: 'a process stopped for two seconds goes on', body: survivesASleep },
  {
    name: 'a killed process can start again at once',
    body: survivesBeingKilled,
  },
];

runSuite(cases, [[UNDER_TEST, UNDER_TEST]]);
