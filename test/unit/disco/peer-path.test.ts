import t from 'tap';
import type { Endpoint } from '../../../src/base/endpoint.ts';
import { formatEndpoint, parseEndpoint } from '../../../src/base/endpoint.ts';
import type { Millis } from '../../../src/base/time.ts';
import { millis, NEVER } from '../../../src/base/time.ts';
import type { PathPhase, PathPlan, Traffic } from '../../../src/protocol/disco/path-phase.ts';
import { phaseOf } from '../../../src/protocol/disco/path-phase.ts';
import { PeerPath } from '../../../src/protocol/disco/peer-path.ts';
import { must } from '../../must.ts';
import { seeded } from '../../seeded.ts';

const at = (text: string): Endpoint => must(parseEndpoint(text));
const LAN = at('192.168.1.2:41641');
const WAN = at('203.0.113.7:5000');

/** A path whose pings are answered or not, and a clock that goes by its plans. */
class Walk {
  readonly path: PeerPath = new PeerPath();
  readonly pings: { readonly to: string; readonly at: number }[] = [];
  now: Millis = millis(1000);
  calls: number = 0;
  traffic: { sent: number; received: number; wanted: number } = { sent: 0, received: 0, wanted: 0 };
  answers: ReadonlyMap<string, number> = new Map();
  #sent = 0;
  readonly #pongs: { readonly at: number; readonly transaction: Uint8Array }[] = [];

  plan(): PathPlan {
    for (const { transaction } of this.#pongs.filter((pong) => pong.at <= this.now))
      this.path.pong(transaction, this.now);
    this.#pongs.splice(0, this.#pongs.length, ...this.#pongs.filter((p) => p.at > this.now));
    const plan = this.path.plan(this.traffic as Traffic, this.now);
    for (const endpoint of plan.ping) {
      const transaction = Uint8Array.of(this.#sent >> 16, this.#sent >> 8, this.#sent++);
      this.path.pinging(endpoint, transaction, this.now);
      const to = formatEndpoint(endpoint);
      this.pings.push({ to, at: this.now });
      const latency = this.answers.get(to);
      if (latency !== undefined) this.#pongs.push({ at: this.now + latency, transaction });
    }
    if (plan.call) {
      this.calls++;
      this.path.calling(true, this.now);
    }
    return plan;
  }

  /** Lives for `duration`, in steps of 10 ms; `each` sets the traffic. */
  live(duration: number, each: (walk: Walk) => void = () => {}): void {
    const until = this.now + duration;
    while (this.now < until) {
      each(this);
      this.plan();
      this.now = millis(this.now + 10);
    }
  }

  busy(duration: number): void {
    this.live(duration, (walk) => {
      walk.traffic = { sent: walk.now, received: walk.now, wanted: walk.now };
    });
  }
}

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

t.test('path: pings from another endpoint than before have the best proven anew', async (t) => {
  const elsewhere = at('203.0.113.7:5001');
  for (const named of [false, true]) {
    const walk = new Walk();
    walk.path.setMap([WAN], walk.now);
    walk.answers = new Map([[formatEndpoint(WAN), 20]]);
    walk.path.pinged(WAN, walk.now);
    walk.busy(10_000);
    // The map may tell of the new one before its ping comes.
    if (named) walk.path.setMap([WAN, elsewhere], walk.now);
    const before = walk.pings.length;
    walk.path.pinged(elsewhere, walk.now);
    t.equal(walk.path.trustedUntil, 0, `no trust in the old one (named: ${named})`);
    walk.plan();
    t.ok(walk.pings.slice(before).some(({ to }) => to === formatEndpoint(WAN)));
    walk.busy(100);
    t.ok(walk.path.trustedUntil > walk.now, 'it still answers');
    walk.path.pinged(elsewhere, walk.now);
    t.ok(walk.path.trustedUntil > walk.now, 'the next ping from there is no news');
  }
});

t.test('path: first pings of both ends, from all that they have, cost no trust', async (t) => {
  const walk = new Walk();
  walk.path.setMap([WAN, LAN], walk.now);
  walk.answers = new Map([[formatEndpoint(LAN), 1]]);
  walk.busy(50);
  walk.path.pinged(LAN, walk.now);
  walk.path.pinged(WAN, walk.now);
  t.ok(walk.path.trustedUntil > walk.now);
});

t.test('path: of two moves within a second the second is looked at too', async (t) => {
  const [second, third] = [at('203.0.113.7:5001'), at('203.0.113.7:5002')];
  const walk = new Walk();
  walk.path.setMap([WAN], walk.now);
  walk.answers = new Map([[formatEndpoint(WAN), 20]]);
  walk.busy(10_000);
  walk.path.pinged(second, walk.now);
  walk.answers = new Map([[formatEndpoint(second), 20]]);
  walk.busy(500);
  t.equal(walk.path.best && formatEndpoint(walk.path.best.endpoint), formatEndpoint(second));
  walk.path.pinged(third, walk.now);
  walk.answers = new Map([[formatEndpoint(third), 20]]);
  walk.busy(400);
  t.ok(walk.path.trustedUntil > walk.now, 'not more than once a second');
  walk.busy(200);
  t.equal(walk.path.best && formatEndpoint(walk.path.best.endpoint), formatEndpoint(third));
});

t.test(
  'path: a ping that comes shows that ours may pass now, and is answered by one',
  async (t) => {
    const walk = new Walk();
    walk.path.setMap([WAN], walk.now);
    walk.busy(100);
    const pings = (): number => walk.pings.filter(({ to }) => to === formatEndpoint(WAN)).length;
    t.equal(pings(), 1, 'lost at their NAT');
    walk.path.pinged(WAN, walk.now);
    walk.busy(50);
    t.equal(pings(), 2);
    for (let i = 0; i < 10; i++) {
      walk.path.pinged(WAN, walk.now);
      walk.busy(100);
    }
    t.equal(pings(), 2, 'not each time');
  },
);

t.test('path: one whose pong may be on its way is not asked twice', async (t) => {
  const walk = new Walk();
  walk.path.setMap([WAN], walk.now);
  walk.busy(20);
  walk.path.pinged(WAN, walk.now);
  walk.busy(100);
  t.equal(walk.pings.length, 1);
});

t.test(
  'path: a handshake may hope for a peer that no way is known to, once in 5 minutes',
  async (t) => {
    const walk = new Walk();
    const called = at('203.0.113.8:5000');
    const map = Array.from({ length: 8 }, (_, i) => at(`203.0.113.7:${5000 + i}`));
    walk.path.setMap(map, walk.now);
    walk.path.called([called], walk.now);
    const hopes = walk.path.hopes(walk.now).map(formatEndpoint);
    t.equal(hopes.length, 4, 'not everywhere');
    t.equal(hopes[0], formatEndpoint(called), 'where it says that it is, first');
    walk.now = millis(walk.now + 299_000);
    t.same(walk.path.hopes(walk.now), []);
    walk.now = millis(walk.now + 1000);
    t.equal(walk.path.hopes(walk.now).length, 4);
    const known = new Walk();
    known.path.setMap([WAN], known.now);
    known.answers = new Map([[formatEndpoint(WAN), 20]]);
    known.busy(100);
    t.same(known.path.hopes(known.now), [], 'a way is known');
  },
);

t.test(
  'path: from where a handshake came is a way for its answer, and must prove itself',
  async (t) => {
    const walk = new Walk();
    walk.path.heard(WAN, walk.now);
    t.equal(walk.path.best && formatEndpoint(walk.path.best.endpoint), formatEndpoint(WAN));
    t.ok(walk.path.trustedUntil > walk.now && walk.path.trustedUntil <= walk.now + 25);
    walk.live(12_000, ({ now, traffic }) => {
      traffic.sent = now;
    });
    t.ok(
      walk.pings.some(({ to }) => to === formatEndpoint(WAN)),
      'asked',
    );
    t.equal(walk.path.best, undefined, 'and given up');
    walk.answers = new Map([[formatEndpoint(LAN), 20]]);
    walk.path.setMap([LAN], walk.now);
    walk.busy(6000);
    walk.path.heard(WAN, walk.now);
    t.equal(
      walk.path.best && formatEndpoint(walk.path.best.endpoint),
      formatEndpoint(LAN),
      'moves nothing',
    );
  },
);
