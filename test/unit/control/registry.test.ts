import t from 'tap';
import { holderOf, REST_MILLIS } from '../../../src/control/registry/addresses.ts';
import type { Context } from '../../../src/control/registry/change.ts';
import { addRecord, changeSettings, removeRecord } from '../../../src/control/registry/dns.ts';
import { effectiveRoutes } from '../../../src/control/registry/effective-routes.ts';
import { register } from '../../../src/control/registry/enroll.ts';
import type { SharedDevice } from '../../../src/control/registry/lan.ts';
import { MAX_SHARED, shareDevices } from '../../../src/control/registry/lan.ts';
import type { MeshNode, Model, Settings } from '../../../src/control/registry/model.ts';
import { sanitisedName } from '../../../src/control/registry/names.ts';
import { deleteNode, noteHostname, renameNode } from '../../../src/control/registry/nodes.ts';
import { announceRoutes, approveRoutes } from '../../../src/control/registry/routes.ts';
import { deleteUser, renameUser } from '../../../src/control/registry/users.ts';
import { must } from '../../must.ts';
import { lan, machine, nodeKey, registration, World } from './world.ts';

t.test('names: a label out of whatever a machine calls itself', async (t) => {
  for (const [hostname, label] of [
    ["Joe's Mac mini", 'joes-mac-mini'],
    ['NAS.local', 'nas'],
    ['box.lan', 'box'],
    ['server.example.org', 'server-example-org'],
    ['Büro-Drucker', 'buro-drucker'],
    ['--x--', 'x'],
    ['xn--bcher-kva', 'xn-bcher-kva'],
    ['电脑', 'node'],
    ['', 'node'],
    ['a'.repeat(80), 'a'.repeat(63)],
    [`${'a'.repeat(62)}-b`, 'a'.repeat(62)],
  ] as const)
    t.equal(sanitisedName(hostname), label, hostname);
});

t.test('names: one holder each, whether node, device or record', async (t) => {
  const world = new World();
  const alice = world.user('alice');
  const names = [1, 2, 3].map((n) => world.join(n, alice, { hostname: 'nas' }).name);
  t.same(names, ['nas', 'nas-1', 'nas-2']);
  const long = 'b'.repeat(63);
  t.equal(world.join(4, alice, { hostname: long }).name, long);
  t.equal(world.join(5, alice, { hostname: long }).name, `${'b'.repeat(61)}-1`);
  t.equal(world.join(6, alice, { hostname: 'wpad' }).name, 'wpad-1', 'no machine is the proxy');
  const record = { name: 'cam.mesh.internal', type: 'A', value: '192.0.2.1' } as const;
  world.make((model, context) => addRecord(model, record, context));
  world.make((model, context) => shareDevices(model, { node: 1, devices: [lan('cam')] }, context));
  t.equal(world.model.devices.get('1/cam')?.name, 'cam-1');
  const taken = { name: 'nas.mesh.internal', type: 'A', value: '192.0.2.1' } as const;
  t.match(world.refusal((model, context) => addRecord(model, taken, context)).reason, 'node 1');

  const rename = (node: number, name: string) => (model: Model, context: Context) =>
    renameNode(model, { node, name }, context);
  t.equal(world.refusal(rename(2, 'nas')).code, 'taken');
  for (const bad of ['Nas', '-a', 'a.b', 'localhost', 'a'.repeat(64)])
    t.equal(world.refusal(rename(2, bad)).code, 'bad request', bad);
  t.equal(world.make(rename(1, 'vault')).result.name, 'vault');
  t.equal(world.make(rename(2, 'nas')).result.name, 'nas', 'a name given up is free');
  const note = (node: number, hostname: string) => (model: Model, context: Context) =>
    noteHostname(model, { node, hostname }, context);
  t.equal(world.make(note(1, 'other')).result.name, 'vault', 'what a person chose stays');
  t.equal(world.make(note(3, 'nas')).audit, null, 'the same host name again changes nothing');
  t.equal(world.make(note(3, 'printer')).result.name, 'printer');
  t.equal(world.make(rename(1, '')).result.name, 'other', 'an empty one follows the machine again');
});

t.test('addresses: given once, at rest for 30 days, and refused when there is none', async (t) => {
  const world = new World({ pool: '100.64.7.0/30' });
  const alice = world.user('alice');
  const first = world.join(1, alice);
  t.match(first, { ip4: '100.64.7.1', ip6: 'fd7a:115c:a1e0::6440:701' });
  t.equal(world.join(2, alice).ip4, '100.64.7.2');
  const { token } = world.authKey({ user: alice.id, reusable: true, lifetimeMillis: null });
  const third = registration({ ...machine(3), authKey: token });
  t.equal(world.refusal((model, context) => register(model, third, context)).code, 'full');
  world.make((model, context) => deleteNode(model, { node: first.id }, context));
  world.pass(REST_MILLIS - 1);
  t.equal(world.refusal((model, context) => register(model, third, context)).code, 'full');
  world.pass(1);
  world.clockTrusted = false;
  t.equal(world.refusal((model, context) => register(model, third, context)).code, 'full');
  world.clockTrusted = true;
  const { result } = world.register(third);
  t.match(result, { node: { ip4: '100.64.7.1', id: 3 } });
  for (const address of ['100.64.7.1', 'fd7a:115c:a1e0::6440:701'])
    t.equal(holderOf(world.model, address), 'node 3');
  for (const address of ['100.64.7.9', 'fd7a:115c:a1e0:1::6440:701', 'x'])
    t.equal(holderOf(world.model, address), undefined);
});

t.test('addresses: those of ChromeOS and of the resolver are never given', async (t) => {
  const world = new World({ pool: '100.115.92.0/22' });
  const alice = world.user('alice');
  t.equal(world.join(1, alice).ip4, '100.115.94.0');
  world.make((model, context) => changeSettings(model, { pool: '100.100.100.96/29' }, context));
  const given = [2, 3, 4, 5, 6].map((n) => world.join(n, alice).ip4);
  t.notOk(given.includes('100.100.100.100'));
  t.equal(new Set(given).size, 5);
});

t.test('LAN devices: a name and an address of their own for ever, withdrawn or not', async (t) => {
  const world = new World();
  const alice = world.user('alice');
  const node = world.join(1, alice);
  const share =
    (...devices: SharedDevice[]) =>
    (model: Model, context: Context) =>
      shareDevices(model, { node: node.id, devices }, context);
  const [nas, cam] = world.make(share(lan('nas'), lan('cam', { mode: 'gateway' }))).result;
  t.match(nas, { name: 'nas', ip4: '100.64.0.2', ip6: 'fd7a:115c:a1e0::6440:2', shared: true });
  t.equal(world.make(share(lan('nas'), lan('cam', { mode: 'gateway' }))).audit, null);
  t.same(
    world.make(share(lan('nas'))).result.map(({ id }) => id),
    ['nas'],
  );
  world.join(2, alice);
  const back = world.make(share(lan('cam', { name: 'porch', sshPort: 2222 }))).result[0];
  t.match(back, { ip4: cam?.ip4, ip6: cam?.ip6, name: 'porch', sshPort: 2222 });
  t.equal(holderOf(world.model, must(cam).ip4), 'device 1/cam');

  const before = world.model;
  for (const [bad, code] of [
    [[lan('x'), lan('x')], 'bad request'],
    [[lan('')], 'bad request'],
    [[lan('x', { sshPort: 0 })], 'bad request'],
    [[lan('x', { kind: 'wireguard' })], 'bad request'],
    [[lan('x', { publicKey: nodeKey(9) })], 'bad request'],
    [[lan('good'), lan('x', { mode: 'both' as 'route' })], 'bad request'],
    [Array.from({ length: MAX_SHARED + 1 }, (_, n) => lan(`d${n}`)), 'full'],
  ] as const)
    t.equal(world.refusal(share(...bad)).code, code);
  t.equal(world.model, before, 'a report is taken whole or not at all');

  world.make((model, context) => deleteNode(model, { node: node.id }, context));
  t.equal(world.model.devices.size, 0);
  t.equal(world.model.rests.size, 3, 'the addresses rest');
});

t.test(
  'routes: announced and approved count; the exit pair goes together; the mesh is nobody’s',
  async (t) => {
    const world = new World();
    const { id } = world.join(1, world.user('alice'));
    const announce = (...prefixes: string[]): MeshNode =>
      world.make((model, context) => announceRoutes(model, { node: id, prefixes }, context)).result;
    const approve =
      (...prefixes: string[]) =>
      (model: Model, context: Context) =>
        approveRoutes(model, { node: id, prefixes }, context);
    announce('10.0.0.7/24', '0.0.0.0/0', '::/0', 'rubbish', '100.64.0.9/32');
    t.same(effectiveRoutes(must(world.model.nodes.get(id))), []);
    const { result } = world.make(approve('10.0.0.0/24', '192.168.1.0/24', '0.0.0.0/0'));
    t.same(effectiveRoutes(result), ['0.0.0.0/0', '10.0.0.0/24', '::/0']);
    t.same(effectiveRoutes(announce('192.168.1.0/24')), ['192.168.1.0/24'], 'approval waits');
    t.same(effectiveRoutes(announce()), []);
    for (const prefix of ['100.64.0.9/32', '100.0.0.0/8', 'fd7a:115c:a1e0::/64'])
      t.equal(world.refusal(approve(prefix)).code, 'denied', prefix);
    world.policy = {
      ...world.policy,
      approvesRoute: (_model, _node, prefix) => prefix !== '10.9.0.0/16',
    };
    t.same(effectiveRoutes(announce('10.8.0.0/16', '10.9.0.0/16', '100.64.0.0/12')), [
      '10.8.0.0/16',
    ]);
  },
);

t.test(
  'settings: each wrong one is refused with its reason; a new base domain moves the records',
  async (t) => {
    const world = new World();
    const alice = world.user('alice');
    world.join(1, alice, { hostname: 'nas' });
    const set = (request: Partial<Settings>) => (model: Model, context: Context) =>
      changeSettings(model, request, context);
    for (const bad of [
      { baseDomain: 'mesh' },
      { baseDomain: 'a..b' },
      { pool: '10.0.0.0/24' },
      { pool: '100.64.0.0/31' },
      { keyLifetimeMillis: 1 },
      { nameservers: ['dns.example'] },
      { splitDns: { 'bad domain': ['192.0.2.1'] } },
      { searchDomains: ['-'] },
    ])
      t.equal(world.refusal(set(bad)).code, 'bad request', JSON.stringify(bad));
    world.make(set({ nameservers: ['192.0.2.53', '[2001:db8::1]:53', 'https://dns.example/q'] }));
    const record = { name: 'nas.other.test', type: 'A', value: '192.0.2.1' } as const;
    world.make((model, context) => addRecord(model, record, context));
    t.equal(world.refusal(set({ baseDomain: 'other.test' })).code, 'taken');
    world.make((model, context) => removeRecord(model, record, context));
    world.make(set({ baseDomain: 'other.test' }));
    t.equal(world.model.settings.baseDomain, 'other.test');
  },
);

t.test(
  'users: a login is one user’s; who has nodes is not deleted, and his keys go with him',
  async (t) => {
    const world = new World();
    const alice = world.user('alice@example.org');
    t.throws(() => world.user('alice@example.org'), /already/);
    for (const bad of ['Alice', '', '@x', 'a b', 'a@b@c'])
      t.throws(() => world.user(bad), /no login/);
    const node = world.join(1, alice);
    const remove = (model: Model, context: Context) =>
      deleteUser(model, { user: alice.id }, context);
    t.match(world.refusal(remove).reason, 'still has host1');
    world.make((model, context) => renameUser(model, { user: alice.id, login: 'alice' }, context));
    world.make((model, context) => deleteNode(model, { node: node.id }, context));
    world.make(remove);
    t.equal(world.model.authKeys.size, 0);
    t.not(world.user('alice').id, alice.id, 'ids are never given twice');
  },
);
