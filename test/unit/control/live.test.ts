import t from 'tap';
import type { Live } from '../../../src/control/registry/live.ts';
import {
  connected,
  disconnected,
  EPHEMERAL_MILLIS,
  forgotten,
  isOnline,
  liveFrom,
  liveNode,
  longGone,
  probed,
  remember,
  said,
  withPrimaries,
  worthRemembering,
} from '../../../src/control/registry/live.ts';
import { deleteNode, setExpiry } from '../../../src/control/registry/nodes.ts';
import { announceRoutes, approveRoutes } from '../../../src/control/registry/routes.ts';
import { modelOf, rowsBetween } from '../../../src/control/registry/rows.ts';
import { World } from './world.ts';

const DISCO = `discokey:${'1'.repeat(64)}` as const;

t.test('live: the end of a stream that was replaced says nothing', async (t) => {
  const world = new World();
  let live = connected(liveFrom(world.model, world.now), 1, 10);
  live = connected(live, 1, 11);
  t.equal(disconnected(live, 1, 10, world.now), live);
  t.ok(isOnline(live, 1));
  live = disconnected(live, 1, 11, world.now);
  t.notOk(isOnline(live, 1));
  t.equal(liveNode(live, 1).lastSeen, world.now);
});

t.test('live: network facts that a node leaves out are as before', async (t) => {
  const world = new World();
  let live = liveFrom(world.model, world.now);
  live = said(live, 1, { hostinfo: { Hostname: 'a', NetInfo: { PreferredDERP: 900 } } });
  live = said(live, 1, { hostinfo: { Hostname: 'b' }, endpoints: ['192.0.2.1:41641'] });
  t.match(liveNode(live, 1), { homeDerp: 900, hostinfo: { Hostname: 'b', NetInfo: {} } });
  live = said(live, 1, { hostinfo: { NetInfo: { PreferredDERP: 0 } } });
  t.match(liveNode(live, 1), { homeDerp: 900, endpoints: ['192.0.2.1:41641'] });
});

t.test(
  'live: what is worth it is remembered, and the rest of an idle network writes nothing',
  async (t) => {
    const world = new World();
    const node = world.join(1, world.user('alice')).id;
    let live = connected(liveFrom(world.model, world.now), node, 1);
    live = said(live, node, { discoKey: DISCO, homeDerp: 900, endpoints: ['192.0.2.1:1'] });
    t.ok(worthRemembering(world.model, live));
    const saved = remember(world.model, live).model;
    t.same(
      rowsBetween(world.model, saved).map(({ kind }) => kind),
      ['remembered'],
    );
    t.notOk(worthRemembering(saved, live));
    for (let beat = 0; beat < 10; beat++) {
      const NetInfo = { PreferredDERP: 900, DERPLatency: { '900-v4': beat / 1000 } };
      live = said(live, node, { hostinfo: { NetInfo } });
      t.notOk(worthRemembering(saved, live));
    }
    t.same(rowsBetween(saved, remember(saved, live).model), []);
    const again = liveFrom(
      modelOf(rowsBetween(modelOf([], saved.settings), saved), saved.settings),
      world.now,
    );
    t.match(liveNode(again, node), { discoKey: DISCO, homeDerp: 900, session: 0 });
    const gone = world.make((model, context) => deleteNode(model, { node }, context)).model;
    t.equal(remember(gone, live).model.remembered.size, 0, 'a deleted node is not remembered');
    t.equal(liveNode(forgotten(live, node), node).discoKey, null);
  },
);

t.test(
  'ephemeral: deleted after five minutes away, counted from when we began to watch',
  async (t) => {
    const world = new World();
    const alice = world.user('alice');
    const ephemeral = world.join(1, alice, { ephemeral: true }).id;
    world.join(2, alice);
    world.pass(EPHEMERAL_MILLIS);
    let live = liveFrom(world.model, world.now);
    t.same(longGone(world.model, live, world.now), [], 'our own absence is not theirs');
    live = connected(live, ephemeral, 1);
    world.pass(2 * EPHEMERAL_MILLIS);
    t.same(longGone(world.model, live, world.now), []);
    live = disconnected(live, ephemeral, 1, world.now);
    world.pass(EPHEMERAL_MILLIS - 1);
    t.same(longGone(world.model, live, world.now), []);
    world.pass(1);
    t.same(longGone(world.model, live, world.now), [ephemeral]);
  },
);

// Two routers, 1 and 2, of one prefix. up: connected and healthy; ill: connected alone; away: neither.
const ELECTIONS: readonly [one: State, two: State, before: number | 0, primary: number | 0][] = [
  ['up', 'up', 0, 1],
  ['up', 'up', 1, 1],
  ['up', 'up', 2, 2],
  ['up', 'ill', 2, 1],
  ['up', 'away', 2, 1],
  ['ill', 'up', 1, 2],
  ['ill', 'ill', 1, 1],
  ['ill', 'ill', 2, 2],
  ['ill', 'ill', 0, 0],
  ['ill', 'away', 1, 1],
  ['ill', 'away', 2, 0],
  ['away', 'up', 1, 2],
  ['away', 'ill', 1, 0],
  ['away', 'away', 1, 0],
];
type State = 'up' | 'ill' | 'away';

t.test('primaries: one router for each prefix, moved only when it must', async (t) => {
  const world = new World();
  const alice = world.user('alice');
  const prefixes = ['10.0.0.0/24', '0.0.0.0/0'];
  for (const n of [1, 2]) {
    const node = world.join(n, alice).id;
    world.make((model, context) => announceRoutes(model, { node, prefixes }, context));
    world.make((model, context) => approveRoutes(model, { node, prefixes }, context));
  }
  const elect = (live: Live): number => {
    const next = withPrimaries(live, world.model, world.now);
    t.equal(withPrimaries(next, world.model, world.now), next, 'a second look moves nothing');
    t.notOk(next.primaries.has('0.0.0.0/0'), 'each viewer chooses its exit');
    return next.primaries.get('10.0.0.0/24') ?? 0;
  };
  for (const [one, two, before, primary] of ELECTIONS) {
    let live = liveFrom(world.model, world.now);
    if (before !== 0) live = { ...live, primaries: live.primaries.set('10.0.0.0/24', before) };
    for (const [node, state] of [
      [1, one],
      [2, two],
    ] as const) {
      if (state === 'away') continue;
      live = probed(connected(live, node, node), node, state === 'up');
    }
    t.equal(elect(live), primary, `${one}, ${two}, before ${before}`);
  }
  let live = connected(connected(liveFrom(world.model, world.now), 1, 1), 2, 2);
  live = withPrimaries(live, world.model, world.now);
  t.equal(elect(live), 1);
  world.make((model, context) => setExpiry(model, { node: 1, at: world.now }, context));
  t.equal(elect(live), 2, 'an expired router carries nothing');
  world.make((model, context) => announceRoutes(model, { node: 2, prefixes: [] }, context));
  t.equal(elect(live), 0, 'and a withdrawn prefix has nobody');
});
