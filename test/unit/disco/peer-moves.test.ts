/** A peer that is elsewhere now, that lets us in now, or that no way is known to yet. */

import t from 'tap';
import { formatEndpoint } from '../../../src/base/endpoint.ts';
import { millis } from '../../../src/base/time.ts';
import { at, LAN, WAN, Walk } from './walk.ts';

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
    walk.path.reset();
    walk.path.setMap(map, walk.now);
    t.equal(walk.path.hopes(walk.now).length, 4, 'a peer that has started anew');
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
