import { readFileSync } from 'node:fs';
import t from 'tap';
import { kernelsWasm } from '../../../scripts/kernels.ts';
import { equalBytes } from '../../../src/base/bytes.ts';
import { TUN_READS } from '../../../src/node/dataplane/arena.ts';
import { must } from '../../must.ts';
import type { Seeded } from '../../seeded.ts';
import { seeded } from '../../seeded.ts';
import { pseudoSum, writeBe16 } from '../../twins/checksum.ts';
import { UDP, udpPacket } from '../../twins/packet.ts';
import type { PlaneOnArenaOptions } from './plane-on-arena.ts';
import { open, PlaneOnArena, sockaddrOf, VNET_BYTES } from './plane-on-arena.ts';
import { addresses, fault, plain, type SuperPacket, sizes, superPacket } from './super-packets.ts';

const wasm = readFileSync(await kernelsWasm());
const make = (options: Partial<PlaneOnArenaOptions> = {}): PlaneOnArena =>
  new PlaneOnArena({ wasm, ...options });

t.test('transmit: a super-packet leaves as sealed segments in runs within bounds', async (t) => {
  const random = seeded(1);
  // 43 datagrams of 1,532 bytes would be more than a send may carry; 64 are as many as it may.
  const table = [
    [1380, 55_001, {}, ['40x1456']],
    [1460, 64_240, {}, ['42x1532', '2x1532']],
    [1460, 64_500, {}, ['42x1532', '3x1532']],
    [100, 10_000, {}, ['64x176', '36x176']],
    [100, 6450, {}, ['64x176', '1x128']],
    [1360, 50_000, { v4: false }, ['37x1456']],
    [1372, 40_000, { udp: true }, ['30x1440']],
    [1352, 40_000, { udp: true, v4: false }, ['30x1440']],
  ] as const;
  for (const [segmentBytes, payloadBytes, options, runs] of table) {
    const p = make({ mtuBytes: 1500 });
    p.addPeer(1);
    const keypair = p.keypair(1);
    const payload = random.bytes(payloadBytes);
    const { segments, ...given } = superPacket(payload, segmentBytes, options);
    p.tunIn(given);
    const name = `${payloadBytes} bytes by ${segmentBytes} ${JSON.stringify(options)}`;
    t.equal(fault(p.runs, keypair, segments, 1500), undefined, name);
    t.same(sizes(p.runs), runs, `${name}: runs`);
  }
});

t.test('transmit: a run ends where peer, ECN or size changes', async (t) => {
  const table: readonly [string, readonly (readonly [number, number, number])[], string[]][] = [
    [
      'equal ones are joined',
      [
        [1, 800, 0],
        [1, 800, 0],
        [1, 800, 0],
      ],
      ['1: 3x832 ecn 0'],
    ],
    [
      'a shorter one is the last',
      [
        [1, 800, 0],
        [1, 400, 0],
        [1, 800, 0],
      ],
      ['1: 2x832 ecn 0', '1: 1x832 ecn 0'],
    ],
    [
      'a longer one begins anew',
      [
        [1, 400, 0],
        [1, 800, 0],
      ],
      ['1: 1x432 ecn 0', '1: 1x832 ecn 0'],
    ],
    [
      'another peer',
      [
        [1, 800, 0],
        [2, 800, 0],
        [1, 800, 0],
      ],
      ['1: 1x832 ecn 0', '2: 1x832 ecn 0', '1: 1x832 ecn 0'],
    ],
    [
      'other ECN bits',
      [
        [1, 800, 2],
        [1, 800, 2],
        [1, 800, 3],
        [1, 800, 0],
      ],
      ['1: 2x832 ecn 2', '1: 1x832 ecn 3', '1: 1x832 ecn 0'],
    ],
    [
      'another DSCP does not matter',
      [
        [1, 800, 0xb8],
        [1, 800, 0],
      ],
      ['1: 2x832 ecn 0'],
    ],
  ];
  for (const [name, packets, wanted] of table) {
    const p = make();
    for (const peer of [1, 2]) {
      p.addPeer(peer);
      p.keypair(peer);
    }
    p.tunIn(...packets.map(([to, bytes, tos]) => ({ packet: plain(to, bytes, tos) })));
    const got = p.runs.map(
      ({ host, datagrams, segmentBytes, ecn }) =>
        `${host}: ${datagrams.length}x${segmentBytes} ecn ${ecn}`,
    );
    t.same(got, wanted, name);
  }
});

t.test('transmit: any mix of packets goes to its peers whole, once and in order', async (t) => {
  const random = seeded(2);
  for (let round = 0; round < 60; round++) {
    const mtuBytes = random.pick([1280, 1381, 1420, 1421, 1500]);
    const p = make({ mtuBytes });
    const peers = [1, 2, 3].map((number) => {
      p.addPeer(number);
      return { number, keypair: p.keypair(number), packets: [] as Uint8Array[] };
    });
    const given = Array.from({ length: 40 }, () => {
      const peer = random.pick(peers);
      const { segments, ...packet } = anyPacket(random, peer.number, mtuBytes);
      peer.packets.push(...segments);
      return packet;
    });
    p.tunIn(...given);
    for (const { number, keypair, packets } of peers) {
      const own = p.runs.filter(({ host }) => host === number);
      const wrong = fault(own, keypair, packets, mtuBytes);
      if (wrong !== undefined) return t.fail(`round ${round}, peer ${number}: ${wrong}`);
    }
  }
  return t.pass('60 mixes of 40 packets for 3 peers');
});

function anyPacket(random: Seeded, to: number, mtuBytes: number): SuperPacket {
  const v4 = random.below(2) === 0;
  const tos = random.pick([0, 0, 1, 2, 3]);
  if (random.below(3) === 0) {
    const segmentBytes = mtuBytes - 60 - random.below(1000);
    const payload = random.bytes(segmentBytes * (1 + random.below(40)) + 1);
    return superPacket(payload, segmentBytes, { to, v4, tos, udp: random.below(3) === 0 });
  }
  const packet = plain(to, random.pick([60, 61, mtuBytes - 1, mtuBytes]), tos, v4);
  return { packet, virtio: new Uint8Array(VNET_BYTES), segments: [packet] };
}

t.test(
  'transmit: a full packet at an MTU that is no multiple of 4 is sealed in place',
  async (t) => {
    for (const [mtuBytes, runs] of [
      [1421, ['1x1453', '1x1453', '1x1453']],
      [1422, ['1x1454', '1x1454', '1x1454']],
      [1500, ['3x1532']],
    ] as const) {
      const p = make({ mtuBytes });
      p.addPeer(1);
      const keypair = p.keypair(1);
      const packets = Array.from({ length: 3 }, () => plain(1, mtuBytes));
      p.tunIn(...packets.map((packet) => ({ packet })));
      t.equal(fault(p.runs, keypair, packets, mtuBytes), undefined, `MTU ${mtuBytes}`);
      t.same(sizes(p.runs), runs);
    }
  },
);

t.test(
  'transmit: after small packets several are read at once, after large ones one',
  async (t) => {
    const p = make();
    p.addPeer(1);
    p.keypair(1);
    const table = [
      ['one', [100], [1, TUN_READS]],
      ['three', [100, 100, 100], [TUN_READS]],
      ['many', Array.from({ length: TUN_READS + 4 }, () => 100), [TUN_READS, TUN_READS]],
      ['a large one between', [100, 100, 5000, 100, 100, 100, 100], [TUN_READS]],
      ['large ones', [5000, 5000, 5000], [TUN_READS]],
      ['more of them', [5000, 5000, 5000], [1, 1, 1, 1]],
      ['a small one again', [5000, 100], [1, 1, TUN_READS]],
    ] as const;
    for (const [name, lengths, reads] of table) {
      p.reads.splice(0);
      p.runs.splice(0);
      p.tunIn(...lengths.map((length) => ({ packet: plain(1, length) })));
      t.same(p.reads, reads, name);
      const sent = p.runs.reduce((sum, { datagrams }) => sum + datagrams.length, 0);
      t.equal(sent, lengths.length, `${name}: all of them go`);
    }
  },
);

t.test('transmit: a checksum that the kernel left open is completed', async (t) => {
  const p = make();
  p.addPeer(1);
  const keypair = p.keypair(1);
  const whole = udpPacket(addresses(1, true), [1, 2], new Uint8Array(101).fill(7));
  const packet = whole.slice();
  writeBe16(packet, 26, pseudoSum(packet, 20, UDP));
  const virtio = new Uint8Array(VNET_BYTES);
  virtio.set([1, 0, 0, 0, 0, 0, 20, 0, 6, 0]);
  p.tunIn({ packet, virtio });
  t.equal(fault(p.runs, keypair, [whole], 1420), undefined);
});

t.test('transmit: packets wait for a keypair, so many, and the oldest goes first', async (t) => {
  const p = make();
  p.addPeer(1);
  const packets = Array.from({ length: 130 }, (_, i) => plain(1, 100 + i));
  p.tunIn(...packets.map((packet) => ({ packet })));
  t.equal(p.eventsOf('handshake-wanted').length, 1, 'a handshake is asked for once');
  t.same(p.report().drops, { 'out: waiting packets full': 2 });
  const keypair = p.keypair(1);
  t.equal(p.runs.flatMap(({ datagrams }) => datagrams).length, 128);
  const [first] = must(p.runs[0]).datagrams;
  t.ok(
    equalBytes(open(must(first), keypair, 0).subarray(0, 102), must(packets[2])),
    'from the third',
  );
});

t.test('transmit: waiting packets are bounded in bytes over all peers', async (t) => {
  const p = make({ mtuBytes: 65_535 });
  for (const peer of [1, 2]) p.addPeer(peer);
  const most = Math.floor((4 * 1024 * 1024) / 65_000);
  p.tunIn(...Array.from({ length: most + 3 }, () => ({ packet: plain(1, 65_000) })));
  t.same(p.report().drops, { 'out: waiting packets full': 3 });
  p.tunIn({ packet: plain(2, 65_000) });
  t.same(p.report().drops, { 'out: waiting packets full': 4 }, 'another finds no room');
  p.plane.apply({ type: 'give-up', peer: 1 });
  t.equal(p.report().drops['out: handshake given up'], most);
  p.runs.splice(0);
  p.plane.apply({ type: 'keypair', slot: 1, keypair: p.writeKeypair(2, 5).slot, as: 'current' });
  t.same(sizes(p.runs), ['1x32'], 'who initiated confirms the keypair, though nothing was left');
});

t.test('transmit: a super-packet waits as its segments', async (t) => {
  const p = make();
  p.addPeer(1);
  const { segments, ...given } = superPacket(seeded(3).bytes(13_001), 1300);
  p.tunIn(given);
  t.same(p.runs, []);
  const keypair = p.writeKeypair(1, 0);
  p.plane.apply({ type: 'keypair', slot: 0, keypair: 0, as: 'current' });
  t.equal(fault(p.runs, keypair, segments, 1420, 0), undefined);
});

t.test('transmit: each packet that cannot go has its reason', async (t) => {
  const p = make();
  for (const peer of [1, 2]) p.addPeer(peer);
  p.tunIn({ packet: plain(3, 100) }, { packet: plain(3, 100, 0, false) });
  t.same(p.report().drops, { 'out: no peer for this address': 2 });
  p.tunIn({ packet: Uint8Array.of(0x45, 0) }, { packet: new Uint8Array(100) });
  t.equal(p.report().drops['out: not an IP packet'], 2);
  p.keypair(1);
  p.plane.apply({ type: 'endpoint', slot: 0, sockaddr: new Uint8Array(28) });
  p.tunIn({ packet: plain(1, 100) });
  t.equal(p.report().drops['out: no endpoint'], 1);
  p.plane.apply({ type: 'endpoint', slot: 0, sockaddr: sockaddrOf(1) });
  p.plane.useSockets(null, null);
  p.tunIn({ packet: plain(1, 100) });
  t.equal(p.report().drops['out: no endpoint'], 2, 'without a socket as well');
  p.tunIn({ packet: plain(2, 100) });
  p.plane.apply({ type: 'deactivate', peer: 2, slot: 1 });
  p.plane.apply({ type: 'forget', peer: 2 });
  t.equal(p.report().drops['out: peer removed'], 1);
  p.tunIn({ packet: plain(2, 100) });
  t.equal(
    p.report().drops['out: no peer for this address'],
    3,
    'a route that was just used is gone',
  );
  t.same(p.runs, []);
});
