import t from 'tap';
import { must } from '../../must.ts';
import { AdminWorld, HOUR, ROOT, START } from './admin-world.ts';

const iso = (instant: number): string => new Date(instant).toISOString();

t.test('names: a node is found by each of its names, and by nothing that is near', async (t) => {
  const world = await AdminWorld.make();
  const { node } = await world.ask('nodes.show', { node: 'nas' });
  const { ip4, ip6 } = { ip4: must(node.addresses[0]), ip6: must(node.addresses[1]) };
  const long = ip6.replace('::', ':0:0:0:').toUpperCase();
  for (const name of [
    'nas',
    'NAS',
    '1',
    node.stableId,
    ip4,
    ip6,
    long,
    node.nodeKey,
    node.fqdn,
    `${node.fqdn}.`,
  ])
    t.match(
      await world.as(ROOT, 'nodes.show', { node: name }),
      { ok: true, body: { node: { id: 1 } } },
      name,
    );
  for (const name of ['na', 'nas.', 'nas.example.org', '01', '100.64.0.250', 'mesh.internal', '*'])
    if (name !== 'nas.')
      t.match(
        await world.as(ROOT, 'nodes.delete', { node: name }),
        { ok: false, code: 'not found', reason: `there is no node ${name}` },
        name,
      );
  t.equal(world.model.nodes.size, 2);
});

t.test('names: what fits several is refused with the list, and nothing is changed', async (t) => {
  const world = await AdminWorld.make();
  await world.join(3, 'max', { hostname: 'Mac' });
  await world.join(4, 'max', { hostname: 'Mac' });
  await world.ask('nodes.rename', { node: '3', name: 'desk' });
  await world.ask('nodes.rename', { node: '4', name: '1' });
  for (const [text, list] of [
    ['Mac', /Mac fits 2 nodes: 3 \(desk, 100\.64\.0\.\d+\), 4 \(1, /],
    ['1', /1 fits 2 nodes: 1 \(nas, .*\), 4 \(1, /],
  ] as const)
    t.match(await world.as(ROOT, 'nodes.delete', { node: text }), {
      code: 'bad request',
      reason: list,
    });
  t.match(await world.as(ROOT, 'nodes.show', { node: '1.mesh.internal' }), {
    body: { node: { id: 4 } },
  });
  await world.ask('users.create', { login: 'ann@a.example' });
  t.match(await world.as(ROOT, 'keys.create', { user: 'ann' }), { ok: true });
  await world.ask('users.create', { login: 'ann@b.example' });
  t.match(await world.as(ROOT, 'keys.create', { user: 'ann' }), {
    code: 'bad request',
    reason: /ann fits 2 users: 5 \(ann@a\.example\), 6 \(ann@b\.example\)/,
  });
  t.equal(world.model.nodes.size, 4);
});

t.test('keys: a key is named by its id or beginning, and never said back', async (t) => {
  const world = await AdminWorld.make();
  const { token, key } = await world.ask('keys.create', {
    user: 'mia',
    expiry: '90d',
    reusable: true,
  });
  t.match(token, /^pkey-[0-9a-z]{12}-[0-9a-z]{40}$/);
  t.match(key, { user: 'mia', reusable: true, ephemeral: false, uses: 0, fault: null });
  t.equal(key.expires, iso(START + 90 * 24 * HOUR));
  t.equal((await world.ask('keys.create', { user: 'mia' })).key.expires, iso(START + HOUR));
  const never = await world.ask('keys.create', { tags: ['tag:a'], expiry: 'never' });
  t.match(never.key, { expires: null, user: null, tags: ['tag:a'] });
  for (const name of [token, `pkey-${key.prefix}`, key.prefix, key.prefix.slice(0, 8), '3'])
    t.match(await world.as(ROOT, 'keys.revoke', { key: name }), { body: { key: { id: 3 } } }, name);
  const stranger = `pkey-${'0'.repeat(12)}-${'s'.repeat(40)}`;
  const missed = await world.as(ROOT, 'keys.delete', { key: stranger });
  t.match(missed, { code: 'not found', reason: /^there is no key 0{12}$/ });
  const { keys } = await world.ask('keys.list', {});
  t.match(
    keys.find(({ id }) => id === 3),
    { fault: /revoked/ },
  );
  t.match(keys[0], { fault: /used/, uses: 1 });
  world.now += 2 * HOUR;
  t.match((await world.ask('keys.list', {})).keys[3], { fault: /expired/ });
});

t.test('keys: a number that is no id is not what a key happens to begin with', async (t) => {
  const world = await AdminWorld.make();
  for (let i = 0; i < 60; i++) await world.ask('keys.create', { user: 'mia', expiry: 'never' });
  const digits = [...world.model.authKeys.values()].filter(({ prefix }) => /^\d/.test(prefix));
  t.ok(digits.length > 5, 'some begin with a digit');
  for (const { prefix } of digits) {
    const text = must(/^\d+/.exec(prefix))[0].padStart(3, '9');
    t.match(await world.as(ROOT, 'keys.delete', { key: text }), { code: 'not found' }, text);
  }
});

t.test('logins: approved by id or URL, for a user or tags, once', async (t) => {
  const world = await AdminWorld.make();
  const ids: string[] = [];
  for (const n of [11, 12, 13, 14]) {
    ids.push(await world.wait(n));
    world.now += 1;
  }
  const { waiting } = await world.ask('nodes.waiting', {});
  t.same(
    waiting.map(({ id }) => id),
    ids,
  );
  t.match(waiting[0], { hostname: 'host11', from: '192.0.2.7', expires: iso(START + HOUR) });
  const approve = (approval: string, more: object): Promise<unknown> =>
    world.as(ROOT, 'nodes.approve', { approval, ...more });
  const url = `https://mesh.example.org/register/${ids[0]}`;
  t.match(await approve(url, { user: 'max' }), { body: { node: { name: 'host11', user: 'max' } } });
  t.match(await approve(url, { user: 'max' }), { ok: false, code: 'not found' });
  t.match(await approve(must(ids[1]).slice(0, 8), { tags: ['tag:cam'] }), {
    body: { node: { user: null, tags: ['tag:cam'], keyExpires: null } },
  });
  t.match(await approve(must(ids[2]), {}), {
    code: 'bad request',
    reason: /whose .* user or tags/,
  });
  t.match(await approve(must(ids[2]), { user: 'max', tags: ['tag:a'] }), { code: 'bad request' });
  t.match(
    await approve('host13', { user: 'max' }),
    { code: 'not found' },
    "a host name is anybody's",
  );
  t.match(await world.as(ROOT, 'nodes.refuse', { approval: ids[3] }), {
    body: { refused: ids[3] },
  });
  t.match(await approve(must(ids[3]), { user: 'max' }), { code: 'not found' });
  world.now += HOUR;
  t.match(await approve(must(ids[2]), { user: 'max' }), { code: 'not found' }, 'after its hour');
});
