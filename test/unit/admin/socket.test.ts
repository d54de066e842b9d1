import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { promisify } from 'node:util';
import type { Test } from 'tap';
import t from 'tap';
import { lineLog } from '../../../src/base/log.ts';
import type { AdminOptions } from '../../../src/control/admin/server.ts';
import { serveAdmin } from '../../../src/control/admin/server.ts';
import { loadNative } from '../../../src/linux/ffi.ts';
import { peerCredentials } from '../../../src/linux/peer-credentials.ts';
import { MAX_REQUEST_BYTES } from '../../../src/protocol/localapi/exchange.ts';
import { must } from '../../must.ts';
import { AdminWorld } from './admin-world.ts';

const run = promisify(execFile);
const ASK = new URL('../../../src/cli/ask-control.ts', import.meta.url).href;
/** Nobody's, but on a machine that was made for this. */
const STRANGER = 12_345;
const GROUP = 12_346;
const NEEDS_ROOT = {
  skip: process.env['CI'] !== 'true' && process.getuid?.() !== 0 && 'it takes root to be others',
};

interface Served {
  readonly world: AdminWorld;
  readonly path: string;
  readonly lines: string[];
  close(): Promise<void>;
}

async function served(t: Test, more: Partial<AdminOptions> = {}): Promise<Served> {
  const world = await AdminWorld.make();
  const path = `${folder(t)}/deep/control.sock`;
  const lines: string[] = [];
  const server = await serveAdmin({ ...options(world, path), log: logTo(lines), ...more });
  t.teardown(() => server.close());
  return { world, path: server.path, lines, close: () => server.close() };
}

const logTo = (lines: string[]) => lineLog((line) => lines.push(line), 'info');

const options = (world: AdminWorld, path: string): AdminOptions => ({
  ...world.ports,
  path,
  staff: { ownUid: process.getuid?.() ?? -1, logins: new Map() },
  credentialsOf: peerCredentials(loadNative()),
  log: logTo([]),
});

function folder(t: Test): string {
  const path = mkdtempSync(`${tmpdir()}/pa-`);
  chmodSync(path, 0o755);
  t.teardown(() => rmSync(path, { recursive: true }));
  return path;
}

interface Reply {
  readonly status: number | undefined;
  readonly body: unknown;
}

async function post(path: string, url: string, body: string, method = 'POST'): Promise<Reply> {
  const asked = request({ socketPath: path, path: url, method });
  asked.end(body);
  const [response] = await once(asked, 'response');
  let text = '';
  for await (const part of response.setEncoding('utf8')) text += part;
  return { status: response.statusCode, body: JSON.parse(text) };
}

/** What a process of another uid is told when it asks for this. */
async function asOther(
  { path }: Served,
  { uid, gid }: { uid: number; gid: number },
  action: string,
  body: object = {},
): Promise<string> {
  const code = `
    import { askControl } from '${ASK}';
    askControl(...process.argv.slice(1, 3), JSON.parse(process.argv[3])).then(
      (answer) => console.log(JSON.stringify(answer)),
      (error) => console.log(error.name + ': ' + error.message),
    );`;
  const { stdout } = await run('setpriv', [
    `--reuid=${uid}`,
    `--regid=${gid}`,
    '--clear-groups',
    process.execPath,
    '--input-type=module',
    '--eval',
    code,
    '--',
    path,
    action,
    JSON.stringify(body),
  ]);
  return stdout.trim();
}

t.test("socket: the server's own uid is an owner, by credentials of the kernel", async (t) => {
  const { world, path } = await served(t);
  t.equal(statSync(path).mode & 0o777, 0o660);
  const { status, body } = await post(path, '/v1/nodes.rename', '{"node":"nas","name":"attic"}');
  t.match({ status, body }, { status: 200, body: { node: { name: 'attic', id: 1 } } });
  t.match(world.log.at(-1), {
    action: 'nodes.rename',
    by: { kind: 'user', name: `uid ${process.getuid?.()}`, from: 'control.sock' },
  });
});

t.test('socket: another uid is who the settings say, and nobody else', NEEDS_ROOT, async (t) => {
  const logins = new Map([[STRANGER, 'mia']]);
  const staff = { ownUid: 990, logins };
  const place = await served(t, { staff, gid: GROUP });
  t.equal(statSync(place.path).gid, GROUP);
  const mia = { uid: STRANGER, gid: GROUP };
  t.match(JSON.parse(await asOther(place, mia, 'nodes.list')), {
    nodes: [{ name: 'laptop', user: 'mia' }],
  });
  t.equal(
    await asOther(place, mia, 'users.create', { login: 'eve' }),
    'DeniedError: users.create is not for a member; wanted: owner or admin',
  );
  t.equal(
    await asOther(place, mia, 'nodes.delete', { node: 'nas' }),
    'ConfigError: there is no node nas',
  );
  t.match(await asOther(place, { uid: 990, gid: GROUP }, 'users.create', { login: 'eve' }), /eve/);
  t.match(
    await asOther(place, { uid: STRANGER + 9, gid: GROUP }, 'nodes.list'),
    /^DeniedError: uid 12354 may do nothing here/,
  );
  t.match(
    await asOther(place, { uid: STRANGER, gid: STRANGER }, 'nodes.list'),
    /^ConfigError: you may not open .*run this as root, or be a member of its group/,
  );
  t.same([...place.world.model.users.values()].map(({ login }) => login).sort(), [
    'adam',
    'eve',
    'max',
    'mia',
    'olga',
  ]);
  t.match(place.lines.join(''), /warn admin: denied uid=12345 action=\/v1\/users\.create/);
});

t.test('credentials: of a unix socket, and of nothing else', async (t) => {
  const credentialsOf = peerCredentials(loadNative());
  for (const where of [`${folder(t)}/socket`, 0]) {
    const server = createServer().listen(where);
    await once(server, 'listening');
    const address = must(server.address());
    const client = typeof address === 'string' ? connect(address) : connect(address.port);
    const [socket] = await once(server, 'connection');
    const us = { pid: process.pid, uid: process.getuid?.(), gid: process.getgid?.() };
    t.same(credentialsOf(socket), where === 0 ? undefined : us, String(where));
    client.destroy();
    socket.destroy();
    server.close();
    t.equal(credentialsOf(socket), undefined, 'closed');
  }
});

t.test('socket: who is not known may do nothing', async (t) => {
  const { path, world } = await served(t, { credentialsOf: () => undefined });
  const { model } = world;
  t.match(await post(path, '/v1/nodes.delete', '{"node":"nas"}'), {
    status: 403,
    body: { error: { code: 'denied' } },
  });
  t.equal(world.model, model);
});

t.test('socket: each refusal has its status', async (t) => {
  const { path, world } = await served(t);
  for (const [status, url, body, method] of [
    [400, '/v1/nodes.delete', '{'],
    [400, '/v1/nodes.delete', ''],
    [400, '/v1/nodes.delete', '{"node":7}'],
    [400, '/v1/nodes.list', '', 'GET'],
    [403, '/v1/routes.approve', '{"node":"nas","prefixes":["100.64.0.0/16"]}'],
    [404, '/v1/nodes.delete', '{"node":"none"}'],
    [404, '/v1/nodes.explode', '{}'],
    [404, '/', '{}'],
    [404, '/v1/../v1/nodes.list', '{}'],
    [404, '/v1/nodes.list?a=b', '{}'],
    [409, '/v1/users.create', '{"login":"mia"}'],
  ] as const) {
    const reply = await post(path, url, body, method);
    t.match(reply, { status, body: { error: { code: String, reason: String } } }, `${url} ${body}`);
  }
  t.equal(world.model.nodes.size, 2);
});

t.test('socket: a body that is too long is refused before it is read', async (t) => {
  const { path } = await served(t);
  const asked = request({
    socketPath: path,
    path: '/v1/nodes.list',
    method: 'POST',
    headers: { 'content-length': MAX_REQUEST_BYTES + 1 },
  });
  asked.on('error', () => {});
  asked.flushHeaders();
  const [announced] = await once(asked, 'response');
  t.equal(announced.statusCode, 400);
  asked.destroy();
  const chunked = request({ socketPath: path, path: '/v1/nodes.list', method: 'POST' });
  chunked.on('error', () => {});
  chunked.write('"'.padEnd(MAX_REQUEST_BYTES, 'x'));
  chunked.write('xx');
  const [streamed] = await once(chunked, 'response');
  t.equal(streamed.statusCode, 400);
  chunked.destroy();
});

t.test('socket: a fault of ours is logged and is no answer of detail', async (t) => {
  const broken = (): never => {
    throw new TypeError('inner words');
  };
  const { path, lines } = await served(t, { health: broken });
  const { status, body } = await post(path, '/v1/status', '{}');
  t.equal(status, 500);
  t.notMatch(JSON.stringify(body), /inner words/);
  t.match(lines.join(''), /error admin: request failed .*inner words/);
});

t.test('place: a socket of a dead server is replaced, of a living one it is not', async (t) => {
  const world = await AdminWorld.make();
  const path = `${folder(t)}/control.sock`;
  const code = `require('node:net').createServer().listen(process.argv[1], () => console.log(1))`;
  const dead = spawn(process.execPath, ['--eval', code, path]);
  await once(dead.stdout, 'data');
  const refusal = {
    name: 'ConfigError',
    message: /a control server answers at .*control\.sock already/,
  };
  await t.rejects(serveAdmin(options(world, path)), refusal);
  dead.kill('SIGKILL');
  await once(dead, 'exit');
  t.ok(existsSync(path), 'it has left its socket behind');
  const server = await serveAdmin(options(world, path));
  t.equal((await post(path, '/v1/nodes.list', '{}')).status, 200);
  await t.rejects(serveAdmin(options(world, path)), refusal);
  t.equal((await post(path, '/v1/nodes.list', '{}')).status, 200, 'the first one still answers');
  await server.close();
  t.equal(existsSync(path), false);
});

t.test("place: what is no socket is left alone, and so is another's after ours", async (t) => {
  const world = await AdminWorld.make();
  const path = `${folder(t)}/control.sock`;
  writeFileSync(path, 'precious');
  await t.rejects(serveAdmin(options(world, path)), { message: /is no socket; remove it/ });
  rmSync(path);
  const server = await serveAdmin(options(world, path));
  rmSync(path);
  writeFileSync(path, 'precious');
  await server.close();
  t.ok(existsSync(path));
  await t.rejects(serveAdmin(options(world, `${path}/control.sock`)), { name: 'ConfigError' });
});
