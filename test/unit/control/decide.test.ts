import t from 'tap';
import { unixMillis } from '../../../src/base/time.ts';
import { approvalId } from '../../../src/control/registry/approvals.ts';
import { revokeAuthKey } from '../../../src/control/registry/auth-keys.ts';
import { registrationOf } from '../../../src/control/registry/from-wire.ts';
import type { MeshNode, Model } from '../../../src/control/registry/model.ts';
import { setExpiry } from '../../../src/control/registry/nodes.ts';
import type { Registration } from '../../../src/control/registry/register.ts';
import { decide } from '../../../src/control/registry/register.ts';
import { must } from '../../must.ts';
import { DAY, machine, machineKey, nodeKey, registration, World } from './world.ts';

const HOLDERS = ['nobody', 'valid', 'expired', 'other machine'] as const;
const EXPIRIES = ['unset', 'past', 'future'] as const;
const KEYS = ['none', 'unknown', 'good', 'used', 'over', 'revoked', "bob's", "bob's used"] as const;
const FOLLOWUPS = ['none', 'open', 'refused', 'unknown', "another's"] as const;
type Decided = ReturnType<typeof decide>['to'];

// An empty cell stands for every value. The first row that fits decides, as the order of the questions does.
const TABLE: readonly [
  holder: (typeof HOLDERS)[number] | '',
  expiry: (typeof EXPIRIES)[number] | '',
  key: readonly (typeof KEYS)[number][] | '',
  followup: readonly (typeof FOLLOWUPS)[number][] | '',
  decided: Decided,
][] = [
  ['other machine', '', '', '', 'refuse'],
  ['', 'past', '', '', 'log out'],
  ['', 'future', ['none'], '', 'refuse'],
  ['valid', '', ['none'], '', 'go on'],
  ['', '', '', ['open'], 'wait'],
  ['', '', '', ['refused'], 'refuse'],
  ['', '', '', ['unknown', "another's"], 'ask'],
  ['', '', ['none'], ['none'], 'ask'],
  ['valid', '', ['unknown', 'good', 'used', 'over', 'revoked'], '', 'go on'],
  ['', '', ['good', "bob's"], '', 'enroll'],
  ['', '', '', '', 'refuse'],
];

t.test('decide: the whole truth table', async (t) => {
  const facts = decisionFacts();
  let asked = 0;
  for (const holder of HOLDERS)
    for (const expiry of EXPIRIES)
      for (const key of KEYS)
        for (const followup of FOLLOWUPS) {
          const row = must(
            TABLE.find(
              (row) =>
                (row[0] === '' || row[0] === holder) &&
                (row[1] === '' || row[1] === expiry) &&
                (row[2] === '' || row[2].includes(key)) &&
                (row[3] === '' || row[3].includes(followup)),
            ),
          );
          const { to } = facts.ask(holder, expiry, key, followup);
          const what = `${holder}, expiry ${expiry}, key ${key}, follow-up ${followup}`;
          if (to !== row[4]) return t.equal(to, row[4], what);
          asked++;
        }
  return t.equal(asked, 480);
});

/** One world with every kind of thing in it, and the request that has the wanted ones. */
function decisionFacts() {
  const world = new World();
  const alice = world.user('alice');
  const bob = world.user('bob');
  const me = 1;
  const spend = (n: number, token: string): void =>
    void world.register(registration({ ...machine(n), authKey: token }));
  const tokens: Record<string, string> = {
    none: '',
    unknown: `pkey-${'0'.repeat(12)}-${'0'.repeat(40)}`,
  };
  tokens['over'] = world.authKey({ user: alice.id, lifetimeMillis: 1, reusable: true }).token;
  tokens['good'] = world.authKey({ user: alice.id }).token;
  tokens["bob's"] = world.authKey({ user: bob.id }).token;
  for (const [n, user, name] of [
    [11, alice, 'used'],
    [12, bob, "bob's used"],
  ] as const) {
    const { token } = world.authKey({ user: user.id });
    spend(n, token);
    tokens[name] = token;
  }
  const revoked = world.authKey({ user: alice.id });
  tokens['revoked'] = revoked.token;
  world.make((model, context) => revokeAuthKey(model, { key: revoked.id }, context));
  world.pass(10);

  const keys = { nobody: 1001, valid: 1002, expired: 1003, 'other machine': 1004 };
  const joined = (n: number, key: number): MeshNode => {
    const { token } = world.authKey({ user: alice.id });
    const request = registration({ ...machine(n), nodeKey: nodeKey(key), authKey: token });
    const { result } = world.register(request);
    return must(result.type === 'member' ? result.node : undefined);
  };
  // One machine's entry cannot be valid under one key and expired under another: each has its own model.
  const models = new Map<string, Model>();
  const empty = world.model;
  for (const holder of HOLDERS) {
    world.model = empty;
    if (holder !== 'nobody') {
      const node = joined(holder === 'other machine' ? 99 : me, keys[holder]);
      if (holder === 'expired')
        world.make((model, context) => setExpiry(model, { node: node.id, at: world.now }, context));
    }
    models.set(holder, world.model);
  }
  return {
    ask(
      holder: (typeof HOLDERS)[number],
      expiry: (typeof EXPIRIES)[number],
      key: (typeof KEYS)[number],
      followup: (typeof FOLLOWUPS)[number],
    ) {
      world.model = must(models.get(holder));
      const expiries = {
        unset: null,
        past: unixMillis(123_000),
        future: unixMillis(world.now + DAY),
      };
      const request = registration({
        ...machine(me),
        nodeKey: nodeKey(keys[holder]),
        authKey: must(tokens[key]),
        expiry: expiries[expiry],
      });
      const whole = { ...request, followup: opened(followup, request) };
      return decide(world.model, whole, world.context());
    },
  };

  function opened(followup: (typeof FOLLOWUPS)[number], request: Registration): string | null {
    if (followup === 'none') return null;
    if (followup === 'unknown') return 'f'.repeat(32);
    const asker = followup === "another's" ? machine(77) : { machine: request.machine };
    const id = approvalId(world.random.bytes(64));
    const approval = {
      ...request,
      ...asker,
      id,
      expires: unixMillis(world.now + 1000),
      refused: followup === 'refused',
    };
    world.model = { ...world.model, approvals: world.model.approvals.set(id, approval) };
    return id;
  }
}

t.test('from the wire: an unset expiry is none, and the zero key is no old key', async (t) => {
  const request = registrationOf(
    {
      Version: 142,
      NodeKey: nodeKey(1),
      OldNodeKey: nodeKey(0),
      Expiry: '0001-01-01T00:00:00Z',
      Followup: `http://192.0.2.1:8080/register/${'a'.repeat(32)}`,
      Hostinfo: { Hostname: 'nas' },
    },
    machineKey(1),
    '192.0.2.7',
  );
  t.match(request, { expiry: null, oldNodeKey: null, followup: 'a'.repeat(32), hostname: 'nas' });
  const other = {
    Version: 142,
    NodeKey: nodeKey(1),
    Followup: 'x',
    Expiry: '1970-01-01T00:02:03Z',
  };
  t.match(registrationOf(other, machineKey(1), ''), { followup: '', expiry: 123_000 });
});
