/**
 * Bad weather on the way between two tunnels.
 *
 *     a 10.77.1.1 -- 10.77.1.254 router 10.77.2.254 -- 10.77.2.2 b
 *
 * The router drops or doubles. Where it counts, it drops by turns and not by chance, so the figures are exact.
 */

import { cannotRun, isMissing, UNDER_TEST } from './implementations.ts';
import type { Host, Lab } from './lab.ts';
import type { Side } from './pair.ts';
import { introduce, makeSide, ping, transfer } from './pair.ts';
import { labTest } from './suite.ts';

const MEGABYTE = 1024 * 1024;

const subject = { skip: isMissing(UNDER_TEST) || cannotRun() };

interface Scene {
  readonly a: Side;
  readonly b: Side;
  readonly router: Host;
}

async function acrossARouter(lab: Lab): Promise<Scene> {
  const [a, router, b] = [await lab.host('a'), await lab.host('router'), await lab.host('b')];
  await lab.link(a, router, { a: ['10.77.1.1/24'], b: ['10.77.1.254/24'] });
  await lab.link(router, b, { a: ['10.77.2.254/24'], b: ['10.77.2.2/24'] });
  await router.forward();
  await a.ip('route add default via 10.77.1.254');
  await b.ip('route add default via 10.77.2.254');
  const [left, right] = await Promise.all([
    makeSide(lab, a, 1, UNDER_TEST),
    makeSide(lab, b, 2, UNDER_TEST),
  ]);
  await introduce(right, left);
  await introduce(left, right, `10.77.2.2:${right.port}`);
  return { a: left, b: right, router };
}

/** What leaves together would reach the router whole, and be one packet to it: the cables take a datagram at a time. */
async function oneByOne(...sides: readonly Side[]): Promise<void> {
  for (const { host } of sides) await host.ip('link set eth0 gso_max_segs 1');
}

/** A chain for what the router forwards. */
async function treat(router: Host, rules: string): Promise<void> {
  await router.nft(`
    table ip weather {
      counter lost { }
      chain forward {
        type filter hook forward priority 0
        ${rules}
      }
    }`);
}

labTest('weather: each lost datagram is one lost packet', subject, async (t, lab) => {
  const { a, b, router } = await acrossARouter(lab);
  await oneByOne(a, b);
  t.equal((await ping(a, b.inner[0])).received, 3);
  await treat(router, 'meta l4proto udp numgen inc mod 20 == 0 counter name lost drop');
  const { sent, received } = await ping(a, b.inner[0], { count: 600, intervalMs: 4 });
  const { stdout } = await router.run(['nft', 'list', 'counter', 'ip', 'weather', 'lost']);
  const lost = Number(/packets (\d+)/.exec(stdout)?.[1]);
  t.ok(lost >= 57 && lost <= 60, `the router has dropped ${lost}`);
  t.equal(sent - received, lost, `${sent} sent`);
});

labTest('weather: TCP gets through with one in twenty lost each way', subject, async (t, lab) => {
  const { a, b, router } = await acrossARouter(lab);
  await treat(router, 'meta l4proto udp numgen random mod 100 < 5 counter name lost drop');
  for (const [from, to] of [[a, b] as const, [b, a] as const]) {
    const sent = await transfer(from, to, to.inner[0], MEGABYTE);
    t.match(sent, { bytes: MEGABYTE, receivedSha256: sent.sentSha256 });
  }
});

labTest('weather: a datagram that comes twice is taken once', subject, async (t, lab) => {
  const { a, b, router } = await acrossARouter(lab);
  await oneByOne(a, b);
  await treat(
    router,
    `ip daddr 10.77.2.2 udp dport ${b.port} dup to 10.77.2.2 device "eth1"
     ip daddr 10.77.1.1 udp dport ${a.port} dup to 10.77.1.1 device "eth0"`,
  );
  const arrived = await b.host.count('input', `udp dport ${b.port}`);
  const inside = await b.host.count('input', 'icmp type echo-request');
  const pings = await ping(a, b.inner[0], { count: 200, intervalMs: 5 });
  t.equal(pings.received, 200);
  t.notMatch(pings.output, 'DUP!');
  t.equal(await inside.packets(), 200, 'each request was delivered once');
  t.ok((await arrived.packets()) >= 400, `though ${await arrived.packets()} datagrams came`);
  const sent = await transfer(a, b, b.inner[0], 4 * MEGABYTE);
  t.match(sent, { bytes: 4 * MEGABYTE, receivedSha256: sent.sentSha256 });
});

labTest(
  'weather: a path that swallows long datagrams carries an MTU of 1280',
  subject,
  async (t, lab) => {
    const { a, b, router } = await acrossARouter(lab);
    await oneByOne(a, b);
    for (const { host, tunnel } of [a, b]) await host.ip(`link set ${tunnel.interface} mtu 1280`);
    // 1280 and the headers outside: 32 of WireGuard, 8 of UDP, 20 of IPv4.
    await treat(router, 'meta length > 1340 counter name lost drop');
    const sent = await transfer(a, b, b.inner[1], 8 * MEGABYTE);
    t.match(sent, { bytes: 8 * MEGABYTE, receivedSha256: sent.sentSha256 });
    const { stdout } = await router.run(['nft', 'list', 'counter', 'ip', 'weather', 'lost']);
    t.match(stdout, 'packets 0', 'nothing longer than that has left');
  },
);
