import { readFileSync } from 'node:fs';
import t from 'tap';
import { kernelsWasm } from '../../../scripts/kernels.ts';
import { equalBytes } from '../../../src/base/bytes.ts';
import { WINDOW_BYTES } from '../../../src/node/dataplane/arena.ts';
import { loadKernels } from '../../../src/node/dataplane/kernels.ts';
import { must } from '../../must.ts';
import { seeded } from '../../seeded.ts';
import { onesSum, pseudoSum, writeBe16 } from '../../twins/checksum.ts';
import { checksumHolds, tcpPacket, udpPacket } from '../../twins/packet.ts';
import { ReplayTwin } from '../../twins/replay.ts';
import { cut } from '../../twins/segment.ts';
import { kernelsOnArena } from './kernels-on-arena.ts';

const { kernels, arena } = await kernelsOnArena();
const { layout, u8 } = arena;
const swap = (value: number): number => ((value & 0xff) << 8) | (value >> 8);

t.test('checksum: RFC 1071 section 3, its own example', async (t) => {
  u8.set([0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7], layout.txOut);
  t.equal(swap(kernels.checksum(layout.txOut, 8, 0)), 0xddf2);
});

t.test('checksum: any bytes, length and place give what plain addition gives', async (t) => {
  const random = seeded(1);
  for (let round = 0; round < 3000; round++) {
    const bytes =
      random.below(4) === 0
        ? new Uint8Array(random.below(3000)).fill(0xff)
        : random.bytes(random.below(3000));
    const at = layout.txOut + random.below(64);
    const initial = random.below(65_536);
    u8.set(bytes, at);
    const sum = kernels.checksum(at, bytes.length, initial);
    // 0 and 0xffff are the same number.
    if (sum % 0xffff !== swap(onesSum(bytes, swap(initial))) % 0xffff)
      return t.fail(`round ${round}: ${bytes.length} bytes`);
  }
  u8.fill(0xff, layout.rxIn, layout.rxIn + 65_535);
  t.equal(kernels.checksum(layout.rxIn, 65_535, 0xffff), 0xff, '64 KiB of ones do not overflow');
  return t.pass('3,000 strings');
});

t.test('completeChecksum: what the kernel left to the device is filled in', async (t) => {
  const random = seeded(2);
  for (let round = 0; round < 300; round++) {
    const packet = anyUdp(random.bytes(random.below(1400)), random.below(2) === 0);
    const ipBytes = packet.length > 0 && packet[0] === 0x45 ? 20 : 40;
    const whole = packet.slice();
    writeBe16(packet, ipBytes + 6, pseudoSum(packet, ipBytes, 17));
    u8.set(packet, layout.txOut);
    kernels.completeChecksum(layout.txOut, packet.length, ipBytes, 6);
    if (!equalBytes(u8.slice(layout.txOut, layout.txOut + packet.length), whole))
      return t.fail(`round ${round}`);
  }
  u8.fill(7, layout.txOut, layout.txOut + 64);
  for (const [start, offset] of [
    [40, 0],
    [20, 19],
    [65_535, 65_535],
  ] as const)
    kernels.completeChecksum(layout.txOut, 40, start, offset);
  t.ok(
    u8.slice(layout.txOut, layout.txOut + 64).every((byte) => byte === 7),
    'nothing outside',
  );
  return t.pass('300 packets');

  function anyUdp(payload: Uint8Array, v4: boolean): Uint8Array {
    const bytes = v4 ? 4 : 16;
    return udpPacket(
      { source: random.bytes(bytes), target: random.bytes(bytes) },
      [random.below(65_536), random.below(65_536)],
      payload,
    );
  }
});

t.test(
  'segment: each packet of a super-packet is the one that the kernel would make',
  async (t) => {
    const random = seeded(3);
    let packets = 0;
    for (let round = 0; round < 400; round++) {
      const v4 = random.below(2) === 0;
      const udp = random.below(2) === 0;
      const words = (most: number): Uint8Array => random.bytes(4 * random.below(most + 1));
      const ip = {
        source: random.bytes(v4 ? 4 : 16),
        target: random.bytes(v4 ? 4 : 16),
        id: random.below(65_536),
        options: words(10),
      };
      const tcpOptions = words(10);
      const payload = random.bytes(1 + random.below(20_000));
      const ports = [random.below(65_536), random.below(65_536)] as const;
      const tcp = {
        ports,
        sequence: random.below(2 ** 32),
        flags: random.below(256),
        options: tcpOptions,
      };
      const whole = udp ? udpPacket(ip, ports, payload) : tcpPacket(ip, tcp, payload);
      const ipBytes = v4 ? 20 + ip.options.length : 40;
      const headerBytes = ipBytes + (udp ? 8 : 20 + tcpOptions.length);
      const segmentBytes = 1 + random.below(1400) + (payload.length >> 6);
      const wanted = cut(whole, { ipBytes, headerBytes, segmentBytes, protocol: udp ? 17 : 6 });
      u8.set(whole, layout.tunRead + 16);
      for (const [index, segment] of wanted.entries()) {
        const to = layout.txOut + 4 * random.below(64);
        const guard = random.below(256);
        u8[to + segment.length] = guard;
        kernels.segment(
          to,
          layout.tunRead + 16,
          ipBytes,
          headerBytes,
          index * segmentBytes,
          segment.length - headerBytes,
          index,
          index === wanted.length - 1,
          udp,
        );
        if (
          !equalBytes(u8.slice(to, to + segment.length), segment) ||
          u8[to + segment.length] !== guard
        )
          return t.fail(`round ${round}, segment ${index} of ${wanted.length}`);
        if (!checksumHolds(segment, ipBytes, udp ? 17 : 6)) return t.fail(`twin, round ${round}`);
        packets++;
      }
      if (!equalBytes(u8.slice(layout.tunRead + 16, layout.tunRead + 16 + whole.length), whole))
        return t.fail(`round ${round}: the super-packet was written to`);
    }
    return t.ok(packets > 3000, `${packets} packets`);
  },
);

t.test('segment: a UDP checksum that comes out as zero is sent as 0xffff', async (t) => {
  const ip = { source: new Uint8Array(4), target: new Uint8Array(4) };
  const plain = udpPacket(ip, [0, 0], Uint8Array.of(0, 0));
  const payload = plain.slice(26, 28);
  const packet = udpPacket(ip, [0, 0], payload);
  u8.set(packet, layout.tunRead);
  kernels.segment(layout.txOut, layout.tunRead, 20, 28, 0, 2, 0, true, true);
  t.same([...u8.slice(layout.txOut + 26, layout.txOut + 30)], [0xff, 0xff, ...payload]);
});

t.test('replay: each counter is accepted once, whatever the order', async (t) => {
  const random = seeded(4);
  const at = layout.keypairsAt;
  for (let run = 0; run < 60; run++) {
    u8.fill(0, at, at + WINDOW_BYTES);
    u8.fill(0x5a, at + WINDOW_BYTES, at + WINDOW_BYTES + 64);
    const twin = new ReplayTwin();
    let base = random.pick([0n, 0n, 0xffff_0000n, 2n ** 53n, 2n ** 64n - 100_000n]);
    for (let round = 0; round < 1500; round++) {
      const jump = random.pick([0, 1, 31, 32, 33, 100, 16_350, 16_384, 16_417, 40_000]);
      if (random.below(8) === 0) base += BigInt(random.below(jump + 1));
      const back = BigInt(random.below(random.pick([2, 70, 16_353, 16_400, 40_000])));
      const counter = BigInt.asUintN(64, base > back ? base - back : base);
      const [low, high] = [Number(counter & 0xffff_ffffn), Number(counter >> 32n)];
      const accepted = kernels.replayAccept(at, low, high);
      if (accepted !== twin.accept(counter))
        return t.fail(`run ${run}, round ${round}: ${counter} ${accepted}`);
    }
    if (u8.slice(at + WINDOW_BYTES, at + WINDOW_BYTES + 64).some((byte) => byte !== 0x5a))
      return t.fail(`run ${run}: written behind the window`);
  }
  return t.pass('60 windows, 90,000 counters');
});

t.test('replay: exactly 16,352 counters behind the greatest are told apart', async (t) => {
  const at = layout.keypairsAt;
  u8.fill(0, at, at + WINDOW_BYTES);
  const accept = (counter: number): boolean => kernels.replayAccept(at, counter, 0);
  t.ok(accept(20_000));
  t.notOk(accept(20_000), 'the greatest again');
  t.ok(accept(20_000 - 16_352));
  t.notOk(accept(20_000 - 16_352));
  t.notOk(accept(20_000 - 16_353), 'too old');
  t.notOk(kernels.replayAccept(at, 0xffff_ffff, 0xffff_ffff), 'the last counter of all');
  t.ok(kernels.replayAccept(at, 0xffff_fffe, 0xffff_ffff));
  t.notOk(kernels.replayAccept(at, 0xffff_fffe, 0xffff_ffff));
  t.equal(must(arena.u32[(at + 4) >> 2]), 0xffff_ffff, 'greatest + 1, high word');
});

t.test('kernels: a second instance leaves the arena as it is', async (t) => {
  u8.fill(0xa5);
  loadKernels(readFileSync(await kernelsWasm()), arena.memory);
  t.equal(
    u8.findIndex((byte) => byte !== 0xa5),
    -1,
  );
});
