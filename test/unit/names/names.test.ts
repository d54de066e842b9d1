import { createSocket } from 'node:dgram';
import { Resolver as CAres } from 'node:dns/promises';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import t from 'tap';
import { parseIp } from '../../../src/base/ip.ts';
import { millis } from '../../../src/base/time.ts';
import { Names } from '../../../src/node/names/names.ts';
import { nodeNetwork } from '../../../src/node/names/node-network.ts';
import type { NamesSetting } from '../../../src/node/names/setting.ts';
import { rcodeOf } from '../../../src/protocol/dns/answer.ts';
import { RCODE, TYPE } from '../../../src/protocol/dns/constants.ts';
import { frame, Unframer } from '../../../src/protocol/dns/stream.ts';
import { must } from '../../must.ts';
import { seeded } from '../../seeded.ts';
import { ask, withEdns } from '../dns/asking.ts';
import type { Resolver } from './world.ts';
import { address, World } from './world.ts';

const ip = (text: string): Uint8Array => must(parseIp(text), text);
const resolver = (text: string, port = 53) => ({ address: ip(text), port });

const MANY = Array.from({ length: 60 }, (_, i) => Uint8Array.of(100, 64, 1, i));

const SETTING: NamesSetting = {
  hosts: new Map([
    ['cam.mesh.example', [ip('100.64.0.1'), ip('fd7a:115c:a1e0::1')]],
    ['many.mesh.example', MANY],
  ]),
  ownDomains: ['mesh.example'],
  search: ['mesh.example'],
  routes: new Map([
    ['corp.test', [resolver('192.0.2.1')]],
    ['deep.corp.test', [resolver('192.0.2.2')]],
    ['void.corp.test', []],
  ]),
  resolvers: [],
  fallback: [resolver('192.0.2.9')],
  manageSystem: false,
};

/** A folder that stands for the system's, whose resolv.conf names these. */
function folder(t: Test, ...nameservers: readonly string[]) {
  const path = mkdtempSync(join(tmpdir(), 'postern-names-'));
  t.teardown(() => rmSync(path, { recursive: true }));
  const resolvConf = join(path, 'resolv.conf');
  writeFileSync(resolvConf, nameservers.map((one) => `nameserver ${one}\n`).join(''));
  return { resolvConf, runFolder: join(path, 'run') };
}

async function namesIn(t: Test, world: World, nameservers: readonly string[], setting = SETTING) {
  const paths = folder(t, ...nameservers);
  const names = new Names(world.env, world.ports, { addresses: [ip('100.100.100.100')], paths });
  t.teardown(() => names.close());
  await names.set(setting);
  return names;
}

const says =
  (last: number): Resolver =>
  (query) => [{ message: address(query, last) }];

t.test('names: who is asked for which name', async (t) => {
  const world = new World();
  for (const [i, text] of [
    '192.0.2.1',
    '192.0.2.2',
    '192.0.2.8',
    '192.0.2.9',
    '192.0.2.7',
  ].entries())
    world.resolvers.set(text, says(i));
  const asked = async (names: Names, name: string): Promise<string> => {
    const { source, resolver, rcode } = await names.query(name, TYPE.A);
    return `${rcode} ${resolver ?? source}`;
  };
  const names = await namesIn(t, world, ['192.0.2.8']);
  t.equal(await asked(names, 'cam.mesh.example'), 'NOERROR own');
  t.equal(await asked(names, 'CAM'), 'NOERROR own', 'a bare name, with the search domain');
  t.equal(await asked(names, 'none.mesh.example'), 'NXDOMAIN own');
  t.equal(await asked(names, 'x.corp.test'), 'NOERROR 192.0.2.1');
  t.equal(await asked(names, 'x.deep.corp.test'), 'NOERROR 192.0.2.2');
  t.equal(await asked(names, 'x.void.corp.test'), 'NXDOMAIN own', 'an empty route is ours');
  t.equal(await asked(names, 'www.test'), 'NOERROR 192.0.2.8', "the system's own");
  t.equal(await asked(names, 'www.test'), 'NOERROR cache');
  const override = { ...SETTING, resolvers: [resolver('192.0.2.7')] };
  await names.set(override);
  t.equal(await asked(names, 'www.test'), 'NOERROR 192.0.2.7', 'an override, and no memory');
  t.equal(await asked(names, 'x.corp.test'), 'NOERROR 192.0.2.1', 'a route is stronger');
  const without = await namesIn(t, world, []);
  t.equal(await asked(without, 'www.test'), 'NOERROR 192.0.2.9', 'the fallback');
  const leaked = world.asked.filter(({ query }) => query.question.name.includes('mesh.example'));
  t.same(leaked, [], 'no name of ours was asked of anybody');
});

t.test('names: with every resolver dead, ours are answered and others fail in time', async (t) => {
  const world = new World();
  const names = await namesIn(t, world, ['192.0.2.8']);
  const own = must(await world.send(ask('cam.mesh.example', TYPE.A)));
  t.equal(rcodeOf(own), RCODE.NOERROR);
  const asking = names.query('www.test', TYPE.A);
  await world.pass(5000);
  t.match(await asking, { rcode: 'SERVFAIL', records: [] });
});

t.test('names: our own address is never asked, however it is named', async (t) => {
  const world = new World();
  const self = [resolver('100.100.100.100')];
  const routes = new Map([['corp.test', self]]);
  const setting = { ...SETTING, routes, fallback: self };
  const names = await namesIn(t, world, ['100.100.100.100'], setting);
  t.match(await names.query('www.test', TYPE.A), { rcode: 'SERVFAIL' });
  t.match(await names.query('x.corp.test', TYPE.A), { rcode: 'SERVFAIL' });
  t.equal(world.asked.length, 0);
});

t.test('names: a resolver of this machine that asks us back is found and left out', async (t) => {
  const world = new World();
  // It has read the resolv.conf that names us, as dnsmasq does.
  let relayed = 0;
  world.resolvers.set('127.0.0.1', (query) => {
    relayed++;
    void world.send(ask(query.question.name, query.question.type, { id: 77 }));
    return [];
  });
  world.resolvers.set('192.0.2.8', says(8));
  const names = await namesIn(t, world, ['127.0.0.1', '192.0.2.8']);
  await world.pass(100);
  t.same(names.status().looping, ['127.0.0.1']);
  t.ok(world.health.has('names-loop'));
  t.match(await names.query('www.test', TYPE.A), { resolver: '192.0.2.8' });
  t.equal(relayed, 1, 'one question found it out');
});

t.test('names: the same setting again forgets nothing and asks nothing', async (t) => {
  const world = new World();
  world.resolvers.set('192.0.2.8', says(8));
  const names = await namesIn(t, world, ['192.0.2.8']);
  await names.query('www.test', TYPE.A);
  await names.set({ ...SETTING, hosts: new Map(SETTING.hosts) });
  t.match(await names.query('www.test', TYPE.A), { source: 'cache' });
  t.match(names.status(), { cached: 1, hosts: 2, system: 'file', managed: false, underWay: 0 });
});

t.test('names: a port that is taken is a health item, and tried again', async (t) => {
  const world = new World();
  const { listenUdp } = world.network;
  let taken = 3;
  const network = {
    ...world.network,
    listenUdp: (...rest: Parameters<typeof listenUdp>) =>
      taken-- > 0 ? Promise.reject(new Error('EADDRINUSE')) : listenUdp(...rest),
  };
  const paths = folder(t, '192.0.2.8');
  const names = new Names(
    world.env,
    { ...world.ports, network },
    { addresses: [ip('100.100.100.100')], paths },
  );
  t.teardown(() => names.close());
  await names.set({ ...SETTING, manageSystem: true });
  t.ok(world.health.has('names-listen'));
  t.equal(names.status().managed, false, 'nobody is pointed at a port that does not answer');
  await world.pass(10_000);
  // The system's files are real ones, which a held clock does not wait for; what comes next does.
  await names.networkChanged();
  t.notOk(world.health.has('names-listen'));
  t.equal(names.status().managed, true);
});

/** Ours on loopback with real sockets; the clock is the real one. */
async function real(t: Test): Promise<{ names: Names; port: number; close: () => Promise<void> }> {
  const world = new World();
  const port = 20_000 + (process.pid % 20_000);
  const env = {
    ...world.env,
    now: () => millis(performance.now()),
    setTimer: (at: number, action: () => void) => {
      const timer = setTimeout(action, at - performance.now());
      return () => clearTimeout(timer);
    },
  };
  const mayAsk = (from: Uint8Array): boolean => from[3] !== 66;
  const ports = { ...world.ports, network: nodeNetwork, mayAsk };
  const addresses = [ip('127.9.9.9'), ip('::1')];
  const names = new Names(env, ports, { addresses, port, paths: folder(t) });
  await names.set({ ...SETTING, fallback: [resolver('127.9.9.8', port)] });
  return { names, port, close: () => names.close() };
}

t.test('sockets: c-ares understands us, by UDP, by TCP after TC, and backwards', async (t) => {
  const { port, names, close } = await real(t);
  t.teardown(close);
  t.equal(names.status().listening.length, 2);
  for (const server of [`127.9.9.9:${port}`, `[::1]:${port}`]) {
    const resolver = new CAres({ timeout: 2000, tries: 2 });
    resolver.setServers([server]);
    t.same(await resolver.resolve4('cam.mesh.example'), ['100.64.0.1']);
    t.same(await resolver.resolve6('CAM.mesh.EXAMPLE'), ['fd7a:115c:a1e0::1']);
    t.same(await resolver.reverse('100.64.0.1'), ['cam.mesh.example']);
    t.equal((await resolver.resolve4('many.mesh.example')).length, 60);
    t.match(await resolver.resolveSoa('mesh.example'), { minttl: 5 });
    await t.rejects(resolver.resolve4('none.mesh.example'), { code: 'ENOTFOUND' });
    await t.rejects(resolver.resolveMx('cam.mesh.example'), { code: 'ENODATA' });
    await t.rejects(resolver.resolve4('www.test'), { code: 'ESERVFAIL' });
  }
});

t.test('sockets: a resolver over real sockets, its letter case and its cut answer', async (t) => {
  const world = new World();
  const { port, names, close } = await real(t);
  t.teardown(close);
  // A second one of ours stands for somebody else's resolver.
  const ports = { ...world.ports, network: nodeNetwork };
  const other = new Names(world.env, ports, {
    addresses: [ip('127.9.9.8')],
    port,
    paths: folder(t),
  });
  t.teardown(() => other.close());
  await other.set({
    ...SETTING,
    hosts: new Map([['www.test', MANY]]),
    ownDomains: ['test'],
    routes: new Map(),
    fallback: [],
  });
  const found = await names.query('www.test', TYPE.A);
  t.equal(found.resolver, `127.9.9.8:${port}`);
  t.equal(found.records.length, 60, 'all 60, by TCP');
  const reply = must(await udp(port, withEdns(ask('wWw.TesT', TYPE.A), { size: 4096 })));
  t.equal(Buffer.from(reply.subarray(13, 16)).toString(), 'wWw');
});

t.test('sockets: hostile datagrams and streams leave the server as it was', async (t) => {
  const { port, names, close } = await real(t);
  t.teardown(close);
  const random = seeded(9);
  const socket = createSocket('udp4');
  for (let i = 0; i < 3000; i++) {
    const message = i % 3 === 0 ? random.bytes(random.below(600)) : ask('cam.mesh.example', TYPE.A);
    message[random.below(message.length) || 0] = random.below(256);
    socket.send(message, port, '127.9.9.9');
    if (i % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  const streams = Array.from({ length: 100 }, () => {
    const stream = connect(port, '127.9.9.9');
    stream.on('error', () => {});
    stream.write(random.bytes(2 + random.below(2000)));
    return stream;
  });
  const reply = must(await udp(port, ask('cam.mesh.example', TYPE.A)));
  t.equal(rcodeOf(reply), RCODE.NOERROR);
  t.ok(names.status().connections <= 64, `${names.status().connections} connections`);
  for (const stream of streams) stream.destroy();
  socket.close();
});

t.test('sockets: several questions on one stream, and strangers get no word', async (t) => {
  const { port, names, close } = await real(t);
  t.teardown(close);
  const stream = connect(port, '127.9.9.9');
  const ids = [1, 2, 3];
  stream.write(Buffer.concat(ids.map((id) => frame(ask('cam.mesh.example', TYPE.A, { id })))));
  const unframer = new Unframer();
  const got: number[] = [];
  for await (const bytes of stream) {
    got.push(...unframer.push(bytes).map((message) => message[1] ?? 0));
    if (got.length === 3) break;
  }
  t.same(got.sort(), ids);
  const stranger = connect({ port, host: '127.9.9.9', localAddress: '127.0.0.66' });
  stranger.on('error', () => {});
  await new Promise((resolve) => stranger.once('close', resolve));
  t.equal(names.status().counters['dns: asked by a stranger'], 1);
});

/** Asked again until answered: a full socket buffer drops what comes, as on any machine. */
function udp(port: number, message: Uint8Array): Promise<Uint8Array> {
  const socket = createSocket('udp4');
  const again = setInterval(() => socket.send(message, port, '127.9.9.9'), 100);
  return new Promise((resolve) => {
    socket.once('message', (reply) => {
      clearInterval(again);
      socket.close();
      resolve(reply);
    });
    socket.send(message, port, '127.9.9.9');
  });
}
