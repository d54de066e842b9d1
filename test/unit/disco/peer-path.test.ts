import t from 'tap';
import type { Endpoint } from '../../../src/base/endpoint.ts';
import { formatEndpoint } from '../../../src/base/endpoint.ts';
import type { Millis } from '../../../src/base/time.ts';
import { millis, NEVER } from '../../../src/base/time.ts';
import type { PathPhase } from '../../../src/protocol/disco/path-phase.ts';
import { phaseOf } from '../../../src/protocol/disco/path-phase.ts';
import { must } from '../../must.ts';
import { seeded } from '../../seeded.ts';
import { at, LAN, WAN, Walk } from './walk.ts';

t.test('path: the phase by the facts', async (t) => {
  const best = { endpoint: LAN, latencyMillis: 1 };
  const [past, future] = [millis(10), millis(12)];
  const TABLE: readonly [boolean, typeof best | undefined, Millis, PathPhase][] = [
    [false, undefined, past, 'idle'],
    [false, best, future, 'idle'],
    [true, undefined, future, 'searching'],
    [true, best, future, 'trusted'],
    [true, best, millis(11), 'doubted'],
    [true, best, past, 'doubted'],
  ];
  for (const [active, found, until, phase] of TABLE)
    t.equal(phaseOf(active, found, until, millis(11)), phase, `${active} ${found} ${until}`);
});

t.test('path: an idle peer is asked nothing, and is not asked about again', async (t) => {
  const walk = new Walk();
  walk.path.setMap([LAN, WAN], walk.now);
  t.equal(walk.plan().wake, NEVER);
  walk.live(600_000);
  t.same([walk.pings, walk.calls], [[], 0]);
});

t.test(
  'path: traffic finds the LAN, a heartbeat every 3 s keeps it, and silence ends it',
  async (t) => {
    const walk = new Walk();
    walk.path.setMap([WAN, LAN], walk.now);
    walk.answers = new Map([
      [formatEndpoint(LAN), 10],
      [formatEndpoint(WAN), 10],
    ]);
    walk.busy(100);
    t.equal(
      formatEndpoint(must(walk.path.best).endpoint),
      formatEndpoint(LAN),
      'nearer at like latency',
    );
    t.equal(walk.calls, 1);
    const before = walk.pings.length;
    walk.busy(30_000);
    t.equal(walk.pings.length - before, 10, 'heartbeats in 30 s');
    t.equal(walk.calls, 1, 'no call with a trusted path');
    walk.live(45_000);
    const still = walk.pings.length;
    walk.live(600_000);
    t.equal(walk.pings.length, still, 'nothing after 45 s without traffic');
  },
);

t.test('path: one that dies under traffic is doubted within 4.6 s, and given up', async (t) => {
  const walk = new Walk();
  walk.path.setMap([WAN], walk.now);
  walk.answers = new Map([[formatEndpoint(WAN), 20]]);
  walk.busy(10_000);
  const died = walk.now;
  walk.answers = new Map();
  let doubted = 0;
  walk.live(12_000, ({ now, path, traffic }) => {
    traffic.sent = now;
    if (doubted === 0 && now >= path.trustedUntil) doubted = now;
  });
  t.ok(doubted - died <= 4600, `doubted after ${doubted - died} ms`);
  t.equal(walk.path.best, undefined, 'and no data goes there any more');
  t.ok(walk.calls > 1, 'the peer was called');
});

t.test('path: a pong lost while data flows back raises no doubt', async (t) => {
  const walk = new Walk();
  walk.path.setMap([WAN], walk.now);
  walk.answers = new Map([[formatEndpoint(WAN), 20]]);
  walk.busy(4000);
  walk.answers = new Map();
  walk.busy(3000);
  walk.answers = new Map([[formatEndpoint(WAN), 20]]);
  t.ok(walk.path.trustedUntil > walk.now, 'one heartbeat lost');
  walk.busy(4000);
  t.ok(walk.path.trustedUntil > walk.now);
});

t.test('path: no map, call or ping makes more than 10 probes a second', async (t) => {
  const random = seeded(7);
  const walk = new Walk();
  const any = (): Endpoint => ({
    address: random.bytes(random.pick([4, 16])),
    port: random.below(65_536),
    scope: 0,
  });
  walk.path.setMap(Array.from({ length: 10_000 }, any), walk.now);
  walk.live(60_000, ({ path, now, traffic }) => {
    traffic.wanted = now;
    if (random.below(3) === 0) path.called([any(), any(), any()], now);
    if (random.below(3) === 0) path.pinged(any(), now);
    if (random.below(50) === 0) path.setMap(Array.from({ length: 100 }, any), now);
  });
  const most = walk.pings.map(
    (first, i) => walk.pings.slice(i, i + 20).filter((p) => p.at < first.at + 1000).length,
  );
  t.ok(walk.pings.length > 300, `${walk.pings.length} probes`);
  t.equal(Math.max(...most), 10, 'in any second');
  t.ok([...walk.path.candidates()].length <= 32, 'and the list is bounded');
});

t.test('path: nothing is sent to loopback, multicast, the mesh itself or port 0', async (t) => {
  const walk = new Walk();
  const bad = ['127.0.0.1:22', '224.0.0.1:5353', '100.101.102.103:80', '0.0.0.0:1', '[::1]:22'];
  const more = ['[fe80::1%3]:41641', '[fd7a:115c:a1e0::53]:53', '[ff02::1]:1', '255.255.255.255:9'];
  const all = [...bad, ...more].map(at);
  walk.path.setMap([...all, { ...WAN, port: 0 }], walk.now);
  walk.path.called(all, walk.now);
  for (const one of all) walk.path.pinged(one, walk.now);
  walk.busy(10_000);
  t.same(walk.pings, []);
});

t.test(
  'path: what a peer said of itself is forgotten after 5 minutes, what the map says is not',
  async (t) => {
    const walk = new Walk();
    walk.path.setMap([LAN], walk.now);
    walk.path.called([WAN], walk.now);
    const texts = (): string[] => [...walk.path.candidates()].map(({ text }) => text);
    walk.live(299_000);
    t.same(texts(), ['192.168.1.2:41641', '203.0.113.7:5000']);
    walk.live(2000);
    t.same(texts(), ['192.168.1.2:41641']);
    walk.path.called([WAN], walk.now);
    walk.path.reset();
    t.same(texts(), ['192.168.1.2:41641'], 'and at once when the peer starts anew');
  },
);

t.test('path: a call is answered by pings even from an idle node, and by no call', async (t) => {
  const walk = new Walk();
  walk.path.called([WAN], walk.now);
  walk.live(60_000);
  t.same([walk.pings.length, walk.calls], [1, 0]);
});

t.test('path: a pong with a transaction of nobody proves nothing', async (t) => {
  const walk = new Walk();
  walk.path.setMap([WAN], walk.now);
  walk.busy(100);
  t.equal(walk.path.pong(Uint8Array.of(9, 9, 9), walk.now), undefined);
  t.equal(walk.path.best, undefined);
});
