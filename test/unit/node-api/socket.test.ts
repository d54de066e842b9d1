import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, statSync } from 'node:fs';
import type { ClientRequest, IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { NetError } from '../../../src/base/errors.ts';
import { loadNative } from '../../../src/linux/ffi.ts';
import { peerCredentials } from '../../../src/linux/peer-credentials.ts';
import { perform } from '../../../src/node/api/perform.ts';
import { RIGHTS } from '../../../src/protocol/localapi/node-rights.ts';
import { ask, post } from './client.ts';
import { FakeNode, served } from './fake-node.ts';
import { LOGIN_URL } from './fake-status.ts';

const run = promisify(execFile);
const ASK = new URL('../../../src/cli/ask-node.ts', import.meta.url).href;
const STRANGER = 12_345;
const NEEDS_ROOT = {
  skip: process.env['CI'] !== 'true' && process.getuid?.() !== 0 && 'it takes root to be others',
};

async function* watched(asked: ClientRequest): AsyncGenerator<unknown> {
  const [response] = (await once(asked, 'response')) as [IncomingMessage];
  let text = '';
  for await (const part of response.setEncoding('utf8')) {
    text += part;
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n')) {
      yield JSON.parse(text.slice(0, end));
      text = text.slice(end + 1);
    }
  }
}

t.test('socket: each refusal has its status, and a fault of ours is not told', async (t) => {
  const { node, path, lines } = await served(t);
  for (const [status, action, body] of [
    [400, 'ping', '{'],
    [400, 'ping', '[]'],
    [400, 'ping', { peer: 'laptop' }],
    [400, 'ping', { peer: 'laptop', type: 'disco', more: 1 }],
    [400, 'set', {}],
    [400, 'set', { exitNode: 'laptop' }],
    [400, 'set', { exitNode: 'nas', advertiseExitNode: true }],
    [400, 'up', { advertiseRoutes: ['192.168.8.1/24'] }],
    [400, 'up', { loginServer: 'ftp://mesh.example' }],
    [400, 'up', { keyRotation: '59s' }],
    [400, 'lan.add', { name: '../cam', address: '192.168.8.20' }],
    [404, 'ping', { peer: 'none', type: 'disco' }],
    [404, 'whois', { address: '8.8.8.8' }],
    [404, 'lan.share', { name: 'cam' }],
    [404, 'explode', {}],
    [503, 'ping', { peer: 'laptop', type: 'disco' }],
  ] as const) {
    const reply = await post(path, action, body);
    t.match(reply, { status, body: { error: { code: String, reason: String } } }, action);
  }
  t.same(
    node.asked.map(({ what }) => what),
    ['ping'],
    'only what was in order came through',
  );
  node.failure = new NetError('try again');
  t.match(await post(path, 'status', {}), {
    status: 503,
    body: { error: { reason: 'try again' } },
  });
  node.failure = new TypeError('the secret inside');
  const reply = await post(path, 'status', {});
  t.match(reply, {
    status: 500,
    body: { error: { reason: 'a fault of the server; see its log' } },
  });
  t.match(lines.join(''), /error api: request failed .*the secret inside/s);
});

t.test('socket: what is asked comes through whole', async (t) => {
  const { node, path } = await served(t);
  await post(path, 'up', { acceptRoutes: true, authKey: 'k', exitNode: 'nas', hostname: null });
  await post(path, 'set', { exitNode: '100.99.0.1' });
  await post(path, 'ping', { peer: 'cam', type: 'ICMP', timeoutMillis: 50 });
  t.match(node.asked, [
    { what: 'up', with: { acceptRoutes: true, authKey: 'k', exitNode: 'n3' } },
    { what: 'set', with: { exitNode: '100.99.0.1' } },
    {
      what: 'ping',
      with: { address: '100.64.9.9', type: 'ICMP', sizeBytes: 0, timeoutMillis: 50 },
    },
  ]);
  const { body } = await post(path, 'whois', { address: '100.64.9.9:22' });
  t.match(body, {
    Node: { StableID: 'n3', Name: 'nas.mesh.example.', Tags: ['tag:store'] },
    UserProfile: { LoginName: 'alice@example.org' },
    Device: { name: 'cam.mesh.example' },
  });
  t.match(await post(path, 'whois', { address: '[fd7a:0::2]:22' }), { body: { Node: { ID: 2 } } });
  t.match(await post(path, 'ping', { peer: 'box', type: 'disco' }), {
    body: { IsLocalIP: true, Err: /of this machine/ },
  });
});

t.test('watch: the state now, then each change, and no end but that of the asker', async (t) => {
  const { node, path } = await served(t);
  const asked = ask(path, 'watch', {});
  const lines = watched(asked);
  t.match(await lines.next(), { value: { news: { BackendState: 'Running', AuthURL: '' } } });
  node.change({ BackendState: 'NeedsLogin', AuthURL: LOGIN_URL });
  // What does not show is not told.
  node.change({ Version: '9' });
  node.change({ BackendState: 'Running', AuthURL: '' });
  t.match(await lines.next(), { value: { news: { AuthURL: LOGIN_URL } } });
  t.match(await lines.next(), { value: { news: { BackendState: 'Running', AuthURL: '' } } });
  t.equal(node.watchers, 1);
  asked.destroy();
  while (node.watchers > 0) await new Promise((done) => setImmediate(done));
  t.pass('nothing is left of who has gone');
});

t.test('watch: who has gone before it begins leaves nothing', async (t) => {
  const node = new FakeNode();
  const ports = { backend: node, random: () => new Uint8Array() };
  const news = (): void => void t.fail('nobody hears it');
  const asker = { gone: AbortSignal.abort(), news };
  const caller = { uid: 0, operator: true };
  t.same(await perform(ports, caller, 'watch', {}, asker), { ok: true, body: {} });
  t.equal(node.watchers, 0);
});

t.test('ping: an asker who has gone ends it', async (t) => {
  const { node, path } = await served(t);
  node.pongs = ['wait'];
  const asked = ask(path, 'ping', { peer: 'laptop', type: 'disco' });
  while (node.asked.length === 0) await new Promise((done) => setImmediate(done));
  asked.destroy();
  while (node.asked.length === 1) await new Promise((done) => setImmediate(done));
  t.equal(node.asked[1]?.what, 'ping ended');
});

t.test('socket: a look of another uid has no login URL, and changes nothing', async (t) => {
  const { node, path, lines } = await served(t, {
    credentialsOf: () => ({ pid: 1, uid: STRANGER, gid: STRANGER }),
  });
  node.change({ BackendState: 'NeedsLogin', AuthURL: LOGIN_URL });
  t.match(await post(path, 'status', {}), { status: 200, body: { AuthURL: '' } });
  const asked = ask(path, 'watch', {});
  t.match(await watched(asked).next(), { value: { news: { AuthURL: '' } } });
  asked.destroy();
  for (const [action, right] of Object.entries(RIGHTS)) {
    if (right === 'look') continue;
    t.match(await post(path, action, { name: 'x' }), { status: 403 }, action);
  }
  t.equal(node.asked.length, 0);
  t.match(lines.join(''), /warn api: denied uid=12345 action=\/v1\/up/);
});

t.test('socket: strangers have half of the places, so that root always gets in', async (t) => {
  let uid = STRANGER;
  const { path } = await served(t, { credentialsOf: () => ({ pid: 1, uid, gid: uid }) });
  const idle: Socket[] = [];
  const ends: Promise<unknown>[] = [];
  for (let i = 0; i < 40; i++) {
    const socket = connect(path).on('error', () => {});
    idle.push(socket);
    if (i >= 32) ends.push(once(socket, 'close'));
  }
  await Promise.all(ends);
  t.equal(idle.filter(({ destroyed }) => !destroyed).length, 32);
  uid = 0;
  t.match(await post(path, 'version', {}), { status: 200, body: { version: '0.1.0' } });
  for (const socket of idle) socket.destroy();
});

t.test('socket: a process of another uid is known by the kernel', NEEDS_ROOT, async (t) => {
  const { path } = await served(t, { credentialsOf: peerCredentials(loadNative()) });
  t.equal(statSync(path).mode & 0o777, 0o666);
  chmodSync(dirname(path), 0o755);
  const code = `
    import { askNode } from '${ASK}';
    for (const action of ['status', 'down'])
      await askNode(process.argv[1], action, {}).then(
        ({ Version }) => console.log(Version),
        (error) => console.log(error.name + ': ' + error.message),
      );`;
  const { stdout } = await run('setpriv', [
    `--reuid=${STRANGER}`,
    `--regid=${STRANGER}`,
    '--clear-groups',
    process.execPath,
    '--input-type=module',
    '--eval',
    code,
    '--',
    path,
  ]);
  t.match(stdout, /^0\.1\.0\nDeniedError: down is for root and the group postern: run this as/);
});

t.test('bug report: a part that fails is told, and the others are there', async (t) => {
  const { node, path } = await served(t);
  node.change({ AuthURL: LOGIN_URL });
  const { body } = await post(path, 'bugreport', { note: 'slow' });
  t.match(body, {
    marker: 'BUG-abababababababab',
    note: 'slow',
    report: {
      machine: { kernel: '6.1' },
      status: { AuthURL: '', BackendState: 'Running' },
      metrics: { error: 'Error: no numbers today' },
    },
  });
  t.notMatch(JSON.stringify(body), LOGIN_URL);
});
