import t from 'tap';
import { NetError } from '../../../src/base/errors.ts';
import type { Action } from '../../../src/protocol/localapi/control-rights.ts';
import { must } from '../../must.ts';
import { seeded } from '../../seeded.ts';
import { AdminWorld, ROOT, START } from './admin-world.ts';

const iso = (instant: number): string => new Date(instant).toISOString();

t.test(
  'audit: each change is one record of who, what, before, after, when and from where',
  async (t) => {
    const world = await AdminWorld.make();
    const login = await world.wait(8);
    const other = await world.wait(9);
    world.now += 5000;
    const adam = world.caller('admin');
    for (const [action, request, target, before, after] of [
      ['users.create', { login: 'new' }, 'user 5 (new)', null, { login: 'new', role: 'member' }],
      [
        'users.rename',
        { user: 'new', login: 'nu' },
        'user 5 (new)',
        { login: 'new' },
        { login: 'nu' },
      ],
      [
        'users.role',
        { user: 'nu', role: 'admin' },
        'user 5 (nu)',
        { role: 'member' },
        { role: 'admin' },
      ],
      ['users.delete', { user: 'nu' }, 'user 5 (nu)', { login: 'nu', role: 'admin' }, null],
      ['keys.create', { user: 'mia' }, /^key 3 /, null, { reusable: false, uses: 0 }],
      ['keys.revoke', { key: '3' }, /^key 3 /, { revoked: false }, { revoked: true }],
      ['keys.delete', { key: '3' }, /^key 3 /, { revoked: true }, null],
      [
        'nodes.rename',
        { node: 'nas', name: 'attic' },
        'node 1 (nas)',
        { name: 'nas' },
        { name: 'attic' },
      ],
      [
        'nodes.expire',
        { node: 'attic', when: 'never' },
        'node 1 (attic)',
        {},
        { keyExpires: null },
      ],
      [
        'nodes.tag',
        { node: 'attic', tags: ['tag:b', 'tag:a'] },
        'node 1 (attic)',
        { user: 1 },
        { user: null, tags: ['tag:a', 'tag:b'] },
      ],
      ['nodes.delete', { node: 'attic' }, 'node 1 (attic)', { name: 'attic' }, null],
      ['nodes.approve', { approval: login, user: 'max' }, 'node 3 (host8)', null, { user: 4 }],
      ['nodes.refuse', { approval: other }, 'login of host9', null, { from: '192.0.2.7' }],
      [
        'routes.approve',
        { node: 'laptop', exit: true },
        'node 2 (laptop)',
        { approved: [] },
        { approved: ['0.0.0.0/0', '::/0'] },
      ],
      [
        'routes.withdraw',
        { node: 'laptop', prefixes: ['0.0.0.0/0'] },
        'node 2 (laptop)',
        {},
        { approved: [] },
      ],
      [
        'dns.set',
        { nameservers: ['9.9.9.9'] },
        'nameservers',
        { nameservers: [] },
        { nameservers: ['9.9.9.9'] },
      ],
      ['dns.add', { name: 'cam', value: '10.0.0.9' }, 'cam.mesh.internal', null, { type: 'A' }],
      ['dns.remove', { name: 'cam' }, 'cam.mesh.internal', { type: 'A' }, null],
    ] as const) {
      const records = world.log.length;
      const caller = action.startsWith('users') ? ROOT : adam;
      const outcome = await world.as(caller, action, request);
      t.equal(outcome.ok, true, `${action} ${JSON.stringify(outcome)}`);
      const recorded = must(world.log[records], action);
      t.equal(world.log.length, records + 1, `${action}: one record`);
      t.match(recorded, { target, before, after, at: START + 5000 }, action);
      t.same(recorded.by, caller.by);
      // What withdraws is recorded as the approval of less, what sets names as a change of settings.
      const names = {
        'routes.withdraw': 'routes.approve',
        'dns.set': 'settings.change',
        'nodes.approve': 'nodes.join',
      };
      t.equal(recorded.action, (names as Record<string, string>)[action] ?? action);
    }
    t.notMatch(JSON.stringify(world.log), /pkey-|"hash"/, 'no secret is recorded');
  },
);

t.test('audit: the log is read in pages, the newest first', async (t) => {
  const world = await AdminWorld.make();
  const total = world.log.length;
  const first = await world.ask('audit.list', { limit: 3 });
  t.match(first.records[0], {
    id: total,
    action: 'nodes.join',
    at: iso(START),
    by: { name: 'test' },
  });
  const seen = first.records.map(({ id }) => id);
  for (let next = first.next; next !== null; ) {
    const page = await world.ask('audit.list', { limit: 3, before: next });
    seen.push(...page.records.map(({ id }) => id));
    next = page.next;
  }
  t.same(
    seen,
    Array.from({ length: total }, (_, i) => total - i),
    'each once, and then no more',
  );
});

t.test('a disk that cannot be written is told, and nothing has changed', async (t) => {
  const world = await AdminWorld.make();
  const { model } = world;
  world.fault = new NetError('store: not saved: database or disk is full');
  t.match(await world.as(ROOT, 'nodes.delete', { node: 'nas' }), {
    ok: false,
    code: 'unavailable',
    reason: /disk is full/,
  });
  t.equal(world.model, model);
  t.match(await world.as(ROOT, 'nodes.list', {}), { ok: true }, 'reading goes on');
  world.fault = undefined;
  t.match(await world.as(ROOT, 'nodes.delete', { node: 'nas' }), { ok: true });
});

t.test(
  'requests: what has not the shape of its action is refused, with where and why',
  async (t) => {
    const world = await AdminWorld.make();
    for (const [action, request, reason] of [
      ['nodes.delete', {}, /^nodes\.delete\.node: is missing/],
      ['nodes.delete', { node: 7 }, /\.node: wanted a text of at most 256, found 7/],
      ['nodes.delete', { node: ' ' }, /\.node: wanted a text/],
      ['nodes.delete', { node: 'nas', force: true }, /field force is not known/],
      ['nodes.delete', ['nas'], /wanted an object, found a list/],
      ['nodes.delete', null, /wanted an object, found null/],
      ['users.role', { user: 'mia', role: 'root' }, /\.role: wanted owner, admin, member/],
      ['keys.create', { user: 'mia', expiry: '1 hour' }, /\.expiry: wanted a duration like 30m/],
      ['keys.create', { user: 'mia', expiry: '0h' }, /\.expiry: wanted/],
      ['nodes.expire', { node: 'nas', when: 'soon' }, /\.when: wanted now, never/],
      ['audit.list', { limit: 5000 }, /\.limit: wanted a whole number of 1 to 1000/],
    ] as const)
      t.match(await world.as(ROOT, action, request), { ok: false, code: 'bad request', reason });
    for (const action of ['nodes.explode', '', 'toString', '__proto__', 'constructor'])
      t.match(await world.as(ROOT, action, {}), { ok: false, code: 'not found' }, action);
  },
);

t.test(
  'requests: any value in any field is an answer or a refusal, never an exception',
  async (t) => {
    const world = await AdminWorld.make();
    const random = seeded(5);
    const actions = [
      'users.create',
      'users.rename',
      'keys.create',
      'keys.revoke',
      'nodes.list',
      'nodes.rename',
      'nodes.expire',
      'nodes.tag',
      'nodes.approve',
      'routes.approve',
      'routes.withdraw',
      'dns.set',
      'dns.add',
      'dns.remove',
      'audit.list',
    ] as const satisfies readonly Action[];
    const fields = [
      'user',
      'login',
      'role',
      'node',
      'name',
      'when',
      'tags',
      'approval',
      'prefixes',
      'exit',
      'all',
      'nameservers',
      'splitDns',
      'value',
      'key',
      'limit',
      'expiry',
    ];
    const value = (): unknown =>
      random.pick<unknown>([
        null,
        '',
        'nas',
        'mia',
        '1',
        'x'.repeat(300),
        'now',
        '::',
        '10.0.0.0/8',
        0,
        -1,
        1e99,
        true,
        [],
        ['tag:a'],
        [null],
        ['10.0.0.0/8'],
        {},
        { 'a.example': null },
        { 'a.example': ['::1'] },
      ]);
    for (let round = 0; round < 5000; round++) {
      const action = random.pick(actions);
      const request = Object.fromEntries(
        Array.from({ length: random.below(4) }, () => [random.pick(fields), value()]),
      );
      try {
        await world.as(ROOT, action, request);
      } catch (error) {
        return t.fail(`round ${round}: ${action} ${JSON.stringify(request)}: ${error}`);
      }
    }
    return t.pass('5,000 requests');
  },
);
