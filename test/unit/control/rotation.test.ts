/** A node key that changes within its login. */

import t from 'tap';
import { unixMillis } from '../../../src/base/time.ts';
import { register } from '../../../src/control/registry/enroll.ts';
import { decide } from '../../../src/control/registry/register.ts';
import { must } from '../../must.ts';
import { DAY, machine, nodeKey, registration, World } from './world.ts';

t.test(
  'rotation: a machine changes the key of its own login, which lives no longer by it',
  async (t) => {
    const world = new World();
    const alice = world.user('alice');
    const node = world.join(1, alice);
    const rotation = registration({
      ...machine(1),
      nodeKey: nodeKey(77),
      oldNodeKey: node.nodeKey,
      rotate: true,
    });
    world.now = unixMillis(world.now + DAY);
    for (const [what, request] of [
      ['another machine', { ...rotation, machine: machine(2).machine }],
      ['an old key that nobody has', { ...rotation, oldNodeKey: nodeKey(78) }],
      ['no old key', { ...rotation, oldNodeKey: null }],
      ['a login that was asked for', { ...rotation, rotate: false }],
    ] as const)
      t.equal(decide(world.model, request, world.context()).to, 'ask', what);
    const outcome = must(register(world.model, rotation, world.context()));
    t.ok(outcome.ok);
    if (!outcome.ok) return;
    const after = must(outcome.model.nodes.get(node.id));
    t.same(after, { ...node, nodeKey: nodeKey(77) }, 'nothing else is different');
    t.equal(outcome.model.index.nodeByKey.get(node.nodeKey), undefined, 'the old key is nobody’s');
    t.same(outcome.events, [{ type: 'node changed', node: node.id }]);
    world.now = must(node.keyExpires);
    t.equal(decide(world.model, rotation, world.context()).to, 'ask', 'not when it has expired');
  },
);
