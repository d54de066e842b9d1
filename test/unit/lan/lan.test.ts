import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { ConfigError, NetError } from '../../../src/base/errors.ts';
import { formatIp, parseIp } from '../../../src/base/ip.ts';
import { parsePrefix } from '../../../src/base/prefix.ts';
import type { Lan } from '../../../src/node/lan/lan.ts';
import { disk } from '../../../src/store/safe-file.ts';
import { must } from '../../must.ts';
import { HOME, Stand } from './stand.ts';

/** Until what was begun on the disk and with the server has come so far. */
async function settled(far: () => boolean): Promise<void> {
  const deadline = performance.now() + 5000;
  while (!far() && performance.now() < deadline) await new Promise(setImmediate);
}

/** Long enough for anything under way to show itself. */
const quiet = (): Promise<void> => sleep(30);

const allowing = (...texts: string[]) => texts.map((text) => must(parsePrefix(text)));
const mapped = (lan: Lan): string[] =>
  lan.mapping().map(({ mesh, lan: to }) => `${formatIp(mesh)} > ${formatIp(to)}`);

t.test('lan: a shared device is mapped when server and map agree on its address', async (t) => {
  const stand = new Stand(`${t.testdir({})}/lan`);
  const lan = await stand.open();
  lan.online();
  t.same(stand.reports, [], 'nothing to say');
  t.match(await lan.add('Cam', '192.168.1.50'), { name: 'cam', shared: false, meshAddress: null });
  t.same(stand.reports, [], 'what is not shared is nobody else’s business');
  await lan.share('cam');
  await settled(() => lan.list()[0]?.fqdn !== null);
  t.match(stand.reports, [
    [{ id: /^[0-9a-f]{16}$/, kind: 'lan', name: 'cam', sshPort: 22, mode: 'route' }],
  ]);
  t.same(lan.list(), [
    {
      name: 'cam',
      fqdn: 'cam.mesh.internal',
      address: '192.168.1.50',
      meshAddress: '100.64.0.9',
      mode: 'route',
      sshPort: 22,
      shared: true,
      mapped: false,
    },
  ]);
  lan.setMap(allowing('100.64.0.1/32', '100.64.0.0/24', '100.64.0.8/32'));
  t.same(mapped(lan), [], 'a route that holds the address says nothing of the device');
  lan.setMap(allowing('100.64.0.1/32', '100.64.0.9/32', 'fd7a:115c:a1e0::9/128'));
  t.same(mapped(lan), ['100.64.0.9 > 192.168.1.50']);
  await quiet();
  const before = stand.changes;
  lan.setMap(allowing('100.64.0.9/32'));
  await quiet();
  t.equal(stand.changes, before, 'the same is no news');
  lan.setSurroundings({ ...HOME, own: [must(parseIp('192.168.1.50'))] });
  t.same(mapped(lan), [], 'the address has become our own');
});

t.test('lan: a device of IPv6 is mapped from its IPv6 mesh address', async (t) => {
  const stand = new Stand(`${t.testdir({})}/lan`);
  const lan = await stand.open();
  await lan.add('nas', 'FD00::0050', 2222);
  await lan.share('nas');
  await settled(() => lan.list()[0]?.fqdn !== null);
  lan.setMap(allowing('100.64.0.9/32', 'fd7a:115c:a1e0::9/128'));
  t.same(mapped(lan), ['fd7a:115c:a1e0::9 > fd00::50']);
  t.match(lan.list(), [{ meshAddress: 'fd7a:115c:a1e0::9', sshPort: 2222 }]);
});

t.test('lan: names, addresses and ids live through a restart without any server', async (t) => {
  const stand = new Stand(`${t.testdir({})}/lan`);
  const first = await stand.open();
  await Promise.all([first.add('b', '10.0.0.2'), first.add('a', '10.0.0.1')]);
  await first.share('b');
  await settled(() => stand.reports.length > 0 && first.list()[1]?.fqdn !== null);
  first.close();
  stand.failing = new NetError('no server');
  const second = await stand.open();
  second.setMap(allowing('100.64.0.9/32'));
  t.same(
    second.list().map(({ name }) => name),
    ['a', 'b'],
  );
  t.same(mapped(second), ['100.64.0.9 > 10.0.0.2']);
  t.match(await second.add('b', '10.0.0.7'), { meshAddress: '100.64.0.9', address: '10.0.0.7' });
  t.same(mapped(second), ['100.64.0.9 > 10.0.0.7'], 'another lease, the same device');
});

t.test(
  'lan: unshare and remove end the mapping at once, and the server hears when it can',
  async (t) => {
    const stand = new Stand(`${t.testdir({})}/lan`);
    const lan = await stand.open();
    lan.setMap(allowing('100.64.0.9/32'));
    await lan.add('cam', '10.0.0.5');
    await lan.share('cam');
    await settled(() => mapped(lan).length > 0);
    stand.failing = new NetError('no server');
    lan.offline();
    await lan.remove('cam');
    t.same([mapped(lan), lan.list()], [[], []]);
    await settled(() => stand.timers.length > 0);
    lan.close();
    stand.failing = undefined;
    const told = stand.reports.length;
    const next = await stand.open();
    next.online();
    await settled(() => stand.reports.length > told);
    t.same(stand.reports.slice(told), [[]], 'after a restart too');
    await quiet();
    next.offline();
    next.online();
    await quiet();
    t.equal(stand.reports.length, told + 1, 'and once is enough');
  },
);

t.test('lan: a removed device’s name goes to another device, with another address', async (t) => {
  const stand = new Stand(`${t.testdir({})}/lan`);
  const lan = await stand.open();
  await lan.add('cam', '10.0.0.5');
  await lan.share('cam');
  await settled(() => lan.list()[0]?.fqdn !== null);
  await lan.remove('cam');
  await lan.add('cam', '10.0.0.6');
  await lan.share('cam');
  await settled(() => lan.list()[0]?.fqdn !== null);
  t.equal(lan.list()[0]?.meshAddress, '100.64.0.10');
});

t.test(
  'lan: a server that is away is asked at growing intervals, one that refuses is not',
  async (t) => {
    const stand = new Stand(`${t.testdir({})}/lan`);
    const lan = await stand.open();
    stand.failing = new NetError('no server');
    await lan.add('cam', '10.0.0.5');
    await lan.share('cam');
    for (const [least, most] of [
      [1000, 1500],
      [2000, 3000],
      [4000, 6000],
      [8000, 12_000],
      [16_000, 24_000],
      [32_000, 48_000],
      [60_000, 90_000],
      [60_000, 90_000],
    ] as const) {
      await settled(() => stand.timers.length > 0);
      t.equal(stand.timers.length, 1);
      const waited = stand.fire();
      t.ok(waited >= least && waited <= most, `${waited} ms`);
    }
    await settled(() => stand.timers.length > 0);
    stand.failing = new Error('this server has no LAN devices');
    stand.fire();
    await settled(() => stand.health.items().length > 0);
    t.same([stand.timers.length, stand.health.items()[0]?.code], [0, 'lan-report-refused']);
    stand.failing = undefined;
    lan.online();
    await settled(() => stand.health.items().length === 0);
    t.same(stand.health.items(), [], 'over when it takes them');
    t.equal(lan.list()[0]?.fqdn, 'cam.mesh.internal');
  },
);

t.test(
  'lan: what is no name or no address of a LAN device is refused with what to do',
  async (t) => {
    const lan = await new Stand(`${t.testdir({})}/lan`).open();
    for (const name of ['', '-cam', 'cam-', 'front cam', 'cam.home', 'x'.repeat(64), '../etc', 'ä'])
      await t.rejects(async () => lan.add(name, '10.0.0.5'), ConfigError, name);
    for (const [address, why] of [
      ['cam', /no address/],
      ['10.0.0.5/24', /no address/],
      ['127.0.0.1', /not the address of another device/],
      ['0.0.0.0', /not the address of another device/],
      ['169.254.1.1', /not the address of another device/],
      ['224.0.0.251', /not the address of another device/],
      ['255.255.255.255', /not the address of another device/],
      ['fe80::1', /not the address of another device/],
      ['::1', /not the address of another device/],
      ['::ffff:10.0.0.1', /not the address of another device/],
      ['100.64.0.7', /address of the mesh/],
      ['fd7a:115c:a1e0::7', /address of the mesh/],
      ['192.168.1.2', /this machine itself/],
      ['192.168.1.255', /its whole network/],
      ['192.168.1.0', /its whole network/],
      ['8.8.8.8', /neither a private address/],
      ['2001:db8::1', /neither a private address/],
    ] as const)
      await t.rejects(lan.add('cam', address), { name: 'ConfigError', message: why }, address);
    await t.rejects(lan.add('cam', '10.0.0.5', 70_000), ConfigError);
    for (const verb of ['share', 'unshare', 'remove'] as const)
      await t.rejects(lan[verb]('cam'), { name: 'ConfigError', message: /lan list/ }, verb);
    t.same(lan.list(), []);
    t.match(await lan.add('cam', '203.0.113.5'), { address: '203.0.113.5' }, 'a network of ours');
  },
);

t.test('lan: a disk that refuses leaves everything as it was, and says so', async (t) => {
  const stand = new Stand(`${t.testdir({})}/lan`);
  let full = false;
  stand.files = {
    ...disk,
    create: (path, text) => (full ? Promise.reject(new Error('ENOSPC')) : disk.create(path, text)),
  };
  const lan = await stand.open();
  await lan.add('cam', '10.0.0.5');
  full = true;
  await t.rejects(lan.share('cam'), NetError);
  t.match(lan.list(), [{ shared: false }]);
  full = false;
  t.match(await lan.share('cam'), { shared: true });
});
