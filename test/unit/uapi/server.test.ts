import { execFile, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { promisify } from 'node:util';
import { x25519 } from '@noble/curves/ed25519.js';
import t from 'tap';
import { toBase64 } from '../../../src/base/bytes.ts';
import type { Env } from '../../../src/base/env.ts';
import { ConfigError, NetError } from '../../../src/base/errors.ts';
import type { NodePrivate, NodePublic } from '../../../src/base/keys.ts';
import { nodePublic } from '../../../src/base/keys.ts';
import { lineLog } from '../../../src/base/log.ts';
import { millis, unixMillis } from '../../../src/base/time.ts';
import type { UapiServer } from '../../../src/node/uapi/server.ts';
import { openUapi, UAPI_FOLDER } from '../../../src/node/uapi/server.ts';
import { must } from '../../must.ts';
import { seeded } from '../../seeded.ts';
import { FakeInterface } from './fake-interface.ts';

const run = promisify(execFile);
const HAVE_WG = spawnSync('wg', ['--version']).status === 0;
const NEEDS_WG = { skip: !HAVE_WG && process.env['CI'] !== 'true' && 'wg(8) is not installed' };
const publicKeyOf = (key: NodePrivate): NodePublic => nodePublic(x25519.getPublicKey(key.expose()));
let named = 0;
/** Sockets are seen by the whole machine, whatever the namespace. */
const freshName = (): string => `pt${process.pid}x${named++}`;

/** A folder with a short name: a socket's path holds 107 bytes. */
function scratch(t: { teardown(action: () => unknown): void }): string {
  const folder = mkdtempSync(`${tmpdir()}/pt-`);
  t.teardown(() => rmSync(folder, { recursive: true }));
  return folder;
}

/** Timers that fire when the test says so. */
class FakeEnv implements Env {
  readonly timers: Set<() => void> = new Set();
  readonly lines: string[] = [];
  readonly log = lineLog((line) => this.lines.push(line), 'debug');
  now = () => millis(0);
  wall = () => unixMillis(0);
  random = (length: number): Uint8Array => new Uint8Array(length);
  setTimer = (_at: number, action: () => void): (() => void) => {
    this.timers.add(action);
    return () => this.timers.delete(action);
  };
}

async function opened(
  t: { teardown(action: () => unknown): void },
  target: FakeInterface,
  options: { folder?: string; name?: string; env?: FakeEnv } = {},
): Promise<UapiServer & { name: string; env: FakeEnv }> {
  const { folder = UAPI_FOLDER, name = freshName(), env = new FakeEnv() } = options;
  const server = await openUapi({ name, folder, target, publicKeyOf, env });
  t.teardown(() => server.close());
  return { ...server, name, env };
}

/** Sends `text` and gives what comes back until the other side ends, or `until` is there. */
function talk(path: string, text: string, until = /errno=-?\d+\n\n$/): Promise<string> {
  return new Promise((done, fail) => {
    let got = '';
    const socket = connect(path, () => socket.write(text));
    socket.setEncoding('utf8');
    socket.on('data', (part: string) => {
      got += part;
      if (until.test(got)) socket.end();
    });
    socket.on('error', fail);
    socket.on('close', () => done(got));
  });
}

t.test('wg: set, show, setconf and syncconf work on the socket', NEEDS_WG, async (t) => {
  const target = new FakeInterface();
  const { name } = await opened(t, target);
  const wg = async (...args: string[]): Promise<string> => (await run('wg', args)).stdout.trim();
  const dir = t.testdir({});
  const [key, psk] = [await wg('genkey'), await wg('genpsk')];
  const peer = toBase64(x25519.getPublicKey(seeded(1).bytes(32)));
  const other = toBase64(x25519.getPublicKey(seeded(2).bytes(32)));
  writeFileSync(`${dir}/key`, key);
  writeFileSync(`${dir}/psk`, psk);

  await run('wg', `set ${name} private-key ${dir}/key listen-port 7777 fwmark 0x10`.split(' '));
  t.equal(await wg('show', name, 'private-key'), key);
  t.equal(await wg('show', name, 'listen-port'), '7777');
  t.equal(await wg('show', name, 'fwmark'), '0x10');
  await run('wg', [
    ...`set ${name} peer ${peer} preshared-key ${dir}/psk endpoint [fe80::1%lo]:99`.split(' '),
    ...'persistent-keepalive 25 allowed-ips 10.0.0.0/8,fd00::/8'.split(' '),
  ]);
  t.equal(await wg('show', name, 'preshared-keys'), `${peer}\t${psk}`);
  t.equal(await wg('show', name, 'endpoints'), `${peer}\t[fe80::1%lo]:99`);
  t.equal(await wg('show', name, 'allowed-ips'), `${peer}\t10.0.0.0/8 fd00::/8`);
  t.equal(await wg('show', name, 'persistent-keepalive'), `${peer}\t25`);

  const status = must([...target.peers.values()][0]);
  status.lastHandshake = unixMillis(1_700_000_000_789);
  status.bytesReceived = 2 ** 40 + 1;
  status.bytesSent = 3;
  t.equal(await wg('show', name, 'latest-handshakes'), `${peer}\t1700000000`);
  t.equal(await wg('show', name, 'transfer'), `${peer}\t${2 ** 40 + 1}\t3`);
  t.match(await wg('show', 'interfaces'), new RegExp(`\\b${name}\\b`));

  const conf = `[Interface]\nPrivateKey = ${key}\nListenPort = 8888\n[Peer]\nPublicKey = ${other}\nAllowedIPs = 192.0.2.0/24\n`;
  writeFileSync(`${dir}/wg.conf`, conf);
  await run('wg', ['syncconf', name, `${dir}/wg.conf`]);
  t.equal(await wg('show', name, 'peers'), other, 'syncconf took the first peer away');
  await run('wg', ['set', name, 'peer', other, 'remove']);
  t.equal(await wg('show', name, 'peers'), '');
  await run('wg', ['setconf', name, `${dir}/wg.conf`]);
  await run('wg', ['addconf', name, `${dir}/wg.conf`]);
  t.equal(await wg('show', name, 'allowed-ips'), `${other}\t192.0.2.0/24`);
  t.equal(
    (await wg('showconf', name)).replaceAll(/\s+/g, ' '),
    conf
      .replace(/(Listen.*)\n(.*)(?=\n\[)/, '$1')
      .replaceAll(/\s+/g, ' ')
      .trim()
      .replace(`PrivateKey = ${key} ListenPort = 8888`, `ListenPort = 8888 PrivateKey = ${key}`),
  );
  const self = toBase64(publicKeyOf(must(target.privateKey)));
  await run('wg', ['set', name, 'peer', self]);
  t.equal(await wg('show', name, 'peers'), other, 'the interface is no peer of itself');
  await run('wg', ['set', name, 'private-key', '/dev/null']);
  t.equal(target.privateKey, null);
});

t.test('wg: an error reaches the person as errno text', NEEDS_WG, async (t) => {
  const target = new FakeInterface();
  target.configure = () => {
    throw Object.assign(new NetError('port taken'), { code: 'EADDRINUSE' });
  };
  const { name } = await opened(t, target);
  await t.rejects(run('wg', ['set', name, 'listen-port', '1']), /Address already in use/);
  target.configure = () => {
    throw new ConfigError('no');
  };
  await t.rejects(run('wg', ['set', name, 'listen-port', '1']), /Invalid argument/);
});

t.test('wg: 4,000 peers are set and shown', NEEDS_WG, async (t) => {
  const target = new FakeInterface();
  const { name } = await opened(t, target);
  const random = seeded(3);
  const peers = Array.from(
    { length: 4000 },
    (_, i) =>
      `[Peer]\nPublicKey=${toBase64(random.bytes(32))}\nPresharedKey=${toBase64(random.bytes(32))}\nAllowedIPs=10.${i >> 8}.${i & 255}.1/32\n`,
  );
  const dir = t.testdir({ 'wg.conf': peers.join('') });
  await run('wg', ['setconf', name, `${dir}/wg.conf`]);
  const { stdout } = await run('wg', ['show', name, 'allowed-ips'], { maxBuffer: 1e7 });
  t.equal(stdout.trim().split('\n').length, 4000);
});

t.test('socket: its owner alone may open it, and it goes at close', async (t) => {
  const folder = `${scratch(t)}/made`;
  const server = await openUapi({
    name: 'own',
    folder,
    target: new FakeInterface(),
    publicKeyOf,
    env: new FakeEnv(),
  });
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
  const first = await opened(t, new FakeInterface(), { folder, name: 'x' });
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
  const { path } = await opened(t, target, { folder: scratch(t) });
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

t.test('close: connections end with the server', async (t) => {
  const folder = scratch(t);
  const server = await openUapi({
    name: 'c',
    folder,
    target: new FakeInterface(),
    publicKeyOf,
    env: new FakeEnv(),
  });
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
