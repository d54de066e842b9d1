import t from 'tap';
import { unixMillis } from '../../../src/base/time.ts';
import {
  MAX_APPROVALS,
  refuseApproval,
  waitingApprovals,
} from '../../../src/control/registry/approvals.ts';
import { deleteAuthKey, listed } from '../../../src/control/registry/auth-keys.ts';
import { approve, register } from '../../../src/control/registry/enroll.ts';
import { isExpired } from '../../../src/control/registry/model.ts';
import { deleteNode, setExpiry, tagNode } from '../../../src/control/registry/nodes.ts';
import type { Registration } from '../../../src/control/registry/register.ts';
import { decide } from '../../../src/control/registry/register.ts';
import { approveRoutes } from '../../../src/control/registry/routes.ts';
import { rowsBetween } from '../../../src/control/registry/rows.ts';
import { ownersOnly } from '../../../src/control/registry/visibility.ts';
import { Ledger } from '../../../src/store/ledger.ts';
import { must } from '../../must.ts';
import { DAY, machine, nodeKey, registration, World } from './world.ts';

t.test('auth key: the last use is given once, however many ask at the same time', async (t) => {
  const world = new World();
  const alice = world.user('alice');
  const { token, id } = world.authKey({ user: alice.id });
  const store = { commit: () => new Promise<void>((done) => setImmediate(done)) };
  const ledger = new Ledger({ model: world.model, store, rowsBetween });
  const asked = Array.from({ length: 50 }, (_, n) =>
    ledger.change((model) =>
      register(model, registration({ ...machine(n + 1), authKey: token }), world.context()),
    ),
  );
  const outcomes = await Promise.all(asked);
  t.equal(outcomes.filter(({ ok }) => ok).length, 1);
  t.equal(ledger.model.nodes.size, 1);
  t.equal(ledger.model.authKeys.get(id)?.uses, 1);
  const reasons = new Set(outcomes.flatMap((one) => (one.ok ? [] : [one.reason])));
  t.same([...reasons], ['this auth key has been used']);
});

t.test('auth key: its text is shown once and kept nowhere', async (t) => {
  const world = new World();
  const before = world.model;
  const alice = world.user('alice');
  const { token, id } = world.authKey({ user: alice.id, reusable: true });
  world.join(1, alice);
  const everything = JSON.stringify(rowsBetween(before, world.model));
  const secret = must(token.split('-')[2]);
  t.equal(secret.length, 40);
  t.notMatch(everything, secret);
  const key = must(world.model.authKeys.get(id));
  t.match(everything, key.hash);
  t.notMatch(JSON.stringify(listed(key)), key.hash, 'lists have not even the hash');
  for (const wrong of [token.slice(0, -1), `${token}0`, token.replace(/.$/, '!'), secret, ''])
    t.not(decide(world.model, asking(wrong), world.context()).to, 'enroll', wrong);
  t.equal(decide(world.model, asking(token), world.context()).to, 'enroll');

  function asking(authKey: string): Registration {
    return registration({ ...machine(2), authKey });
  }
});

t.test(
  'auth key: a container that starts again with its used, then deleted key goes on',
  async (t) => {
    const world = new World();
    const alice = world.user('alice');
    const { token, id } = world.authKey({ user: alice.id });
    const request = registration({ ...machine(1), authKey: token });
    const { result } = world.register(request);
    t.equal(result.type, 'member');
    const again = world.register(request);
    t.equal(again.result.type, 'member');
    t.equal(again.audit, null);
    t.same(rowsBetween(world.model, again.model), [], 'and nothing is written');
    world.make((model, context) => deleteAuthKey(model, { key: id }, context));
    t.equal(world.register(request).result.type, 'member');
    const rotated = { ...request, nodeKey: nodeKey(2), oldNodeKey: nodeKey(1) };
    const refused = world.refusal((model, context) => register(model, rotated, context));
    t.equal(refused.reason, 'this auth key is not known', 'a new node key asks the key again');
  },
);

t.test(
  'auth key: a key that can expire lets nobody in while the clock is not trusted',
  async (t) => {
    const world = new World();
    const alice = world.user('alice');
    const timed = registration({ ...machine(1), authKey: world.authKey({ user: alice.id }).token });
    const { token } = world.authKey({ user: alice.id, lifetimeMillis: null });
    world.clockTrusted = false;
    t.equal(world.refusal((model, context) => register(model, timed, context)).code, 'clock');
    t.equal(world.register({ ...timed, authKey: token }).result.type, 'member');
  },
);

t.test(
  'auth key: tags own the node, its key does not expire, and no other tag is given',
  async (t) => {
    const world = new World();
    const alice = world.user('alice');
    const tags = ['tag:server', 'tag:web'];
    const node = world.join(1, alice, { requestTags: ['tag:web'] }, tags);
    t.match(node, { user: null, tags, keyExpires: null });
    const { token } = world.authKey({ user: null, tags });
    const more = registration({ ...machine(2), authKey: token, requestTags: ['tag:db'] });
    t.match(
      world.refusal((model, context) => register(model, more, context)),
      {
        code: 'denied',
        reason: 'requested tags [tag:db] are invalid or not permitted',
      },
    );
    t.throws(() => world.join(3, alice, { requestTags: ['tag:web'] }), /not permitted/);
    world.policy = { ...ownersOnly(), mayTag: (_model, _user, tag) => tag === 'tag:web' };
    t.match(world.join(3, alice, { requestTags: ['tag:web'] }), { user: null, tags: ['tag:web'] });
  },
);

t.test(
  'rotation: id, addresses, name and routes stay, and the old entry serves until then',
  async (t) => {
    const world = new World();
    const alice = world.user('alice');
    const node = world.join(1, alice, { announced: ['10.0.0.0/24'] });
    world.make((model, context) =>
      approveRoutes(model, { node: node.id, prefixes: ['10.0.0.0/24'] }, context),
    );
    world.pass(DAY);
    const request = registration({
      ...machine(1),
      nodeKey: nodeKey(500),
      oldNodeKey: node.nodeKey,
      announced: ['10.0.0.0/24'],
    });
    const { result } = world.register(request);
    const id = must(result.type === 'login needed' ? result.approval : undefined);
    t.equal(world.model.nodes.get(node.id)?.nodeKey, node.nodeKey);
    t.equal(world.register({ ...request, followup: id }).result.type, 'wait');
    const approved = world.make((model, context) =>
      approve(model, { approval: id, owner: { user: alice.id, tags: [] } }, context),
    );
    t.match(approved.result, {
      id: node.id,
      stableId: node.stableId,
      ip4: node.ip4,
      ip6: node.ip6,
      name: node.name,
      approved: ['10.0.0.0/24'],
      nodeKey: nodeKey(500),
      keyExpires: world.now + 180 * DAY,
    });
    t.match(approved.events, [
      { type: 'node changed' },
      { type: 'approval settled', approval: id },
    ]);
    t.equal(world.register({ ...request, followup: id }).result.type, 'member');
    t.equal(world.model.index.nodeByKey.get(node.nodeKey), undefined);
  },
);

t.test('expiry: the same key comes back by login, with the same address', async (t) => {
  const world = new World();
  const alice = world.user('alice');
  const node = world.join(1, alice);
  world.make((model, context) => setExpiry(model, { node: node.id, at: world.now }, context));
  const request = registration(machine(1));
  const { result } = world.register(request);
  const id = must(result.type === 'login needed' ? result.approval : undefined);
  const { result: renewed } = world.make((model, context) =>
    approve(model, { approval: id, owner: { user: alice.id, tags: [] } }, context),
  );
  t.match(renewed, { id: node.id, ip4: node.ip4, nodeKey: node.nodeKey });
  t.notOk(isExpired(renewed, world.now));
  world.make((model, context) => setExpiry(model, { node: node.id, at: world.now }, context));
  world.make((model, context) => setExpiry(model, { node: node.id, at: null }, context));
  t.equal(world.register(request).result.type, 'member', 'an expiry taken back needs no login');
});

t.test('another user: the machine becomes another node, and no right passes on', async (t) => {
  const world = new World();
  const [alice, bob] = [world.user('alice'), world.user('bob')];
  const first = world.join(1, alice, { announced: ['10.0.0.0/24'] });
  world.make((model, context) =>
    approveRoutes(model, { node: first.id, prefixes: ['10.0.0.0/24'] }, context),
  );
  const second = world.join(1, bob, { nodeKey: nodeKey(2), oldNodeKey: nodeKey(1) });
  t.not(second.id, first.id);
  t.not(second.ip4, first.ip4);
  t.match(second, { user: bob.id, approved: [] });
  t.ok(isExpired(must(world.model.nodes.get(first.id)), world.now), 'the key it gave up is over');

  const back = world.join(1, alice, { nodeKey: nodeKey(3) });
  t.equal(back.id, first.id, 'and the first owner finds the entry again');
  world.make((model, context) => setExpiry(model, { node: back.id, at: world.now }, context));
  const taken = world.join(1, bob, { nodeKey: nodeKey(3) });
  t.match(taken, { id: first.id, user: bob.id, approved: [] }, 'the same key is the same node');
});

t.test(
  'tags and users: a node is one or the other, and keeps its address on the way',
  async (t) => {
    const world = new World();
    const alice = world.user('alice');
    const node = world.join(1, alice);
    const tagged = world.join(1, null, { nodeKey: nodeKey(2) }, ['tag:a']);
    t.match(tagged, { id: node.id, ip4: node.ip4, user: null, tags: ['tag:a'], keyExpires: null });
    const back = world.join(1, alice, { nodeKey: nodeKey(3) });
    t.match(back, { id: node.id, user: alice.id, tags: [] });
    const edited = world.make((model, context) =>
      tagNode(model, { node: node.id, tags: ['tag:b'] }, context),
    );
    t.match(edited.result, { user: null, tags: ['tag:b'] });
    t.match(edited.audit, { action: 'nodes.tag', before: { tags: [], user: alice.id } });
  },
);

t.test(
  'logout: the key ends now, an ephemeral node altogether, a stranger not at all',
  async (t) => {
    const world = new World();
    const alice = world.user('alice');
    const node = world.join(1, alice);
    const ephemeral = world.join(2, alice, { ephemeral: true });
    const past = unixMillis(123_000);
    const other = registration({ ...machine(3), nodeKey: node.nodeKey, expiry: past });
    t.equal(world.refusal((model, context) => register(model, other, context)).code, 'taken');
    for (const n of [1, 2, 3])
      t.match(
        world.register(registration({ ...machine(n), expiry: past, authKey: 'any' })).result,
        {
          type: 'logged out',
        },
      );
    t.equal(world.model.nodes.get(node.id)?.keyExpires, world.now, 'not the 1970 of the request');
    t.notOk(world.model.nodes.has(ephemeral.id));
    t.match(world.join(1, alice, { nodeKey: nodeKey(9) }), { id: node.id, ip4: node.ip4 });
  },
);

t.test('deleted node: it is a stranger, and joins as a new one', async (t) => {
  const world = new World();
  const alice = world.user('alice');
  const node = world.join(1, alice);
  world.make((model, context) => deleteNode(model, { node: node.id }, context));
  t.equal(world.register(registration(machine(1))).result.type, 'login needed');
  const again = world.join(1, alice);
  t.ok(again.id > node.id, 'ids are never given twice');
  t.not(again.ip4, node.ip4);
});

t.test(
  'approvals: one for each machine, a thousand in all, an hour each, never on disk',
  async (t) => {
    const world = new World();
    const before = world.model;
    const ask = (n: number): string => {
      const { result } = world.register(registration(machine(n)));
      return must(result.type === 'login needed' ? result.approval : undefined);
    };
    const first = ask(1);
    const second = ask(1);
    t.notOk(world.model.approvals.has(first));
    world.pass(1);
    for (let n = 2; n <= MAX_APPROVALS + 1; n++) ask(n);
    t.equal(world.model.approvals.size, MAX_APPROVALS);
    t.notOk(world.model.approvals.has(second), 'the oldest has gone');
    t.same(rowsBetween(before, world.model), []);
    const [waiting] = waitingApprovals(world.model, world.now);
    const { id } = must(waiting);
    world.make((model, context) => refuseApproval(model, { approval: id }, context));
    const owner = { user: 1, tags: [] } as const;
    t.equal(
      world.refusal((model, context) => approve(model, { approval: id, owner }, context)).code,
      'not found',
    );
    world.pass(2 * 3_600_000);
    t.same(waitingApprovals(world.model, world.now), []);
    ask(1);
    t.equal(world.model.approvals.size, 1, 'what has run out goes with the next one');
  },
);
