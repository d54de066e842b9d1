import t from 'tap';
import { callerOf } from '../../../src/control/admin/caller.ts';
import type { Requests } from '../../../src/protocol/localapi/control-requests.ts';
import type { Action, Role } from '../../../src/protocol/localapi/control-rights.ts';
import { RIGHTS, ROLES } from '../../../src/protocol/localapi/control-rights.ts';
import { must } from '../../must.ts';
import { AdminWorld } from './admin-world.ts';

type Verdict = 'done' | 'refused';

/**
 * What each role gets, by whom the request is about: mia herself (a member), or olga (the owner). Written by
 * hand beside the table, so that a change of a right is a change of both.
 */
const EXPECTED: readonly (readonly [
  action: Action,
  about: 'mia' | 'olga',
  owner: Verdict,
  admin: Verdict,
  member: Verdict,
])[] = [
  ['users.create', 'mia', 'done', 'done', 'refused'],
  ['users.create', 'olga', 'done', 'refused', 'refused'],
  ['users.rename', 'mia', 'done', 'done', 'refused'],
  ['users.rename', 'olga', 'done', 'refused', 'refused'],
  ['users.delete', 'mia', 'done', 'done', 'refused'],
  ['users.delete', 'olga', 'done', 'refused', 'refused'],
  ['users.role', 'mia', 'done', 'refused', 'refused'],
  ['users.role', 'olga', 'done', 'refused', 'refused'],
  ['keys.create', 'mia', 'done', 'done', 'done'],
  ['keys.create', 'olga', 'done', 'done', 'refused'],
  ['keys.revoke', 'mia', 'done', 'done', 'done'],
  ['keys.revoke', 'olga', 'done', 'done', 'refused'],
  ['keys.delete', 'mia', 'done', 'done', 'done'],
  ['keys.delete', 'olga', 'done', 'done', 'refused'],
  ['nodes.show', 'mia', 'done', 'done', 'done'],
  ['nodes.show', 'olga', 'done', 'done', 'refused'],
  ['nodes.rename', 'mia', 'done', 'done', 'done'],
  ['nodes.rename', 'olga', 'done', 'done', 'refused'],
  ['nodes.expire', 'mia', 'done', 'done', 'refused'],
  ['nodes.expire', 'olga', 'done', 'done', 'refused'],
  ['nodes.delete', 'mia', 'done', 'done', 'done'],
  ['nodes.delete', 'olga', 'done', 'done', 'refused'],
  ['nodes.tag', 'mia', 'done', 'done', 'refused'],
  ['nodes.tag', 'olga', 'done', 'done', 'refused'],
  ['nodes.approve', 'mia', 'done', 'done', 'done'],
  ['nodes.approve', 'olga', 'done', 'done', 'refused'],
  ['nodes.refuse', 'mia', 'done', 'done', 'refused'],
  ['routes.approve', 'mia', 'done', 'done', 'refused'],
  ['routes.withdraw', 'mia', 'done', 'done', 'refused'],
  ['dns.set', 'mia', 'done', 'done', 'refused'],
  ['dns.add', 'mia', 'done', 'done', 'refused'],
  ['dns.remove', 'mia', 'done', 'done', 'refused'],
  ['users.list', 'mia', 'done', 'done', 'done'],
  ['keys.list', 'mia', 'done', 'done', 'done'],
  ['nodes.list', 'mia', 'done', 'done', 'done'],
  ['nodes.list', 'olga', 'done', 'done', 'refused'],
  ['routes.list', 'mia', 'done', 'done', 'done'],
  ['routes.list', 'olga', 'done', 'done', 'refused'],
  ['nodes.waiting', 'mia', 'done', 'done', 'refused'],
  ['dns.show', 'mia', 'done', 'done', 'done'],
  ['relay.show', 'mia', 'done', 'done', 'refused'],
  ['audit.list', 'mia', 'done', 'done', 'refused'],
  ['status', 'mia', 'done', 'done', 'refused'],
];

const LOOKS: readonly string[] = EXPECTED.map(([action]) => action).filter((action) =>
  /list|show|waiting|status/.test(action),
);

/** A request that makes sense for this user; what it needs is put there first. */
async function requestFor(
  world: AdminWorld,
  action: Action,
  about: 'mia' | 'olga',
): Promise<Requests[Action]> {
  const node = about === 'mia' ? 'laptop' : 'nas';
  switch (action) {
    case 'users.create':
      return { login: 'new', role: about === 'mia' ? 'member' : 'admin' };
    case 'users.rename':
      return { user: about, login: 'other' };
    case 'users.role':
      return { user: about, role: 'admin' };
    case 'users.delete':
      await world.ask('nodes.delete', { node });
      return { user: about };
    case 'keys.create':
      return { user: about };
    case 'keys.revoke':
    case 'keys.delete':
      return { key: String((await world.ask('keys.create', { user: about })).key.id) };
    case 'nodes.list':
      return { user: about };
    case 'nodes.show':
    case 'nodes.delete':
    case 'routes.list':
      return { node };
    case 'nodes.rename':
      return { node, name: 'other' };
    case 'nodes.expire':
      return { node, when: '1h' };
    case 'nodes.tag':
      return { node, tags: ['tag:a'] };
    case 'nodes.approve':
      return { approval: await world.wait(9), user: about };
    case 'nodes.refuse':
      return { approval: await world.wait(9) };
    case 'routes.withdraw':
      await world.ask('routes.approve', { node, prefixes: ['10.1.0.0/24'] });
      return { node, prefixes: ['10.1.0.0/24'] };
    case 'routes.approve':
      return { node, prefixes: ['10.1.0.0/24'] };
    case 'dns.set':
      return { searchDomains: ['a.example'] };
    case 'dns.remove':
      await world.ask('dns.add', { name: 'cam', value: '10.0.0.9' });
      return { name: 'cam' };
    case 'dns.add':
      return { name: 'cam', value: '10.0.0.9' };
    default:
      return {};
  }
}

t.test('rights: each row, by each role; what is refused changes and records nothing', async (t) => {
  for (const [action, about, ...verdicts] of EXPECTED)
    for (const [i, role] of ROLES.entries()) {
      const world = await AdminWorld.make();
      const request = await requestFor(world, action, about);
      const { model } = world;
      const records = world.log.length;
      const outcome = await world.as(world.caller(role), action, request);
      const row = `${role}: ${action} about ${about}`;
      t.equal(outcome.ok ? 'done' : 'refused', verdicts[i], row);
      if (!outcome.ok) {
        t.ok(['denied', 'not found'].includes(outcome.code), `${row}: ${outcome.code}`);
        t.equal(world.model, model, row);
      }
      const recorded = outcome.ok && !LOOKS.includes(action) ? 1 : 0;
      t.equal(world.log.length - records, recorded, `${row}: records`);
    }
});

t.test('rights: no action is without a row, and each row is of an action', async (t) => {
  const tested = new Set(EXPECTED.map(([action]) => action));
  t.same([...tested].sort(), Object.keys(RIGHTS).sort());
});

t.test('rights: lists of a member hold what is his alone', async (t) => {
  const world = await AdminWorld.make();
  const mia = world.caller('member');
  const names = async (role: Role | 'root', action: Action, list: string): Promise<unknown[]> => {
    const caller = role === 'root' ? undefined : mia;
    const outcome = caller
      ? await world.as(caller, action, {})
      : { ok: true as const, body: await world.ask(action, {} as never) };
    if (!outcome.ok) throw new Error(outcome.reason);
    const rows = (outcome.body as Record<string, Record<string, unknown>[]>)[list];
    return must(rows).map((row) => row['login'] ?? row['name'] ?? row['user']);
  };
  t.same(await names('member', 'users.list', 'users'), ['mia']);
  t.same(await names('member', 'nodes.list', 'nodes'), ['laptop']);
  t.same(await names('member', 'keys.list', 'keys'), ['mia']);
  t.same(await names('root', 'users.list', 'users'), ['olga', 'adam', 'mia', 'max']);
  t.same(await names('root', 'nodes.list', 'nodes'), ['nas', 'laptop']);
  t.same(await names('root', 'keys.list', 'keys'), ['olga', 'mia']);
});

t.test('rights: a member gives no tags, nor opens a login that he cannot name whole', async (t) => {
  const world = await AdminWorld.make();
  const mia = world.caller('member');
  const id = await world.wait(9);
  for (const [action, request] of [
    ['keys.create', { tags: ['tag:a'] }],
    ['keys.create', { user: 'mia', tags: ['tag:a'] }],
    ['nodes.approve', { approval: id, tags: ['tag:a'] }],
    ['nodes.approve', { approval: id.slice(0, 31) }],
  ] as const)
    t.match(
      await world.as(mia, action, request),
      { ok: false, code: /denied|not found/ },
      JSON.stringify(request),
    );
  t.match(await world.as(world.caller('admin'), 'nodes.approve', { approval: id.slice(0, 31) }), {
    ok: true,
    body: { node: { user: 'adam' } },
  });
});

t.test('caller: a uid is who the settings say, with the role of this moment', async (t) => {
  const world = await AdminWorld.make();
  const staff = {
    ownUid: 990,
    logins: new Map([
      [1000, 'mia'],
      [1001, 'gone'],
    ]),
  };
  const of = (uid: number | undefined): ReturnType<typeof callerOf> =>
    callerOf(world.model, staff, uid === undefined ? undefined : { pid: 1, uid, gid: 0 });
  t.match(of(0), { role: 'owner', user: null, by: { name: 'uid 0', from: 'control.sock' } });
  t.match(of(990), { role: 'owner', user: null, by: { name: 'uid 990' } });
  t.match(of(1000), { role: 'member', by: { kind: 'user', name: 'mia' } });
  await world.ask('users.role', { user: 'mia', role: 'admin' });
  t.match(of(1000), { role: 'admin' });
  t.match(of(1001), { ok: false, code: 'denied', reason: /no user gone.*postern users create/ });
  t.match(of(1002), { ok: false, code: 'denied', reason: /uid 1002/ });
  t.match(of(65_534), { ok: false, code: 'denied' });
  t.match(of(undefined), { ok: false, code: 'denied' });
});
