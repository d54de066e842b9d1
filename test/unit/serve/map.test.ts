import { once } from 'node:events';
import type { ClientHttp2Stream } from 'node:http2';
import t from 'tap';
import { deleteNode } from '../../../src/control/registry/nodes.ts';
import { must } from '../../must.ts';
import type { Machine } from './client.ts';
import type { OpenStream } from './world.ts';
import { until, World } from './world.ts';

const lite = ({ keys }: Machine, more: object = {}): object => ({
  Version: 142,
  Compress: 'zstd',
  KeepAlive: true,
  NodeKey: keys.node,
  OmitPeers: true,
  ...more,
});

const stream = (machine: Machine, more: object = {}): ClientHttp2Stream => {
  const opened = machine.http.request({ ':method': 'POST', ':path': '/machine/map' });
  opened.on('error', () => {});
  const { OmitPeers: _, ...request } = lite(machine, { Stream: true, ...more }) as { OmitPeers: 1 };
  opened.end(JSON.stringify(request));
  return opened;
};

const opened = async (world: World, machine: Machine, more: object = {}): Promise<OpenStream> => {
  const before = world.streams.length;
  stream(machine, more).resume();
  await until('a stream is open', () => world.streams.length > before);
  return must(world.streams[before]);
};

t.test(
  'update: what a node says is known at once, and written only where it differs',
  async (t) => {
    const world = await World.open(t, 31);
    await world.user('alice');
    const machine = await world.join('pca', await world.authKey());
    const endpoints = { Endpoints: ['192.0.2.7:41641'], EndpointTypes: [1] };
    const NetInfo = { PreferredDERP: 900 };
    const Hostinfo = { Hostname: 'pca', OS: 'linux', NetInfo };
    world.disk = 'full';
    const said = lite(machine, { ...endpoints, Hostinfo, DiscoKey: `discokey:${'d'.repeat(64)}` });
    t.match(
      await machine.post('/machine/map', said),
      { status: 200, text: '' },
      'nothing to write',
    );
    const { live } = world.coordinator.network;
    t.match(live.nodes.get(1), { homeDerp: 900, endpoints: ['192.0.2.7:41641'], capVersion: 142 });
    const renamed = lite(machine, { Hostinfo: { ...Hostinfo, Hostname: 'Nas Two' } });
    t.match(await machine.post('/machine/map', renamed), { status: 503, text: /disk is full/ });
    world.disk = 'good';
    const RoutableIPs = ['192.168.9.0/24', '10.9.0.0/16'];
    const router = lite(machine, { Hostinfo: { ...Hostinfo, Hostname: 'Nas Two', RoutableIPs } });
    t.equal((await machine.post('/machine/map', router)).status, 200);
    const node = must(world.coordinator.network.model.nodes.get(1));
    t.match(node, { name: 'nas-two', announced: ['10.9.0.0/16', '192.168.9.0/24'] });
    t.equal((await machine.post('/machine/map', lite(machine, { Hostinfo }))).status, 200);
    t.same(world.coordinator.network.model.nodes.get(1)?.announced, [], 'routes that are left out');
  },
);

t.test('map: a node key counts only with the machine that it belongs to', async (t) => {
  const world = await World.open(t, 32);
  await world.user('alice');
  const authKey = await world.authKey();
  const alice = await world.join('pca', authKey);
  const thief = await world.join('pcb', authKey);
  for (const more of [{}, { Stream: true, OmitPeers: false }]) {
    const stolen = lite(alice, more);
    const answer = await thief.post('/machine/map', stolen);
    t.match(answer, { status: 401, headers: { 'content-type': 'application/json' } });
  }
  t.equal(world.streams.length, 0);
  t.equal((await alice.post('/machine/map', lite(alice, { OmitPeers: false }))).status, 501);
  await world.change((model, context) => deleteNode(model, { node: 1 }, context));
  t.equal((await alice.post('/machine/map', lite(alice))).status, 401, 'a node that was deleted');
});

t.test(
  'stream: frames arrive in order, and what the request says of the node is ignored',
  async (t) => {
    const world = await World.open(t, 33);
    await world.user('alice');
    const machine = await world.join('pca', await world.authKey());
    const answer = stream(machine, { Endpoints: ['192.0.2.9:1'], Hostinfo: { Hostname: 'stale' } });
    const parts: Buffer[] = [];
    answer.on('data', (part: Buffer) => parts.push(part));
    await until('the stream is open', () => world.streams.length === 1);
    const { sink, request } = must(world.streams[0]);
    t.same(request, { version: 142, compress: true, keepAlive: true });
    for (let i = 0; i < 100; i++) sink.write(Buffer.alloc(1000, i));
    sink.end();
    await once(answer, 'end');
    const whole = Buffer.concat(parts);
    t.equal(whole.subarray(0, 5).toString(), 'first');
    t.ok(
      whole.subarray(5).every((byte, i) => byte === Math.floor(i / 1000)),
      '100 frames of 1,000 bytes',
    );
    const { model, live } = world.coordinator.network;
    t.same([model.nodes.get(1)?.hostname, live.nodes.get(1)?.endpoints], ['pca', []]);
  },
);

t.test('stream: one that cannot be had is an error, never an empty 200', async (t) => {
  const world = await World.open(t, 34);
  await world.user('alice');
  const machine = await world.join('pca', await world.authKey());
  const request = lite(machine, { Stream: true, OmitPeers: false });
  world.opening = (sink) => sink.end();
  t.equal((await machine.post('/machine/map', request)).status, 503);
  world.opening = () => {
    throw new Error('out of order in /secret/path.ts');
  };
  const broken = await machine.post('/machine/map', request);
  t.match(broken, { status: 500, text: '{"Error":"the server has failed"}' });
  t.match(world.lines.at(-1), /^error serve: failed .*out of order/);
});

t.test('stream: a slow reader is told nothing more until it has room', async (t) => {
  const world = await World.open(t, 35);
  await world.user('alice');
  const machine = await world.join('pca', await world.authKey());
  const answer = stream(machine);
  await until('the stream is open', () => world.streams.length === 1);
  const open = must(world.streams[0]);
  machine.socket.pause();
  let bytes = 0;
  while (open.sink.write(Buffer.alloc(16_384))) bytes += 16_384;
  for (let i = 0; i < 100; i++) await new Promise((done) => setImmediate(done));
  t.ok(bytes < 1_000_000, `${bytes} bytes were taken at once`);
  t.equal(open.drained, 0);
  let got = 0;
  answer.on('data', (part: Buffer) => {
    got += part.length;
  });
  machine.socket.resume();
  await until('it has room', () => open.drained === 1);
  await until('all is here', () => got >= bytes + 5);
  t.ok(open.sink.write(Buffer.from('more')));
});

t.test(
  'stream: a client that is not heard for ten seconds is silent, one that answers stays',
  async (t) => {
    const world = await World.open(t, 36);
    await world.user('alice');
    const authKey = await world.authKey();
    const [here, gone, closing] = [
      await world.join('pca', authKey),
      await world.join('pcb', authKey),
      await world.join('pcc', authKey),
    ];
    const heard = await opened(world, here);
    const silent = await opened(world, gone);
    const closed = await opened(world, closing);
    closing.close();
    await until('it is closed', () => closed.closed === 'closed');
    gone.socket.pause();
    for (let i = 0; i < 9; i++) {
      world.pass(1);
      // Its pong is real, and takes a moment that no held clock has.
      if (i === 4) await until('a pong', () => here.socket.bytesWritten > 0);
      for (let turn = 0; turn < 50; turn++) await new Promise((done) => setImmediate(done));
    }
    t.equal(silent.closed, undefined, 'after nine seconds');
    world.pass(1);
    await until('it is silent', () => silent.closed === 'silent');
    t.equal(heard.closed, undefined, 'the other is there');
    const { live } = world.coordinator.network;
    t.equal(live.nodes.get(2)?.session, 0, 'offline at once');
    t.not(live.nodes.get(1)?.session, 0);
    t.equal(world.server.counters()['session: silent'], 1);
  },
);

t.test('stream: when the server stops each client hears that it shall come back', async (t) => {
  const world = await World.open(t, 37);
  await world.user('alice');
  const machine = await world.join('pca', await world.authKey());
  const goaway = once(machine.http, 'goaway');
  const answer = stream(machine);
  answer.resume();
  await until('the stream is open', () => world.streams.length === 1);
  const end = once(answer, 'end');
  const over = world.server.close();
  const [code] = await goaway;
  t.equal(code, 0);
  await end;
  t.equal(world.streams[0]?.closed ?? 'closed', 'closed');
  await over;
});

t.test('lan: a report gets addresses and names, which stay; a stranger’s none', async (t) => {
  const world = await World.open(t, 38);
  await world.user('alice');
  const machine = await world.join('pca', await world.authKey());
  const cam = { id: 'aa:bb', kind: 'lan', name: 'Front Cam', sshPort: 22, mode: 'route' };
  const put = (asker: Machine, body: unknown) => asker.post('/machine/lan', body, 'PUT');
  const shared = await put(machine, { devices: [cam] });
  t.equal(shared.status, 200, shared.text);
  const [device] = (JSON.parse(shared.text) as { devices: Record<string, string>[] }).devices;
  t.match(device, { id: 'aa:bb', name: 'front-cam.mesh.internal', ip4: /^100\./, ip6: /^fd7a:/ });
  t.same((await put(machine, { devices: [] })).text, '{"devices":[]}', 'withdrawn');
  const again = await put(machine, { nodeKey: machine.keys.node, devices: [cam] });
  t.equal(again.text, shared.text, 'the same for ever');
  for (const wrong of [{}, { devices: [{ ...cam, mode: 'x' }] }, { devices: [cam, cam] }, '[', ''])
    t.equal((await put(machine, wrong)).status, 400, JSON.stringify(wrong).slice(0, 60));
  t.equal((await put(await world.shake(), { devices: [cam] })).status, 401);
  t.equal((await machine.post('/machine/lan', { devices: [] })).status, 405);
  world.disk = 'full';
  t.equal((await put(machine, { devices: [] })).status, 503);
});
