import t from 'tap';
import { equalBytes } from '../../../src/base/bytes.ts';
import { must } from '../../must.ts';
import { type Seeded, seeded } from '../../seeded.ts';
import { be16, complete, pseudoSum, writeBe16 } from '../../twins/checksum.ts';
import { sameButForIdentification, trains } from '../../twins/gro.ts';
import { type IpFields, tcpPacket, udpPacket } from '../../twins/packet.ts';
import { cut } from '../../twins/segment.ts';
import { ARENA_BASE, gather, kernelsOnArena } from './kernels-on-arena.ts';

const { kernels, arena } = await kernelsOnArena();
const { layout, u8 } = arena;
const VNET = 10;

/** Offers the packets as the receiving loop does; what goes to the device, write by write. */
function write(packets: readonly Uint8Array[], uso = true): Uint8Array[] {
  const places = place(packets);
  const written: Uint8Array[] = [];
  const finish = (): void => {
    const count = kernels.groFinish();
    if (count > 0) written.push(gather(arena, count));
  };
  kernels.groStart(layout.groScratch, layout.iovecs, layout.vnet, ARENA_BASE, uso);
  for (const [i, packet] of packets.entries()) {
    const at = must(places[i]);
    if (kernels.groAdd(at, packet.length)) continue;
    finish();
    if (!kernels.groAdd(at, packet.length)) throw new Error('not taken as the pending one');
  }
  finish();
  if (
    packets.some(
      (packet, i) => !equalBytes(u8.slice(places[i], must(places[i]) + packet.length), packet),
    )
  )
    throw new Error('a packet was written to');
  return written;
}

function place(packets: readonly Uint8Array[]): number[] {
  let at = layout.rxOut;
  return packets.map((packet) => {
    const here = at;
    u8.set(packet, here);
    at = (at + packet.length + 3 + 4) & ~3;
    return here;
  });
}

/** The packets that the kernel will see in what was written, or why the write would be wrong. */
function taken(write: Uint8Array): Uint8Array[] | string {
  const virtio = new DataView(write.buffer, write.byteOffset, VNET);
  const packet = write.subarray(VNET);
  if (write.subarray(0, VNET).every((byte) => byte === 0)) return [packet];
  const v4 = packet[0] === 0x45;
  const ipBytes = v4 ? 20 : 40;
  const protocol = must(packet[v4 ? 9 : 6]);
  const udp = protocol === 17;
  const headerBytes = ipBytes + (udp ? 8 : (must(packet[ipBytes + 12]) >> 4) * 4);
  const segmentBytes = virtio.getUint16(4, true);
  const told = [
    virtio.getUint8(0),
    virtio.getUint8(1),
    ...[2, 6, 8].map((at) => virtio.getUint16(at, true)),
  ];
  const wanted = [1, udp ? 5 : v4 ? 1 : 4, headerBytes, ipBytes, udp ? 6 : 16];
  if (told.join() !== wanted.join()) return `virtio header ${told} instead of ${wanted}`;
  const lengthField = v4 ? be16(packet, 2) : be16(packet, 4) + 40;
  if (lengthField !== packet.length) return 'IP length';
  if (udp && be16(packet, ipBytes + 4) !== packet.length - ipBytes) return 'UDP length';
  if (be16(packet, ipBytes + (udp ? 6 : 16)) !== pseudoSum(packet, ipBytes, protocol))
    return 'not the sum of the pseudo-header';
  return cut(packet, { ipBytes, headerBytes, segmentBytes, protocol });
}

/** What is wrong with the writes for these packets, if anything. */
function fault(packets: readonly Uint8Array[], uso: boolean): string | undefined {
  const written = write(packets, uso);
  const expected = trains(packets, uso);
  for (const [i, train] of expected.entries()) {
    const got = written[i] === undefined ? 'missing' : taken(written[i]);
    if (typeof got === 'string') return `write ${i}: ${got}`;
    if (got.length !== train.length)
      return `write ${i}: ${got.length} packets, ${train.length} may be joined`;
    const same =
      train.length === 1
        ? equalBytes(must(got[0]), must(train[0]))
        : sameButForIdentification(got, train);
    if (!same) return `write ${i}: not the packets that came`;
  }
  return written.length === expected.length ? undefined : 'more writes than packets';
}

t.test('gro: a stream cut by segment is joined to as few writes as the limits allow', async (t) => {
  const random = seeded(1);
  for (const v4 of [true, false])
    for (const udp of [true, false])
      for (const segmentBytes of [1368, 1360, 500, 1]) {
        const payload = random.bytes(Math.min(segmentBytes * 140, 60_000));
        const packets = stream(random, { v4, udp, segmentBytes, payload });
        const name = `IPv${v4 ? 4 : 6} ${udp ? 'UDP' : 'TCP'} of ${segmentBytes}`;
        t.equal(fault(packets, true), undefined, name);
        t.equal(write(packets).length, packets.length > 128 ? 2 : 1, `${name}: writes`);
      }
});

/** Packets of one flow, cut by the kernel under test. */
function stream(
  random: Seeded,
  {
    v4,
    udp,
    segmentBytes,
    payload,
  }: { v4: boolean; udp: boolean; segmentBytes: number; payload: Uint8Array },
): Uint8Array[] {
  const ip = {
    source: random.bytes(v4 ? 4 : 16),
    target: random.bytes(v4 ? 4 : 16),
    dontFragment: random.below(2) === 0,
    id: 65_500,
  };
  const options = random.bytes(12);
  const sequence = 2 ** 32 - 2000;
  const whole = udp
    ? udpPacket(ip, [1, 2], payload)
    : tcpPacket(ip, { ports: [1, 2], sequence, options, flags: 0x18 }, payload);
  const ipBytes = v4 ? 20 : 40;
  const headerBytes = whole.length - payload.length;
  u8.set(whole, layout.tunRead);
  const packets: Uint8Array[] = [];
  for (let at = 0; at < payload.length; at += segmentBytes) {
    const bytes = Math.min(segmentBytes, payload.length - at);
    const last = at + bytes === payload.length;
    kernels.segment(
      layout.txOut,
      layout.tunRead,
      ipBytes,
      headerBytes,
      at,
      bytes,
      packets.length,
      last,
      udp,
    );
    packets.push(u8.slice(layout.txOut, layout.txOut + headerBytes + bytes));
  }
  return packets;
}

t.test(
  'gro: any mix of packets, whole or damaged, is joined where that loses nothing, and only there',
  async (t) => {
    const random = seeded(2);
    let joined = 0;
    let packets = 0;
    for (let round = 0; round < 6000; round++) {
      const run = anyRun(random);
      const uso = random.below(4) > 0;
      const wrong = fault(run, uso);
      if (wrong !== undefined) return t.fail(`round ${round}: ${wrong}`);
      packets += run.length;
      joined += run.length - trains(run, uso).length;
    }
    return t.ok(joined > packets / 5, `${packets} packets, ${joined} joined`);
  },
);

function anyRun(random: Seeded): Uint8Array[] {
  const flow = {
    v4: random.below(2) === 0,
    udp: random.below(3) === 0,
    sequence: random.below(2 ** 32),
    id: random.below(65_536),
    idStep: random.pick([0, 1, 1, 1, 2]),
    dontFragment: random.below(3) > 0,
    options: random.bytes(random.pick([0, 12])),
    size: random.pick([1, 2, 3, 50, 100]),
  };
  const addresses = [random.bytes(16), random.bytes(16)] as const;
  const rarely = (usual: number, else_: number): number => (random.below(25) === 0 ? else_ : usual);
  return Array.from({ length: 1 + random.below(12) }, () => {
    const ip: IpFields = {
      source: addresses[0].subarray(0, flow.v4 ? 4 : 16),
      target: addresses[1].subarray(0, flow.v4 ? 4 : 16),
      id: rarely(flow.id, 77),
      dontFragment: random.below(25) === 0 ? !flow.dontFragment : flow.dontFragment,
      ttl: rarely(64, 63),
      tos: rarely(0, 3),
    };
    const payload = random.bytes(rarely(flow.size, random.below(flow.size + 2)));
    const ports = [rarely(1, 3), rarely(2, 3)] as const;
    const tcp = {
      ports,
      sequence: rarely(flow.sequence, flow.sequence + 1),
      acknowledgement: rarely(5, 6),
      flags: rarely(0x10, random.pick([0x18, 0x18, 0x11, 0x30, 0x90, 0x50, 0x12])),
      window: rarely(9, 10),
      options: flow.options,
    };
    const packet = flow.udp ? udpPacket(ip, ports, payload) : tcpPacket(ip, tcp, payload);
    flow.id = (flow.id + flow.idStep) & 0xffff;
    flow.sequence = (tcp.sequence + payload.length) >>> 0;
    if (random.below(25) === 0) packet[random.below(packet.length)] = random.below(256);
    if (!flow.udp && random.below(25) === 0) urgent(packet);
    return random.below(40) === 0 ? packet.subarray(0, random.below(packet.length) + 1) : packet;
  });
}

t.test('gro: a packet with a bad checksum passes alone and as it came', async (t) => {
  const random = seeded(3);
  const packets = stream(random, {
    v4: true,
    udp: false,
    segmentBytes: 100,
    payload: random.bytes(500),
  });
  for (const bad of packets.keys()) {
    const damaged = packets.map((packet) => packet.slice());
    must(damaged[bad])[60] = (must(damaged[bad]?.[60]) + 1) & 0xff;
    const written = write(damaged);
    const alone = written.find((one) => equalBytes(one.subarray(VNET), must(damaged[bad])));
    t.ok(
      alone?.subarray(0, VNET).every((byte) => byte === 0),
      `packet ${bad}`,
    );
  }
});

/** Sets TCP's urgent pointer, checksum kept right: no field may differ unseen. */
function urgent(packet: Uint8Array): void {
  const ipBytes = packet[0] === 0x45 ? 20 : 40;
  writeBe16(packet, ipBytes + 18, 9);
  complete(packet, ipBytes, 6, ipBytes + 16);
}
