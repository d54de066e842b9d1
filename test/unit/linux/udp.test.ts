import t from 'tap';
import { sockaddr } from '../../../src/base/endpoint.ts';
import type { Native } from '../../../src/linux/ffi.ts';
import { runBatch } from '../../../src/linux/ip.ts';
import { DATAGRAM_MAX, openUdp } from '../../../src/linux/udp-sockets.ts';
import { seeded } from '../../seeded.ts';
import { ownNetwork } from './own-network.ts';
import type { Datagram, Pair } from './udp-pair.ts';
import {
  arena,
  EAGAIN,
  hex,
  loopback,
  native,
  pair,
  receiveAll,
  sendSome,
  textOf,
} from './udp-pair.ts';

const skip = await ownNetwork(native);
const EIO = 5;
const EINVAL = 22;
const ENETUNREACH = 101;

const { txOut, groScratch } = arena.layout;
const { u8, u16, u32 } = arena;

for (const family of [4, 6] as const)
  for (const offload of [true, false])
    t.test(
      `udp: IPv${family} ${offload ? 'with' : 'without'} GSO and GRO: each datagram arrives, in order, with its ECN bits`,
      { skip },
      async (t) => {
        using sockets = pair(family, offload);
        const random = seeded(family);
        t.equal(sockets.sender.counters.gso, offload);
        let datagrams = 0;
        for (let round = 0; round < 100; round++) {
          // Small ones make more datagrams of a flush than one call takes.
          const sent = sendSome(random, sockets, round % 2 === 0 ? 1452 : 60);
          const received = receiveAll(sockets);
          if (!same(sent, received)) return t.same(received, sent, `round ${round}`);
          datagrams += sent.length;
        }
        t.equal(sockets.sender.counters.refused.size, 0);
        return t.comment(`${datagrams} datagrams, ${sockets.sender.counters.sendCalls} calls`);
      },
    );

t.test(
  'udp: a device that cannot checksum turns GSO off, and nothing is lost',
  { skip },
  async (t) => {
    for (const family of [4, 6] as const) {
      using sockets = pair(family, true, withoutGso(EIO));
      const random = seeded(3);
      for (let round = 0; round < 20; round++)
        t.ok(same(sendSome(random, sockets), receiveAll(sockets)), `round ${round}`);
      t.equal(sockets.sender.counters.gso, false);
      t.equal(sockets.sender.counters.refused.size, 0);
    }
  },
);

t.test(
  'udp: a kernel that says EINVAL to each super-datagram is believed in the end',
  { skip },
  async (t) => {
    using sockets = pair(4, true, withoutGso(EINVAL));
    const random = seeded(4);
    let kept = 0;
    for (let round = 0; sockets.sender.counters.gso && round < 20; round++, kept++)
      t.ok(same(sendSome(random, sockets), receiveAll(sockets)), `round ${round}`);
    t.equal(sockets.sender.counters.gso, false);
    t.ok(kept > 1, 'but not at the first');
  },
);

t.test(
  'udp: datagrams longer than the path go in fragments, and GSO stays on',
  { skip },
  async (t) => {
    await runBatch([['link', 'set', 'dev', 'lo', 'mtu', '1280']]);
    using sockets = pair(4, true);
    const sent = sendRun(sockets, 1400, 5);
    t.same(receiveAll(sockets), sent);
    t.equal(sockets.sender.counters.gso, true);
    t.same(sendRun(sockets, 1200, 5), receiveAll(sockets));
    await runBatch([['link', 'set', 'dev', 'lo', 'mtu', '65536']]);
  },
);

t.test('udp: the kernel may take fewer messages than it was handed', { skip }, async (t) => {
  const partial = {
    ...native,
    sendmmsg: (fd: number, messages: number, count: number, flags: number) =>
      native.sendmmsg(fd, messages, Math.ceil(count / 3), flags),
  };
  for (const offload of [true, false]) {
    using sockets = pair(6, offload, partial);
    const random = seeded(5);
    for (let round = 0; round < 20; round++)
      t.ok(same(sendSome(random, sockets), receiveAll(sockets)), `round ${round}`);
  }
});

t.test(
  'udp: a full send buffer is waited for once, then its datagrams are counted',
  { skip },
  async (t) => {
    let [polls, full] = [0, 1];
    const busy = (call: () => number): number => (full-- > 0 ? -EAGAIN : call());
    const filling = {
      ...native,
      sendmsg: (fd: number, message: number, flags: number) =>
        busy(() => native.sendmsg(fd, message, flags)),
      poll: (pollfds: number, count: number, timeoutMs: number) => {
        polls++;
        return native.poll(pollfds, count, timeoutMs);
      },
    };
    using sockets = pair(4, true, filling);
    t.same(sendRun(sockets, 100, 3), receiveAll(sockets));
    t.equal(polls, 1);
    t.equal(sockets.sender.counters.refused.size, 0);
    full = 1000;
    sendRun(sockets, 100, 3);
    t.same(receiveAll(sockets), []);
    t.equal(polls, 2);
    t.same([...sockets.sender.counters.refused], [[EAGAIN, 3]]);
  },
);

t.test('udp: no route to one peer is counted, and the others get theirs', { skip }, async (t) => {
  using sockets = pair(4, true);
  const nowhere = groScratch + 64;
  u8.set(sockaddr({ address: Uint8Array.of(203, 0, 113, 1), port: 9, scope: 0 }), nowhere);
  u8.set(seeded(6).bytes(1000), txOut);
  sockets.sender.send(txOut, 300, 100, sockets.target, 0);
  sockets.sender.send(txOut, 300, 100, nowhere, 0);
  sockets.sender.send(txOut, 100, 100, sockets.target, 1);
  sockets.sender.flush();
  t.equal(receiveAll(sockets).length, 4);
  t.same([...sockets.sender.counters.refused], [[ENETUNREACH, 3]]);
  t.equal(sockets.sender.counters.gso, true);
});

t.test(
  'udp: both families have one port, and a taken one is refused by name',
  { skip },
  async (t) => {
    const first = openUdp(native, { port: 0, mark: 0, offload: true });
    t.ok(first.port > 0 && first.udp4 && first.udp6);
    for (const absent of [2, 10]) {
      const taking = lacking(absent);
      t.throws(() => openUdp(taking, { port: first.port, mark: 0, offload: true }), {
        name: 'NetError',
        code: 'EADDRINUSE',
      });
      const alone = openUdp(taking, { port: 0, mark: 0, offload: true });
      t.same([alone.udp4 === undefined, alone.udp6 === undefined], [absent === 2, absent === 10]);
      t.ok(alone.port > 0);
      alone.close();
    }
    first.close();
    first.close();
    const again = openUdp(native, { port: first.port, mark: 5, offload: false });
    t.equal(again.port, first.port);
    again.setMark(0);
    again.close();
  },
);

t.test('udp: a chosen port whose IPv6 half is taken is not kept', { skip }, async (t) => {
  let [refusals, open] = [3, 0];
  const unlucky = {
    ...native,
    socket: (family: number, type: number, protocol: number) => {
      open++;
      return native.socket(family, type, protocol);
    },
    close: (fd: number) => {
      open--;
      return native.close(fd);
    },
    bind: (fd: number, name: number, bytes: number) =>
      bytes === 28 && refusals-- > 0 ? -98 : native.bind(fd, name, bytes),
  };
  const sockets = openUdp(unlucky, { port: 0, mark: 0, offload: true });
  t.equal(open, 2, 'sockets of the tries before are closed');
  sockets.close();
  t.equal(open, 0);
});

t.test('udp: the main thread sends single datagrams', { skip }, async (t) => {
  for (const family of [4, 6] as const) {
    using sockets = pair(family, true);
    const datagram = seeded(7).bytes(family === 4 ? 148 : DATAGRAM_MAX);
    t.equal(sockets.from.sendTo(loopback(family, sockets.to.port), datagram), 0);
    t.same(receiveAll(sockets), [{ text: hex(datagram), ecn: 0 }]);
    t.equal(sockets.from.sendTo(new Uint8Array(28), datagram) < 0, true);
  }
});

function sendRun({ sender, target }: Pair, segment: number, count: number): Datagram[] {
  u8.set(seeded(segment).bytes(segment * count), txOut);
  sender.send(txOut, segment * count, segment, target, 2);
  sender.flush();
  return Array.from({ length: count }, (_, i) => ({
    text: textOf(txOut + i * segment, segment),
    ecn: 2,
  }));
}

function same(a: readonly Datagram[], b: readonly Datagram[]): boolean {
  return (
    a.length === b.length && a.every(({ text, ecn }, i) => text === b[i]?.text && ecn === b[i].ecn)
  );
}

/** A kernel that refuses every message with UDP_SEGMENT, and sends those before it. */
function withoutGso(errno: number): Native {
  const base = native.addressOf(arena.memory.buffer);
  const segmented = (message: number): boolean => {
    const at = message - base;
    const control = (u32[(at + 32) >> 2] as number) - (base >>> 0);
    return (u32[(at + 40) >> 2] as number) > 0 && u16[(control + 12) >> 1] === 103;
  };
  return {
    ...native,
    sendmsg: (fd, message, flags) =>
      segmented(message) ? -errno : native.sendmsg(fd, message, flags),
    sendmmsg: (fd, messages, count, flags) => {
      let good = 0;
      while (good < count && !segmented(messages + 64 * good)) good++;
      return good === 0 ? -errno : native.sendmmsg(fd, messages, good, flags);
    },
  };
}

function lacking(absent: number): Native {
  return {
    ...native,
    socket: (family, type, protocol) =>
      family === absent ? -97 : native.socket(family, type, protocol),
  };
}
