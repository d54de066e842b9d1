/** The coordination server as a service manager and its administrator meet it: start, signals, files, end. */

import { X509Certificate } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import t from 'tap';
import { freePort } from '../../../scripts/bench/control/free-port.ts';
import { ownCertificate } from '../../../src/control/relay/own-certificate.ts';
import { loadNative } from '../../../src/linux/ffi.ts';
import { SimulatedNode } from '../../load/client.ts';
import { UnixDatagrams } from '../../unit/linux/unix-datagrams.ts';
import type { Result } from '../child.ts';
import { run, until } from '../child.ts';
import { OURS } from '../implementations.ts';
import { Server } from './server.ts';

const folder = mkdtempSync(join(tmpdir(), 'postern-process-'));
t.teardown(() => rmSync(folder, { recursive: true }));

t.test(
  'service: the manager hears READY when a client can join, the watchdog, and the end, which takes less than 2 s',
  async (t) => {
    const path = join(folder, 'notify');
    const manager = new UnixDatagrams(loadNative(), path);
    t.teardown(() => manager.close());
    const runtime = join(folder, 'runtime');
    await using server = await Server.start({
      env: {
        NOTIFY_SOCKET: path,
        WATCHDOG_USEC: '400000',
        RUNTIME_DIRECTORY: `${mkdtempSync(join(folder, 'runtime-'))}:${runtime}`,
      },
    });
    const heard: string[] = [];
    const hears = (state: string): Promise<true> =>
      until(state, () => heard.push(...manager.take()) >= 0 && heard.includes(state) && true);
    await hears('READY=1');
    t.equal(heard[0], 'READY=1');
    const node = new SimulatedNode(server.url, 1);
    await node.connect();
    await node.register(await server.key('alice'));
    await node.openStream();
    const beats = (): number => heard.filter((state) => state === 'WATCHDOG=1').length;
    const before = (await hears('WATCHDOG=1')) && beats();
    await until('it beats on', () => heard.push(...manager.take()) >= 0 && beats() >= before + 3);

    const [room] = readdirSync(folder).filter((name) => name.startsWith('runtime-'));
    t.equal(
      readdirSync(join(folder, `${room}`)).length,
      1,
      'a folder of its own in RUNTIME_DIRECTORY',
    );
    server.child.signal('SIGSTOP');
    const silent = performance.now();
    heard.push(...manager.take());
    const stopped = beats();
    await until('a second has passed', () => performance.now() - silent > 1000);
    heard.push(...manager.take());
    t.ok(beats() <= stopped + 1, 'who stands still does not beat');
    server.child.signal('SIGCONT');

    const ending = performance.now();
    const { code } = await server.child.stop();
    const took = performance.now() - ending;
    t.equal(code, 0);
    t.ok(took < 2000, `ended after ${Math.round(took)} ms`);
    heard.push(...manager.take());
    t.equal(heard.at(-1), 'STOPPING=1');
    t.match(server.child.output, /control: ending .*SIGTERM/);
    t.notOk(existsSync(server.socket), 'its socket is gone');
    t.same(readdirSync(join(folder, `${room}`)), []);
    node.close();
  },
);

t.test(
  'reload: SIGHUP reads relay maps again; one that is spoilt is said and changes nothing',
  async (t) => {
    const file = join(folder, 'map.json');
    const put = (...ids: readonly number[]): void => {
      const regions = ids.map((id) => [id, region(id)]);
      writeFileSync(file, JSON.stringify({ Regions: Object.fromEntries(regions) }));
    };
    put(1);
    const port = await freePort();
    await using server = await Server.start({
      flags: ['--derp-map', file, '--metrics', `127.0.0.1:${port}`],
    });
    const health = async (): Promise<string> =>
      await (await fetch(`http://127.0.0.1:${port}/health`)).text();
    const node = new SimulatedNode(server.url, 1);
    await node.connect();
    await node.register(await server.key('alice'));
    await node.openStream();
    t.equal(await health(), 'ok\n');
    const { frames } = node;
    put(1, 2);
    server.child.signal('SIGHUP');
    await until('the stream brings the new map', () => node.frames > frames);

    const known = node.frames;
    put(1, 900);
    server.child.signal('SIGHUP');
    t.match(
      await until('it is said', async () => said(await health())),
      /two relay maps have a region 900/,
    );
    writeFileSync(file, '{');
    server.child.signal('SIGHUP');
    await until('the other fault is said', async () => (await health()).includes(`${file}: `));
    put(1, 2);
    server.child.signal('SIGHUP');
    await until('it is over', async () => (await health()) === 'ok\n');
    t.equal(node.frames, known, 'nobody was told of it');
    t.equal(server.child.ending, undefined);
    node.close();
  },
);

t.test(
  'certificate: files that are replaced are shown to the next, a pair that does not fit never',
  async (t) => {
    const pair = async (name: string) =>
      await ownCertificate(join(folder, name), ['mesh.example.org']);
    const [one, other] = [await pair('one'), await pair('other')];
    const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
    const put = (path: string, text: string): void => {
      writeFileSync(`${path}.new`, text);
      renameSync(`${path}.new`, path);
    };
    put(cert, one.certificate);
    put(key, one.key);
    await using server = await Server.start({ flags: ['--tls-cert', cert, '--tls-key', key] });
    const port = Number(server.url.port);
    const shows = async ({ certificate }: typeof one): Promise<boolean> =>
      new X509Certificate(certificate).fingerprint256 === (await fingerprint(port));
    t.ok(await shows(one));
    put(cert, other.certificate);
    await until('half a change is said', async () =>
      (await server.health()).includes('relay-certificate'),
    );
    t.ok(await shows(one), 'and the last good one is kept');
    put(key, other.key);
    await until('the new one is shown', () => shows(other));
    t.same(await server.health(), []);
  },
);

t.test('start: a port or a state folder that another has is one line and exit 1', async (t) => {
  await using server = await Server.start();
  const holder = createServer().listen(0, '127.0.0.1');
  t.teardown(() => holder.close());
  const free = await freePort();
  const begin = (state: string, listen: number, socket: string): Promise<Result> =>
    run(
      [
        ...[...OURS, 'control', '--state', state, '--socket', socket, '--metrics', 'off'],
        ...[
          '--listen',
          `127.0.0.1:${listen}`,
          '--url',
          `http://127.0.0.1:${listen}`,
          '--stun',
          'off',
        ],
        ...['--log-level', 'error'],
      ],
      { check: false },
    );
  const elsewhere = join(folder, 'elsewhere');
  const socket = join(folder, 'elsewhere.sock');
  const rows = [
    [
      'port',
      await begin(elsewhere, Number(server.url.port), socket),
      /^postern: control: listen EADDRINUSE.*; .* choose another with --listen\n$/,
    ],
    [
      'state',
      await begin(server.state, free, socket),
      /^postern: store: another program has .* open; one server owns it\n$/,
    ],
    [
      'socket',
      await begin(elsewhere, free, server.socket),
      /^postern: a control server answers at .* already; .*\n$/,
    ],
    [
      'state below a file',
      await begin('/dev/null/x', free, socket),
      /^postern: store: there is no folder \/dev\/null\/x: ENOTDIR.*\n$/,
    ],
  ] as const;
  for (const [what, { code, stdout, stderr }, line] of rows) {
    t.equal(code, 1, what);
    t.match(stderr, line, what);
    t.equal(stderr.split('\n').length, 2, `${what}: one line`);
    t.equal(stdout, '', what);
  }
  t.notOk(existsSync(socket));
  t.equal((await server.tried('users', 'list')).code, 0, 'who was there is unharmed');
});

t.test('start: a metrics port that another has is said, and the server runs', async (t) => {
  const holder = createServer().listen(0, '127.0.0.1');
  t.teardown(() => holder.close());
  await until('it listens', () => holder.listening);
  const { port } = holder.address() as { port: number };
  await using server = await Server.start({ flags: ['--metrics', `127.0.0.1:${port}`] });
  t.same(await server.health(), ['metrics']);
});

const region = (id: number) => ({
  RegionID: id,
  RegionCode: `r${id}`,
  RegionName: `Region ${id}`,
  Nodes: [{ Name: `${id}a`, RegionID: id, HostName: `derp${id}.example.org` }],
});

const said = (health: string): string | undefined =>
  health.includes('derp-map') ? health : undefined;

function fingerprint(port: number): Promise<string> {
  return new Promise((done, fail) => {
    const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false }, () => {
      done(socket.getPeerCertificate().fingerprint256);
      socket.destroy();
    });
    socket.once('error', fail);
  });
}
