import t from 'tap';
import { sockaddr } from '../../../src/base/endpoint.ts';
import { parseIp } from '../../../src/base/ip.ts';
import { parsePrefix } from '../../../src/base/prefix.ts';
import { loadNative } from '../../../src/linux/ffi.ts';
import type { Route } from '../../../src/linux/ip.ts';
import {
  changeRoutes,
  configureLink,
  routesOf,
  runBatch,
  setGsoMaxBytes,
} from '../../../src/linux/ip.ts';
import type { LinkEvent } from '../../../src/linux/netlink.ts';
import { linkInfo, readLinkMessages, watchLink } from '../../../src/linux/netlink.ts';
import type { TunDevice, TunOffload } from '../../../src/linux/tun.ts';
import { openTun, tunPort } from '../../../src/linux/tun.ts';
import { UdpSocketPort } from '../../../src/linux/udp-port.ts';
import { openUdp } from '../../../src/linux/udp-sockets.ts';
import { onReadable } from '../../../src/linux/wait.ts';
import { createArena, tunPlaces } from '../../../src/node/dataplane/arena.ts';
import type { TunPort } from '../../../src/node/dataplane/ports.ts';
import { EMPTY, GONE } from '../../../src/node/dataplane/ports.ts';
import { must } from '../../must.ts';
import { seeded } from '../../seeded.ts';
import { ownNetwork } from './own-network.ts';

const native = loadNative();
const skip = await ownNetwork(native);

const arena = createArena({ activePeers: 16, flows: 16, rules: 16 });
const { txOut, rxIn, iovecs, udp4, groScratch } = arena.layout;
const { u8, u16, u32 } = arena;
const packetAt: number = tunPlaces(arena.layout, false).at;

/** A device that is up, with 10.77.0.1/24 on it. */
async function upTun(
  name: string,
  best?: TunOffload,
): Promise<{ device: TunDevice; port: TunPort }> {
  const device = openTun(native, name, best);
  await configureLink(name, {
    addresses: [must(parsePrefix('10.77.0.1')), { address: must(parseIp('10.77.0.1')), bits: 24 }],
    mtuBytes: 1420,
    up: true,
  });
  const { offload, file } = device;
  const places = tunPlaces(arena.layout, offload !== 'plain');
  const port = tunPort(native, arena, { fd: file.fd, offload }, places);
  return { device, port };
}

function readOne(port: TunPort): number {
  port.read(1);
  return port.found[0] as number;
}

/** The next UDP packet to read: those of IPv6 neighbour discovery are passed over. */
function readUdp(port: TunPort): number | undefined {
  for (;;) {
    const bytes = readOne(port);
    if (bytes < 0) return undefined;
    if (isUdp(packetAt)) return bytes;
  }
}

const isUdp = (at: number): boolean => u8[at] === 0x45 && u8[at + 9] === 17;

for (const best of ['full', 'tcp', 'plain'] as const)
  t.test(`tun: a device of kind ${best} carries packets both ways`, { skip }, async (t) => {
    const { device, port } = await upTun('pt-both', best);
    t.equal(device.offload, best);
    t.same([port.vnetHeader, port.uso], [best !== 'plain', best === 'full']);
    const sockets = openUdp(native, { port: 0, mark: 0, offload: false });
    const socket = new UdpSocketPort(native, arena, {
      fd: must(sockets.udp4).file.fd,
      family: 4,
      gso: false,
      regionAt: udp4,
    });
    const peer = sockaddr({ address: Uint8Array.of(10, 77, 0, 2), port: 7, scope: 0 });
    const payload = seeded(1).bytes(1000);
    t.equal(sockets.sendTo(peer, payload), 0);
    const header = best === 'plain' ? 0 : 10;
    const at = packetAt;
    const bytes = must(readUdp(port));
    t.equal(bytes, 28 + 1000 + header);
    t.same(u8.slice(at + 28, at + 1028), payload);
    const came = u8.slice(at - header, at - header + bytes);
    let more = readOne(port);
    // Neighbour discovery again, whenever the kernel comes to it.
    while (more > 0 && (u8[at] as number) >> 4 === 6) more = readOne(port);
    t.equal(more, EMPTY);
    u8.set(came, at - header);

    // Sent back: addresses and ports change places, which leaves the checksums as they are.
    const head = u8.slice(at, at + 28);
    u8.set(head.subarray(16, 20), at + 12);
    u8.set(head.subarray(12, 16), at + 16);
    u8.set(head.subarray(22, 24), at + 20);
    u8.set(head.subarray(20, 22), at + 22);
    writeIovecs(at - header, at, bytes);
    t.equal(port.write(iovecs, 2), bytes);
    t.equal(socket.receive(rxIn, 2048), 1000);
    t.same(u8.slice(rxIn, rxIn + 1000), payload);
    sockets.close();
    device.file.close();
    t.equal(linkInfo(native, 'pt-both'), undefined);
  });

t.test('tun: several packets are read at once, each to its place', { skip }, async (t) => {
  const { device, port } = await upTun('pt-several');
  const sockets = openUdp(native, { port: 0, mark: 0, offload: false });
  const peer = sockaddr({ address: Uint8Array.of(10, 77, 0, 2), port: 7, scope: 0 });
  const { strideBytes, count } = tunPlaces(arena.layout, true);
  const { found } = port;
  // Whatever the kernel has to say for itself goes first.
  while (port.read(count) === count);
  for (let i = 1; i <= 5; i++) t.equal(sockets.sendTo(peer, seeded(i).bytes(100 * i)), 0);
  const made = port.read(count);
  const udp = [...found.keys()].filter((i) => i < made - 1 && isUdp(packetAt + i * strideBytes));
  const sizes = udp.map((i) => found[i]);
  t.same(sizes, [138, 238, 338, 438, 538]);
  for (const [number, i] of udp.entries()) {
    const text = packetAt + i * strideBytes + 28;
    t.same(u8.slice(text, text + 100 * (number + 1)), seeded(number + 1).bytes(100 * (number + 1)));
  }
  t.equal(found[made - 1], EMPTY, 'and there is no more');
  sockets.close();
  device.file.close();
});

t.test('tun: with USO a super-datagram comes through whole', { skip }, async (t) => {
  const { device, port } = await upTun('pt-uso');
  const sockets = openUdp(native, { port: 0, mark: 0, offload: true });
  const { file, gso } = must(sockets.udp4);
  const socket = new UdpSocketPort(native, arena, { fd: file.fd, family: 4, gso, regionAt: udp4 });
  u8.set(sockaddr({ address: Uint8Array.of(10, 77, 0, 2), port: 7, scope: 0 }), groScratch);
  u8.set(seeded(2).bytes(10_500), txOut);
  socket.send(txOut, 10_500, 1000, groScratch, 0);
  socket.flush();
  const at = packetAt;
  t.equal(readUdp(port), 10 + 28 + 10_500);
  t.same([u8[at - 9], u16[(at - 6) >> 1]], [5, 1000], 'UDP_L4, 1,000 bytes a segment');
  t.same(u8.slice(at + 28, at + 10_528), u8.slice(txOut, txOut + 10_500));
  sockets.close();
  device.file.close();
});

t.test('tun: a kernel without offloads gets the next rung', { skip }, async (t) => {
  const taking = (...values: number[]) => ({
    ...native,
    ioctl: (fd: number, request: number, argument: number) =>
      request === 0x400454d0 && !values.includes(argument)
        ? -22
        : native.ioctl(fd, request, argument),
  });
  for (const [values, offload] of [
    [[0x67, 7, 0], 'full'],
    [[7, 0], 'tcp'],
    [[0], 'plain'],
  ] as const) {
    const device = openTun(taking(...values), 'pt-rung');
    t.equal(device.offload, offload);
    device.file.close();
  }
});

t.test('tun: what cannot be opened says what to do', { skip }, async (t) => {
  for (const name of ['', 'a'.repeat(16), 'a b', 'a/b', '..', 'pt%d', 'ä'])
    t.throws(() => openTun(native, name), { name: 'ConfigError', message: /interface name/ }, name);
  const device = openTun(native, 'pt-mine');
  t.throws(() => openTun(native, 'pt-mine'), { name: 'ConfigError', code: 'EBUSY' });
  t.throws(() => openTun(native, 'lo'), { name: 'ConfigError', code: 'EINVAL' });
  device.file.close();
  for (const [errno, message] of [
    [2, /no TUN driver.*modprobe tun/],
    [13, /run as root/],
  ] as const)
    t.throws(() => openTun({ ...native, open: () => -errno }, 'pt-none'), {
      name: 'ConfigError',
      message,
    });
  const powerless = { ...native, ioctl: () => -1 };
  t.throws(() => openTun(powerless, 'pt-none'), { name: 'ConfigError', message: /CAP_NET_ADMIN/ });
});

t.test(
  'tun: a deleted device wakes its reader, who is told that it has gone',
  { skip },
  async (t) => {
    const { device, port } = await upTun('pt-gone');
    const link = must(linkInfo(native, 'pt-gone'));
    const events: LinkEvent[] = [];
    const heard = Promise.withResolvers<void>();
    watchLink(native, link.index, (event) => {
      events.push(event);
      if (event.type === 'gone') heard.resolve();
    });
    const woken = Promise.withResolvers<number>();
    const waiting = onReadable(native, device.file.fd, () => {
      let result = readOne(port);
      while (result >= 0) result = readOne(port);
      if (result === EMPTY) return;
      waiting.close();
      woken.resolve(result);
    });
    await runBatch([
      ['link', 'set', 'dev', 'pt-gone', 'mtu', '1300'],
      ['link', 'set', 'dev', 'pt-gone', 'down'],
      ['link', 'delete', 'dev', 'pt-gone'],
    ]);
    t.equal(await woken.promise, GONE);
    await heard.promise;
    const told = events.map((event) =>
      event.type === 'gone' ? 'gone' : `${event.link.mtuBytes} ${event.link.up ? 'up' : 'down'}`,
    );
    t.equal(told[0], '1420 up', 'the state at the start');
    t.same([told.includes('1300 up'), told.includes('1300 down')], [true, true]);
    t.same(events.at(-1), { type: 'gone', index: link.index });
    device.file.close();
  },
);

t.test(
  'netlink: an interface is found by name and by index, and a gone one not at all',
  { skip },
  async (t) => {
    const lo = must(linkInfo(native, 'lo'));
    t.match(lo, { index: 1, name: 'lo', up: true, mtuBytes: 65_536 });
    t.same(linkInfo(native, 1), lo);
    t.equal(linkInfo(native, 'a-name-of-fifte'), undefined);
    t.equal(linkInfo(native, 99_999), undefined);
    const gone = Promise.withResolvers<LinkEvent>();
    watchLink(native, 99_999, gone.resolve);
    t.same(await gone.promise, { type: 'gone', index: 99_999 });
  },
);

t.test('netlink: hostile bytes give no messages, or some, never an exception', async (t) => {
  const random = seeded(8);
  let understood = 0;
  for (let round = 0; round < 20_000; round++) {
    const bytes = random.bytes(random.below(120));
    if (bytes.length > 6)
      bytes.set([bytes.length - random.below(3), 0, 0, 0, 16 + random.below(2), 0]);
    understood += readLinkMessages(bytes).length;
  }
  t.ok(understood > 0);
});

t.test('ip: routes are added once, removed once, and read back', { skip }, async (t) => {
  const { device } = await upTun('pt-route');
  const route = (text: string, more: Partial<Route> = {}): Route => ({
    prefix: must(parsePrefix(text)),
    ...more,
  });
  const wanted = [
    route('10.88.0.0/16'),
    route('fd77::/64', { table: 52 }),
    route('0.0.0.0/0', { table: 52, metric: 9 }),
    route('::/0', { table: 52 }),
  ];
  const before = (await routesOf('pt-route')).length;
  await changeRoutes('pt-route', wanted, []);
  await changeRoutes('pt-route', wanted, [route('10.99.0.0/16')]);
  t.equal((await routesOf('pt-route')).length, before + wanted.length);
  await changeRoutes('pt-route', [], wanted);
  t.equal((await routesOf('pt-route')).length, before);
  t.equal(await setGsoMaxBytes('pt-route', 61_612), true);
  device.file.close();
});

t.test('ip: a command that fails is named with what ip said', { skip }, async (t) => {
  const commands = [
    ['link', 'set', 'dev', 'lo', 'up'],
    ['link', 'set', 'dev', 'pt-none', 'up'],
  ];
  await t.rejects(runBatch(commands), {
    name: 'NetError',
    message: /'ip link set dev pt-none up'.*Cannot find device/,
  });
  await t.rejects(runBatch([['link', 'show\nlink']]), { name: 'BugError' });
});

/** iovec 0: the virtio header, if there is one; iovec 1: the packet. */
function writeIovecs(start: number, packet: number, bytes: number): void {
  const base = native.addressOf(arena.memory.buffer);
  const headerBytes = packet - start;
  for (const [i, [at, length]] of [
    [start, headerBytes],
    [packet, bytes - headerBytes],
  ].entries() as ArrayIterator<[number, [number, number]]>) {
    const word = (iovecs + 16 * i) >> 2;
    u32[word] = (base + at) >>> 0;
    u32[word + 1] = Math.floor((base + at) / 2 ** 32);
    u32[word + 2] = length;
    u32[word + 3] = 0;
  }
}
