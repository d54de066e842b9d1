import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import t from 'tap';
import { ConfigError } from '../../../src/base/errors.ts';
import { nodePublic } from '../../../src/base/keys.ts';
import { seeded } from '../../seeded.ts';
import { FakeInterface, fakeReport } from './fake-interface.ts';
import { opened, scratch, talk } from './uapi-under-test.ts';

t.test('socket: its owner alone may open it, and it goes at close', async (t) => {
  const folder = `${scratch(t)}/made`;
  const server = await opened(t, new FakeInterface(), { folder, name: 'own' });
  t.equal(statSync(server.path).mode & 0o777, 0o600);
  t.equal(statSync(folder).mode & 0o777, 0o755 & ~process.umask());
  await server.close();
  t.equal(existsSync(server.path), false);
});

t.test('socket: one left by a dead process is replaced, a living one refused', async (t) => {
  const folder = scratch(t);
  const path = `${folder}/x.sock`;
  // A process that ends without closing leaves its socket.
  spawnSync(process.execPath, [
    '-e',
    `require('net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`,
  ]);
  t.equal(statSync(path).isSocket(), true);
  writeFileSync(`${path}.new`, 'of a start that was killed');
  const first = await opened(t, new FakeInterface(), { folder, name: 'x' });
  t.same(readdirSync(folder), ['x.sock']);
  t.equal(await talk(first.path, 'get=1\n\n'), 'errno=0\n\n');
  await t.rejects(opened(t, new FakeInterface(), { folder, name: 'x' }), ConfigError);
  t.equal(await talk(first.path, 'get=1\n\n'), 'errno=0\n\n', 'the first is unharmed');
  writeFileSync(`${folder}/file.sock`, 'precious');
  await t.rejects(opened(t, new FakeInterface(), { folder, name: 'file' }), /no socket/);
  mkdirSync(`${folder}/deep`);
  writeFileSync(`${folder}/deep/no`, '');
  await t.rejects(opened(t, new FakeInterface(), { folder: `${folder}/deep/no` }), ConfigError);
});

t.test('client: requests on one connection are answered in order', async (t) => {
  const target = new FakeInterface();
  const { path, name } = await opened(t, target, { folder: scratch(t) });
  t.same(
    JSON.parse((await talk(path, 'get=status\n\n')).replace(/\nerrno=0\n\n$/, '')),
    fakeReport(name),
    'our own question',
  );
  const answers = await talk(
    path,
    'set=1\nlisten_port=5\n\nset=1\nlisten_port=x\n\nget=1\n\nset=1\nlisten_port=6\n\n',
    /(errno=[\s\S]*){4}\n\n$/,
  );
  t.equal(answers, 'errno=0\n\nerrno=-22\n\nlisten_port=5\nerrno=0\n\nerrno=0\n\n');
  t.equal(target.listenPort, 6);
});

t.test('client: a wrong line leaves the interface as it was', async (t) => {
  const target = new FakeInterface();
  const { path, env } = await opened(t, target, { folder: scratch(t) });
  t.equal(await talk(path, 'set=1\nlisten_port=5\nfwmark=y\n\n'), 'errno=-22\n\n');
  t.same(target.changes, []);
  t.match(env.lines.join(''), /fwmark: wanted a number/);
});

t.test('client: one that dawdles or does not read is dropped, others are served', async (t) => {
  const target = new FakeInterface();
  const { path, env } = await opened(t, target, { folder: scratch(t) });
  const slow = connect(path, () => slow.write('set=1\nlisten_po'));
  const ended = new Promise((done) => slow.once('close', done));
  while (env.timers.size === 0) await new Promise(setImmediate);
  t.equal(await talk(path, 'get=1\n\n'), 'errno=0\n\n');
  t.equal(env.timers.size, 1, 'the answered client has no deadline left');
  for (const fire of env.timers) fire();
  await ended;
  t.equal(target.listenPort, 0);

  const garbage = await talk(path, 'GET / HTTP/1.1\r\nHost: x\r\n\r\n', /never/);
  t.equal(garbage, 'errno=-71\n\n', 'told, and hung up on');

  // Asks for far more than the socket's buffers take, and reads nothing.
  const random = seeded(4);
  for (let i = 0; i < 2000; i++)
    target.configure({ peers: [{ publicKey: nodePublic(random.bytes(32)), allowedIps: [] }] });
  const deaf = connect(path, () => deaf.write('get=1\n\n'.repeat(5000)));
  deaf.pause();
  let calls = 0;
  const status = target.status.bind(target);
  target.status = () => {
    calls++;
    return status();
  };
  while (env.timers.size < 1) await new Promise(setImmediate);
  t.ok(calls <= 2, `${calls} answers made for a client that reads none`);
  const gone = new Promise((done) => deaf.once('close', done));
  deaf.resume();
  deaf.destroy();
  await gone;
});

t.test('socket: removed by somebody, it asks the interface to end', async (t) => {
  const { path, removed } = await opened(t, new FakeInterface(), { folder: scratch(t) });
  let seen = false;
  void removed.then(() => {
    seen = true;
  });
  writeFileSync(`${path}.other`, '');
  rmSync(`${path}.other`);
  t.equal(await talk(path, 'get=1\n\n'), 'errno=0\n\n');
  t.equal(seen, false, 'not by what happens beside it');
  rmSync(path);
  await removed;
});

t.test('close: connections end with the server', async (t) => {
  const folder = scratch(t);
  const server = await opened(t, new FakeInterface(), { folder, name: 'c' });
  const client = connect(server.path);
  await new Promise((done) => client.once('connect', done));
  const ended = new Promise((done) => client.once('close', done));
  await server.close();
  await ended;
  const probe = createServer();
  await new Promise<void>((done) => probe.listen(server.path, done));
  t.equal(probe.listening, true, 'the place is free again');
  probe.close();
});

t.test('memory: it is given back after who named many peers, and after nobody else', async (t) => {
  const heard = async (...texts: readonly string[]): Promise<number> => {
    const { path, released, close } = await opened(t, new FakeInterface());
    for (const text of texts) t.match(await talk(path, text), /errno=0\n\n$/);
    // Its end comes after that of every connection.
    await close();
    return released();
  };
  const naming = (count: number): string =>
    `set=1\n${Array.from({ length: count }, (_, i) => `public_key=${i.toString(16).padStart(64, '0')}\n`).join('')}\n`;
  t.equal(await heard(naming(255), naming(255), 'get=1\n\n'), 0, 'few, twice');
  t.equal(await heard(naming(255), naming(256)), 1, 'many');
});
