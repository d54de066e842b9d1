import { once } from 'node:events';
import { constants } from 'node:http2';
import t from 'tap';
import { toBase64 } from '../../../src/base/bytes.ts';
import type { Machine } from './client.ts';
import { ask, dial, everything, newKeys, rawShake, upgradeRequest } from './client.ts';
import { register, until, World } from './world.ts';

const counts = (world: World): Record<string, number> => world.server.counters();
const gauge = (world: World, name: string): number => world.server.gauges()[name] ?? 0;

t.test('upgrade: false handshakes are refused with a status and a counter', async (t) => {
  const world = await World.open(t, 41);
  const { random } = world;
  const offers = ['', '!', toBase64(random.bytes(100)), toBase64(random.bytes(101))];
  for (let i = 0; i < 50; i++) offers.push(toBase64(random.bytes(101)));
  for (const offer of offers) {
    const answer = await ask(world.port, upgradeRequest(offer).replaceAll('\r\n', '\n'));
    if (!answer.startsWith('HTTP/1.1 400 ')) t.fail(`${offer}: ${answer}`);
  }
  t.equal(counts(world)['ts2021: no handshake'], 3);
  t.equal(counts(world)['ts2021: unknown type'], 51);
  t.ok(world.lines.length < 5, 'and not a line each');
});

t.test('records: a forged one ends its session', async (t) => {
  const world = await World.open(t, 42);
  const { socket, channel } = await rawShake(
    world.port,
    world.publicKey,
    newKeys(world.random),
    world.random,
  );
  const record = channel.sealer.seal(Buffer.from('PRI * HTTP/2.0'));
  record[10] = (record[10] ?? 0) ^ 1;
  socket.write(record);
  socket.resume();
  await once(socket, 'close');
  await until('it is gone', () => gauge(world, 'sessions: strangers') === 0);
  t.equal(counts(world)['record: forged'], 1);
});

t.test('records: noise inside them ends the session, and never the server', async (t) => {
  const world = await World.open(t, 43);
  for (let round = 0; round < 30; round++) {
    const { socket, channel } = await rawShake(
      world.port,
      world.publicKey,
      newKeys(world.random),
      world.random,
    );
    const noise = world.random.bytes(1 + world.random.below(20_000));
    socket.write(channel.sealer.seal(noise));
    socket.end();
    await everything(socket);
  }
  await until('all are gone', () => gauge(world, 'sessions: strangers') === 0);
  t.pass('30 sessions of noise');
});

t.test(
  'bodies: what is too large, malformed or endless has its status and nothing else',
  async (t) => {
    const world = await World.open(t, 44);
    const machine = await world.shake();
    const deep = `{"a":${'['.repeat(100)}${']'.repeat(100)}}`;
    const rows: readonly [body: string, status: number, counter: string][] = [
      ['', 400, 'body: not JSON'],
      ['{', 400, 'body: not JSON'],
      ['[]', 400, 'body: wrong shape'],
      ['{"Version":142}', 400, 'body: wrong shape'],
      [deep, 400, 'body: too deep'],
      ['x'.repeat(1024 * 1024 + 1), 413, 'body: too large'],
    ];
    for (const path of ['/machine/register', '/machine/map'])
      for (const [body, status, counter] of rows) {
        const before = counts(world)[counter] ?? 0;
        const answer = await machine.post(path, body);
        t.equal(answer.status, status, `${path} ${counter}`);
        t.equal(counts(world)[counter], before + 1, counter);
      }
    const unread = machine.http.request({
      ':method': 'POST',
      ':path': '/machine/register',
      'content-length': 2 * 1024 * 1024,
    });
    unread.on('error', () => {});
    const [head] = await once(unread, 'response');
    t.equal(head[':status'], 413, 'before a byte of it has come');
    t.match((await machine.post('/machine/register', register(machine, {}))).text, /AuthURL/);
  },
);

t.test('bodies: one that trickles is cut off, and the session goes on', async (t) => {
  const world = await World.open(t, 45);
  const machine = await world.shake();
  const slow = machine.http.request({ ':method': 'POST', ':path': '/machine/register' });
  const over = once(slow, 'close');
  slow.write('{');
  await until('it is being read', () => gauge(world, 'sessions: strangers') === 1);
  for (let turn = 0; turn < 50; turn++) await new Promise((done) => setImmediate(done));
  world.pass(16);
  await over;
  t.equal(slow.rstCode, constants.NGHTTP2_CANCEL);
  t.match((await machine.post('/machine/register', register(machine, {}))).text, /AuthURL/);
});

t.test('bodies: all together have a bounded room', async (t) => {
  const world = await World.open(t, 46, { bodyBytes: 100_000 });
  const machine = await world.shake();
  const one = machine.http.request({ ':method': 'POST', ':path': '/machine/register' });
  one.on('error', () => {});
  one.write('x'.repeat(60_000));
  const other = await world.shake();
  for (let turn = 0; turn < 200; turn++) await new Promise((done) => setImmediate(done));
  const full = await other.post('/machine/register', 'x'.repeat(50_000));
  t.equal(full.status, 503);
  t.equal(counts(world)['body: no room'], 1);
  machine.close();
  await until('it has gone', () => gauge(world, 'sessions: strangers') === 1);
  t.equal((await other.post('/machine/register', 'x'.repeat(50_000))).status, 400, 'room again');
});

t.test('requests: unknown paths, wrong methods, and what we do not serve', async (t) => {
  const world = await World.open(t, 47);
  const machine = await world.shake();
  const rows: readonly [method: string, path: string, status: number][] = [
    ['GET', '/', 404],
    ['GET', '/key', 404],
    ['GET', '/machine/ssh/action/1/to/2', 404],
    ['GET', '/machine/map', 405],
    ['DELETE', '/machine/register', 405],
    ['POST', '/machine/set-dns', 501],
    ['POST', '/machine/feature/query', 501],
    ['GET', '/machine/tka/bootstrap', 501],
    ['POST', '/machine/webclient/start', 501],
    ['HEAD', '/machine/ping-response?id=9', 200],
    ['GET', '/machine/ping-response?id=10', 200],
    ['HEAD', '/machine/nothing', 404],
  ];
  for (const [method, path, status] of rows) {
    const answer = await machine.request({ ':method': method, ':path': path });
    t.equal(answer.status, status, `${method} ${path}`);
  }
  t.same(world.probes, [`9 ${machine.keys.machineText}`, `10 ${machine.keys.machineText}`]);
  const { headers } = await machine.request({ ':method': 'GET', ':path': '/machine/map' });
  t.equal(headers['allow'], 'POST');
});

t.test(
  'requests: a session that asks without end is told to wait, and can go on later',
  async (t) => {
    const world = await World.open(t, 48);
    const machine = await world.shake();
    const ask = (): Promise<number> =>
      machine.request({ ':method': 'GET', ':path': '/x' }).then(({ status }) => status);
    const answers: number[] = [];
    for (let i = 0; i < 250; i++) answers.push(await ask());
    t.equal(answers.filter((status) => status === 404).length, 200);
    t.equal(answers.filter((status) => status === 429).length, 50);
    world.pass(1);
    t.equal(await ask(), 404);
  },
);

t.test('requests: a flood of streams that are reset ends its session', async (t) => {
  const world = await World.open(t, 49);
  const machine = await world.shake();
  const over = new Promise((done) => machine.http.once('close', done));
  for (let i = 0; i < 2000 && !machine.http.destroyed; i++) {
    const stream = machine.http.request({ ':method': 'POST', ':path': '/machine/map' });
    stream.on('error', () => {});
    stream.write('{');
    stream.close(8);
    if (i % 50 === 0) await new Promise((done) => setImmediate(done));
  }
  await over;
  await until('it is gone', () => gauge(world, 'sessions: strangers') === 0);
  t.match(await ask(world.port, 'GET /health HTTP/1.1\nHost: x\n\n'), /200 OK/);
});

t.test('front: a slow request has fifteen seconds, and an address a bounded number', async (t) => {
  const world = await World.open(t, 50, { young: 20, youngOfAddress: 8 });
  const slow = await dial(world.port);
  slow.write('GET /key HTTP/1.1\r\nHost:');
  await until('it is young', () => gauge(world, 'connections: young') === 1);
  world.pass(14);
  t.notOk(slow.closed);
  world.pass(1);
  await everything(slow);
  t.equal(counts(world)['front: too slow'], 1);

  const flood = await Promise.all(Array.from({ length: 100 }, () => dial(world.port)));
  const other = await dial(world.port, '198.51.100.1:1');
  await until('they are there', () => gauge(world, 'connections: young') === 9);
  t.equal(counts(world)['front: too many connections'], 92, 'the oldest of that address go');
  t.notOk(other.closed, 'another address keeps its own');
  t.match(await ask(world.port, 'GET /health HTTP/1.1\nHost: x\n\n'), /200 OK/, 'and is served');
  for (const socket of [...flood, other]) socket.destroy();
  const lines = await dial(world.port, 'nonsense');
  await everything(lines);
  t.equal(counts(world)['front: no origin'], 1);
});

t.test('sessions: a thousand upgrades and then silence', async (t) => {
  const world = await World.open(t, 51, { strangersOfAddress: 100, strangers: 300 });
  await world.user('alice');
  const member = await world.join('pca', await world.authKey());
  const sockets: Awaited<ReturnType<typeof rawShake>>['socket'][] = [];
  for (let i = 0; i < 1000; i++) {
    const from = `203.0.113.${i % 5}:${1 + i}`;
    const shaken = await rawShake(
      world.port,
      world.publicKey,
      newKeys(world.random),
      world.random,
      {
        from,
      },
    );
    sockets.push(shaken.socket);
  }
  t.equal(gauge(world, 'sessions: strangers'), 300, 'as many as may be');
  t.equal(counts(world)['ts2021: too many sessions'], 700);
  const lite = { Version: 142, NodeKey: member.keys.node, OmitPeers: true };
  t.equal((await member.post('/machine/map', lite)).status, 200, 'a member is served');
  const newcomer = await world.shake();
  t.match((await newcomer.post('/machine/register', register(newcomer, {}))).text, /AuthURL/);
  world.pass(10);
  await until('the silent are gone', () => gauge(world, 'sessions: strangers') === 1);
  t.equal(counts(world)['ts2021: never proved'], 299);
  for (const socket of sockets) socket.destroy();
  t.ok(world.lines.length < 10, `${world.lines.length} lines in all`);
});

t.test('sessions: one machine has eight, and idle ones end', async (t) => {
  const world = await World.open(t, 52);
  await world.user('alice');
  const authKey = await world.authKey();
  const first = await world.join('pca', authKey);
  const more: Machine[] = [];
  for (let i = 0; i < 10; i++) more.push(await world.shake(first.keys));
  const lite = { Version: 142, NodeKey: first.keys.node, OmitPeers: true };
  const answers = await Promise.allSettled(
    more.map((session) => session.post('/machine/map', lite)),
  );
  await until('eight are left', () => gauge(world, 'sessions: members') === 8);
  t.equal(answers.at(-1)?.status, 'fulfilled', 'the newest is served');
  t.equal(counts(world)['ts2021: too many sessions'], 3);
  const stranger = await world.shake();
  await stranger.post('/machine/register', register(stranger, {}));
  world.pass(31);
  await until('the stranger has gone', () => gauge(world, 'sessions: strangers') === 0);
  t.equal(gauge(world, 'sessions: members'), 8);
  world.pass(100);
  await until('all have gone', () => gauge(world, 'sessions: members') === 0);
  t.equal(counts(world)['session: idle'], 1);
});
