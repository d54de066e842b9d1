import t from 'tap';
import { AdminWorld, HOUR, ROOT, START } from './admin-world.ts';

const iso = (instant: number): string => new Date(instant).toISOString();

t.test('nodes: expiry is now, never, in a while or at an instant', async (t) => {
  const world = await AdminWorld.make();
  for (const [when, expires, expired] of [
    ['now', iso(START), true],
    ['never', null, false],
    ['90d', iso(START + 90 * 24 * HOUR), false],
    ['2027-02-01T00:00:00Z', '2027-02-01T00:00:00.000Z', false],
  ] as const)
    t.match(
      await world.ask('nodes.expire', { node: 'nas', when }),
      { node: { keyExpires: expires, expired } },
      when,
    );
});

t.test('nodes: what lists say of a node is what it said, and how it is', async (t) => {
  const world = await AdminWorld.make();
  const { coordinator } = world;
  coordinator.said(1, {
    hostinfo: { IPNVersion: '1.102.3-t1', OS: 'linux' },
    endpoints: ['192.0.2.1:41641'],
    homeDerp: 900,
  });
  const session = coordinator.connect(1);
  const nas = async () => (await world.ask('nodes.show', { node: 'nas' })).node;
  t.match(await nas(), {
    fqdn: 'nas.mesh.internal',
    online: true,
    lastSeen: iso(START),
    version: '1.102.3-t1',
    os: 'linux',
    endpoints: ['192.0.2.1:41641'],
    homeDerp: 900,
  });
  world.now += 1000;
  coordinator.disconnect(1, session, 'silent');
  world.now += HOUR;
  t.match(await nas(), { online: false, lastSeen: iso(START + 1000) });
  t.match((await world.ask('nodes.list', {})).nodes[1], { online: false, lastSeen: null });
});

t.test(
  'routes: added to what is approved, taken from it, and the exit pair stays a pair',
  async (t) => {
    const world = await AdminWorld.make();
    await world.join(5, 'max', { hostname: 'router', announced: ['10.1.0.0/24', '10.2.0.0/24'] });
    const ask = async (verb: 'approve' | 'withdraw', more: object): Promise<readonly string[]> =>
      (await world.ask(`routes.${verb}`, { node: 'router', ...more })).node.routes.approved;
    t.same(
      await ask('approve', { prefixes: ['10.1.0.9/24'] }),
      ['10.1.0.0/24'],
      'host bits cleared',
    );
    t.same(await ask('approve', { all: true }), ['10.1.0.0/24', '10.2.0.0/24']);
    t.same(await ask('approve', { exit: true }), [
      '0.0.0.0/0',
      '10.1.0.0/24',
      '10.2.0.0/24',
      '::/0',
    ]);
    t.same(await ask('withdraw', { prefixes: ['::/0', '10.2.0.0/24'] }), ['10.1.0.0/24']);
    world.coordinator.connect(3);
    const { routes } = await world.ask('routes.list', { node: 'router' });
    t.match(routes, [
      { prefix: '10.1.0.0/24', announced: true, approved: true, primary: true, online: true },
      { prefix: '10.2.0.0/24', announced: true, approved: false, primary: false },
    ]);
    for (const [verb, more, code] of [
      ['withdraw', { prefixes: ['10.9.0.0/24'] }, 'not found'],
      ['approve', { prefixes: ['10.1.0.0/33'] }, 'bad request'],
      ['approve', { prefixes: ['100.64.0.0/16'] }, 'denied'],
      ['approve', {}, 'bad request'],
    ] as const)
      t.match(await world.as(ROOT, `routes.${verb}`, { node: 'router', ...more }), {
        ok: false,
        code,
      });
    t.same(await ask('withdraw', { all: true }), []);
  },
);

t.test('dns: what a request does not name stays, split domain by split domain', async (t) => {
  const world = await AdminWorld.make();
  await world.ask('dns.set', { nameservers: ['1.1.1.1'], splitDns: { 'a.example': ['10.0.0.1'] } });
  await world.ask('dns.set', { splitDns: { 'b.example': ['10.0.0.2'] }, overrideLocalDns: true });
  t.match((await world.ask('dns.show', {})).dns, {
    baseDomain: 'mesh.internal',
    nameservers: ['1.1.1.1'],
    splitDns: { 'a.example': ['10.0.0.1'], 'b.example': ['10.0.0.2'] },
    overrideLocalDns: true,
  });
  const { dns } = await world.ask('dns.set', { splitDns: { 'a.example': null }, nameservers: [] });
  t.same([dns.splitDns, dns.nameservers], [{ 'b.example': ['10.0.0.2'] }, []]);
  await world.ask('dns.add', { name: 'Cam', value: '10.0.0.9' });
  await world.ask('dns.add', { name: 'cam', value: 'fd00::9' });
  t.match((await world.ask('dns.show', {})).dns.records, [
    { name: 'cam.mesh.internal', type: 'A' },
    { name: 'cam.mesh.internal', type: 'AAAA' },
  ]);
  for (const [action, request, code, reason] of [
    ['dns.remove', { name: 'cam' }, 'bad request', /2 records: 10\.0\.0\.9, fd00::9/],
    ['dns.remove', { name: 'cam', value: '10.0.0.8' }, 'not found', /but 10\.0\.0\.9/],
    ['dns.remove', { name: 'door' }, 'not found', /no record door\.mesh\.internal/],
    [
      'dns.add',
      { name: 'nas', value: '10.0.0.9' },
      'taken',
      /nas\.mesh\.internal is the name of node 1/,
    ],
    ['dns.add', { name: 'x', value: '10.0.0' }, 'bad request', /'10\.0\.0' is no/],
    ['dns.set', { nameservers: ['one'] }, 'bad request', /'one' is no resolver/],
    ['dns.set', {}, 'bad request', /nothing to set/],
  ] as const)
    t.match(await world.as(ROOT, action, request), { ok: false, code, reason }, reason.source);
});

t.test('looks: relay on and off, and how the server is', async (t) => {
  const world = await AdminWorld.make();
  t.match((await world.ask('relay.show', {})).relay, { on: false, clients: 0 });
  const report = {
    connections: 3,
    clients: 2,
    packets: 7,
    packetBytes: 700,
    dropped: 1,
    stunAnswers: 5,
  };
  world.relay = { ...report, refused: { 'derp: not admitted': 1 } };
  t.match((await world.ask('relay.show', {})).relay, { on: true, ...report });
  await world.wait(9);
  world.coordinator.connect(2);
  t.match((await world.ask('status', {})).server, {
    version: '1.2.3',
    users: 4,
    nodes: 2,
    online: 1,
    waiting: 1,
  });
});
