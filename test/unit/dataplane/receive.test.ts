import { readFileSync } from 'node:fs';
import t from 'tap';
import { kernelsWasm } from '../../../scripts/kernels.ts';
import { concat } from '../../../src/base/bytes.ts';
import { parsePrefix } from '../../../src/base/prefix.ts';
import { PEER, peerAt, RING_ENTRIES } from '../../../src/node/dataplane/arena.ts';
import { ringRead } from '../../../src/node/dataplane/ring.ts';
import { must } from '../../must.ts';
import { seeded } from '../../seeded.ts';
import { onesSum } from '../../twins/checksum.ts';
import { ipPacket, TCP, tcpPacket, udpPacket } from '../../twins/packet.ts';
import { cut } from '../../twins/segment.ts';
import type { TestKeypair } from './plane-on-arena.ts';
import { PlaneOnArena, seal, sockaddrOf, VNET_BYTES } from './plane-on-arena.ts';

const wasm = readFileSync(await kernelsWasm());
const OURS = Uint8Array.of(10, 0, 0, 99);
const THEIRS = Uint8Array.of(10, 0, 0, 1);
const NO_ECN = 0;
const CONGESTED = 3;

function make(): { p: PlaneOnArena; keypair: TestKeypair } {
  const p = new PlaneOnArena({ wasm });
  p.addPeer(1);
  const keypair = p.keypair(1);
  return { p, keypair };
}

const plain = (bytes: number, tos = 0): Uint8Array =>
  ipPacket({ source: THEIRS, target: OURS, tos }, 253, new Uint8Array(bytes - 20));

function plain6(tos: number): Uint8Array {
  const [source, target] = [1, 99].map((last) => {
    const address = new Uint8Array(16);
    address.set([0xfd]);
    address[15] = last;
    return address;
  });
  return ipPacket({ source: must(source), target: must(target), tos }, 253, new Uint8Array(40));
}

/** `count` full segments of one TCP flow, ready to be joined. */
function flow(count: number, payloadBytes: number): Uint8Array[] {
  const payload = seeded(1).bytes(count * payloadBytes);
  const ip = { source: THEIRS, target: OURS, id: 100 };
  const whole = tcpPacket(ip, { ports: [1, 2], sequence: 9 }, payload.subarray(0, payloadBytes));
  return cut(concat(whole.subarray(0, 40), payload), {
    ipBytes: 20,
    headerBytes: 40,
    segmentBytes: payloadBytes,
    protocol: TCP,
  });
}

t.test('receive: a joined run becomes one write, which is the packets again', async (t) => {
  const { p, keypair } = make();
  const packets = flow(40, 1368);
  p.udpIn({ datagrams: packets.map((packet, i) => seal(packet, keypair, i)) });
  t.equal(p.written.length, 1);
  const [write] = p.written;
  const virtio = [...must(write).subarray(0, VNET_BYTES)];
  t.same(virtio, [1, 1, 40, 0, 1368 & 255, 1368 >> 8, 20, 0, 16, 0], 'TCPv4, by 1,368 bytes');
  const again = cut(must(write).slice(VNET_BYTES), {
    ipBytes: 20,
    headerBytes: 40,
    segmentBytes: 1368,
    protocol: TCP,
  });
  t.same(again, packets);
  t.equal(p.report().packetsReceived, 40);
});

t.test('receive: datagrams at odd places are moved, and each is written', async (t) => {
  const { p, keypair } = make();
  for (const bytes of [1421, 1422, 1423]) {
    const packets = [0, 1, 2].map(() => plain(bytes));
    const first = 10 * bytes;
    p.written.splice(0);
    p.udpIn({ datagrams: packets.map((packet, i) => seal(packet, keypair, first + i)) });
    t.same(
      p.written.map((write) => write.slice(VNET_BYTES)),
      packets,
      `${bytes} bytes`,
    );
  }
});

t.test(
  'receive: a packet loses its padding, and stays alone where it has a neighbour',
  async (t) => {
    const { p, keypair } = make();
    const ip = { source: THEIRS, target: OURS };
    const packets = [plain(61), udpPacket(ip, [1, 2], new Uint8Array(33)), plain(62)];
    const padded = packets.map((packet) => concat(packet, new Uint8Array(80 - packet.length)));
    p.udpIn({ datagrams: padded.map((packet, i) => seal(packet, keypair, i)) });
    t.same(
      p.written.map((write) => write.slice(VNET_BYTES)),
      packets,
    );
  },
);

t.test('receive: each datagram that is refused has its reason, and moves nothing', async (t) => {
  const { p, keypair } = make();
  p.plane.apply({
    type: 'rules',
    rules: [
      { protocol: 253, firstPort: 0, lastPort: 65_535, source: must(parsePrefix('10.0.0.1')) },
    ],
  });
  const good = plain(100);
  const spoiled = (at: number, value: number): Uint8Array => {
    const datagram = seal(good, keypair, 50);
    datagram[at] = value;
    return datagram;
  };
  const inner = (at: number, value: number): Uint8Array => {
    const packet = good.slice();
    packet[at] = value;
    return packet;
  };
  let counter = 100;
  const sealed = (packet: Uint8Array): Uint8Array => seal(packet, keypair, counter++);
  const fragment = ipPacket({ source: THEIRS, target: OURS, position: 1 }, 6, new Uint8Array(80));
  const table: readonly (readonly [string, Uint8Array, ecn?: number])[] = [
    ['in: malformed', spoiled(0, 5)],
    ['in: malformed', spoiled(1, 1)],
    ['in: malformed', seal(new Uint8Array(0), keypair, 1).subarray(0, 31)],
    ['in: malformed', Uint8Array.of(4)],
    ['in: unknown index', spoiled(4, 1)],
    ['in: unknown index', spoiled(7, 1)],
    ['in: forged', spoiled(8, 51)],
    ['in: forged', spoiled(16, 0)],
    ['in: forged', spoiled(131, 0)],
    ['in: not an IP packet', sealed(inner(0, 0x55))],
    ['in: not an IP packet', sealed(inner(2, 1))],
    ['in: not an IP packet', sealed(Uint8Array.of(0x45))],
    ['in: source not allowed', sealed(inner(15, 2))],
    ['in: congestion mark on a packet that cannot carry it', sealed(good), CONGESTED],
    ['in: filter rules', sealed(inner(9, 252))],
    ['in: filter fragment', sealed(fragment)],
    ['in: filter malformed', sealed(inner(9, 6))],
  ];
  const authentic = table.findIndex(([reason]) => reason === 'in: not an IP packet');
  for (const [i, [reason, datagram, ecn = NO_ECN]] of table.entries()) {
    const before = p.report();
    p.udpIn({ datagrams: [datagram], ecn, host: 77 });
    const after = p.report();
    const reasons = Object.entries(after.drops).filter(
      ([name, count]) => count !== (before.drops as Record<string, number>)[name],
    );
    const counts = before.drops as Record<string, number>;
    t.same(reasons, [[reason, (counts[reason] ?? 0) + 1]], `row ${i}: ${reason}`);
    if (i === authentic - 1) {
      const at = peerAt(p.arena.layout, 0);
      t.equal(p.arena.u8[at + PEER.endpoint + 7], 1, 'no forgery has moved the endpoint');
      t.equal(p.arena.f64[(at + PEER.lastReceived) >> 3], 0, 'nor left a mark');
    }
  }
  t.same(p.written, [], 'nothing came out');
});

t.test('receive: a counter is taken once, within a run too', async (t) => {
  const { p, keypair } = make();
  const datagrams = [3, 1, 3, 2, 1].map((counter) => seal(plain(100 + counter), keypair, counter));
  for (const datagram of datagrams) p.udpIn({ datagrams: [datagram] });
  t.same(p.report().drops, { 'in: replayed': 2 });
  p.udpIn({ datagrams: [4, 4].map(() => seal(plain(100), keypair, 4)) });
  t.same(p.report().drops, { 'in: replayed': 3 });
  t.equal(p.written.length, 4);
});

// RFC 6040, figure 4: inner is the row, outer the column.
const ECN: readonly (readonly (number | 'drop')[])[] = [
  [0, 0, 0, 'drop'],
  [1, 1, 1, 3],
  [2, 1, 2, 3],
  [3, 3, 3, 3],
];

t.test('receive: ECN comes out as RFC 6040 has it, in both families', async (t) => {
  const { p, keypair } = make();
  let counter = 0;
  for (const [name, packetOf, ecnOf] of [
    ['IPv4', (tos: number) => plain(64, tos), (bytes: Uint8Array) => must(bytes[1]) & 3],
    ['IPv6', plain6, (bytes: Uint8Array) => (must(bytes[1]) >> 4) & 3],
  ] as const)
    for (const [inner, row] of ECN.entries())
      for (const [outer, wanted] of row.entries()) {
        p.written.splice(0);
        const given = packetOf(0xb8 | inner);
        p.udpIn({ datagrams: [seal(given, keypair, counter++)], ecn: outer });
        const got = p.written[0]?.slice(VNET_BYTES);
        const what = `${name}, inner ${inner}, outer ${outer}`;
        t.equal(got === undefined ? 'drop' : ecnOf(got), wanted, what);
        if (got === undefined) continue;
        t.same(got, packetOf(0xb8 | ecnOf(got)), `${what}: nothing else has changed`);
        if (name === 'IPv4') t.equal(onesSum(got.subarray(0, 20)), 0xffff, `${what}: checksum`);
      }
});

t.test('receive: the peer is where its last authentic packet came from', async (t) => {
  const { p, keypair } = make();
  p.udpIn({ datagrams: [seal(plain(100), keypair, 1)], host: 55 });
  p.tunIn({ packet: ipPacket({ source: OURS, target: THEIRS }, 253, new Uint8Array(44)) });
  t.equal(p.runs.at(-1)?.host, 55);
  const at = peerAt(p.arena.layout, 0) + PEER.endpoint;
  t.same(p.arena.u8.slice(at, at + 28), sockaddrOf(55));
});

t.test('receive: a full ring drops and counts, and one wake-up is enough', async (t) => {
  const { p } = make();
  const initiation = new Uint8Array(148);
  initiation[0] = 1;
  const sent = 2 * RING_ENTRIES;
  for (let i = 0; i < sent; i++) p.udpIn({ datagrams: [initiation], host: i & 255 });
  const dropped = must(p.report().drops['in: main thread busy']);
  const hosts = new Set<number>();
  const read = ringRead(p.arena, (datagram, source) => {
    if (datagram.length === initiation.length) hosts.add(must(source[7]));
  });
  t.equal(read + dropped, sent, `${read} handed over, ${dropped} dropped`);
  t.ok(read <= RING_ENTRIES && hosts.size > RING_ENTRIES / 2, `from ${hosts.size} addresses`);
  t.equal(p.eventsOf('datagrams').length, 1);
  p.udpIn({ datagrams: [initiation] });
  t.equal(p.eventsOf('datagrams').length, 2, 'and one more after it was read');
});
