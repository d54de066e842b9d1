import t from 'tap';
import { concat } from '../../../src/base/bytes.ts';
import { parseIp } from '../../../src/base/ip.ts';
import { prefixOf } from '../../../src/base/prefix.ts';
import type { Rule } from '../../../src/node/dataplane/rules.ts';
import { must } from '../../must.ts';
import { type Seeded, seeded } from '../../seeded.ts';
import { writeBe16 } from '../../twins/checksum.ts';
import { FilterTwin } from '../../twins/filter.ts';
import { type IpFields, ipPacket, tcpPacket, udpPacket } from '../../twins/packet.ts';
import { filterOnArena } from './kernels-on-arena.ts';

const empty = new Uint8Array(0);

t.test('filter: any sequence of packets is judged as the twin does', async (t) => {
  const verdicts = [0, 0, 0, 0];
  for (let run = 0; run < 40; run++) {
    const random = seeded(100 + run);
    const f = await filterOnArena();
    const twin = new FilterTwin();
    const recent: Uint8Array[] = [];
    let previous: { packet: Uint8Array; outgoing: boolean } = { packet: empty, outgoing: false };
    let now = 10_000;
    for (let round = 0; round < 2000; round++) {
      if (random.below(100) === 0) {
        const rules = Array.from({ length: random.below(6) }, () => anyRule(random));
        f.setRules(rules);
        twin.setRules(rules);
      }
      now += random.below(20) === 0 ? random.pick([1, 31, 40, 181, 301, 3000, 7201]) : 0;
      const known = recent.length > 0;
      const way = known ? random.below(4) : 3;
      const outgoing = way < 2 ? (way === 0) === previous.outgoing : random.below(3) === 0;
      const packet =
        way === 0
          ? damaged(random, previous.packet)
          : way === 1
            ? damaged(random, answerTo(previous.packet))
            : anyPacket(random, outgoing, recent);
      if (way === 1 && random.below(3) === 0) recent.push(packet);
      if (recent.length > 20) recent.shift();
      previous = { packet, outgoing };
      if (outgoing) {
        f.out(packet, now);
        twin.out(packet, now);
        continue;
      }
      const verdict = f.in(packet, now);
      const expected = twin.in(packet, now);
      if (verdict !== expected)
        return t.fail(`run ${run}, round ${round}: ${verdict}, not ${expected}: ${packet.toHex()}`);
      verdicts[verdict] = must(verdicts[verdict]) + 1;
    }
    if (f.evicted() > 0) return t.fail(`run ${run}: the twin cannot follow an eviction`);
  }
  return t.ok(
    verdicts.every((count) => count > 1000),
    `each verdict often enough: ${verdicts}`,
  );
});

function anyAddress(random: Seeded, v4: boolean, side: number): Uint8Array {
  const text = v4
    ? `10.${side}.0.${1 + random.below(3)}`
    : `fd00:${side}::1:${1 + random.below(3)}`;
  return must(parseIp(text));
}

function anyRule(random: Seeded): Rule {
  const v4 = random.below(2) === 0;
  const prefix = (side: number): ReturnType<typeof prefixOf> => {
    const address = anyAddress(random, v4, side);
    return prefixOf(
      address,
      random.pick([0, 8, 31, 32, 64, 65, 112, 127, 128].filter((b) => b <= address.length * 8)),
    );
  };
  const firstPort = random.below(4);
  const rule = {
    protocol: random.pick([0, 6, 17, 132, 1, 58, 47]),
    firstPort,
    lastPort: random.pick([firstPort, 65_535]),
  };
  const shape = random.below(5);
  if (shape === 0) return rule;
  if (shape === 1) return { ...rule, source: prefix(1) };
  if (shape === 2) return { ...rule, target: prefix(2) };
  return { ...rule, source: prefix(1), target: prefix(2) };
}

/** From few addresses and ports, so that flows meet; side 1 is theirs, side 2 ours. */
function anyPacket(random: Seeded, outgoing: boolean, recent: Uint8Array[]): Uint8Array {
  const v4 = random.below(2) === 0;
  const [one, two] = [anyAddress(random, v4, 1), anyAddress(random, v4, 2)];
  const fragmented = random.below(6) === 0;
  const ip: IpFields = {
    source: outgoing ? two : one,
    target: outgoing ? one : two,
    id: random.below(3),
    options: random.below(10) === 0 ? random.bytes(8) : empty,
    position: fragmented ? random.pick([0x2000, 0x2000, 1, 2, 3, 0x2002]) : 0x4000,
  };
  let packet = anyTransport(random, ip, v4, recent);
  if (!v4 && (fragmented || random.below(4) === 0)) packet = extended(random, packet, fragmented);
  if (outgoing || random.below(3) === 0) recent.push(packet);
  return damaged(random, packet);
}

/** Mostly the same, sometimes with a header bit changed, made another fragment, or cut off. */
function damaged(random: Seeded, packet: Uint8Array): Uint8Array {
  const own = packet.slice();
  if (own.length < 20) return own;
  const at = random.below(Math.min(own.length, 80));
  if (random.below(6) === 0) own[at] = must(own[at]) ^ (1 << random.below(8));
  if (random.below(8) === 0 && own[0] === 0x45)
    writeBe16(own, 6, random.pick([0, 0x2000, 0x2000, 1, 2, 3, 0x2002]));
  return random.below(20) === 0 ? own.subarray(0, random.below(own.length)) : own;
}

/** The packet turned round: addresses, ports, echo request and reply. */
function answerTo(packet: Uint8Array): Uint8Array {
  const own = packet.slice();
  const v4 = (own[0] ?? 0) >> 4 === 4;
  if (own.length < (v4 ? 20 : 40)) return own;
  const [at, bytes] = v4 ? [12, 4] : [8, 16];
  own.set(packet.subarray(at + bytes, at + 2 * bytes), at);
  own.set(packet.subarray(at, at + bytes), at + bytes);
  const transport = v4 ? (must(own[0]) & 15) * 4 : 40;
  const protocol = own[v4 ? 9 : 6];
  if (own.length < transport + 4) return own;
  if (protocol === 1) own[transport] = must(own[transport]) ^ 8;
  else if (protocol === 58) own[transport] = must(own[transport]) ^ 1;
  else {
    own.copyWithin(transport, transport + 2, transport + 4);
    own.set(packet.subarray(transport, transport + 2), transport + 2);
  }
  return own;
}

function anyTransport(
  random: Seeded,
  ip: IpFields,
  v4: boolean,
  recent: readonly Uint8Array[],
): Uint8Array {
  const ports = [random.below(4), random.below(4)] as const;
  const payload = random.bytes(random.below(12));
  switch (random.below(6)) {
    case 0:
      return tcpPacket(
        ip,
        { ports, sequence: 0, options: random.bytes(4 * random.below(3)) },
        payload,
      );
    case 1:
      return udpPacket(ip, ports, payload);
    case 2:
      return ipPacket(
        ip,
        132,
        concat(Uint8Array.of(0, ports[0], 0, ports[1]), random.bytes(random.below(16))),
      );
    case 3:
      return ipPacket(ip, 47, payload);
    case 4: {
      const type = v4 ? random.pick([8, 0, 8, 0, 13]) : random.pick([128, 129, 128, 129, 135]);
      const icmp = v4 ? 1 : 58;
      return ipPacket(ip, icmp, Uint8Array.of(type, 0, 0, 0, 0, random.below(3), 0, 1));
    }
    default: {
      const quoted = recent.length > 0 ? random.pick(recent) : payload;
      const type = v4 ? random.pick([3, 11, 12, 5]) : random.pick([1, 2, 3, 4, 5]);
      const icmp = v4 ? 1 : 58;
      const shown = quoted.subarray(0, random.pick([28, 48, 100, random.below(60)]));
      const error = concat(Uint8Array.of(type, 0, 0, 0, 0, 0, 0, 0), shown);
      const ours = quoted.length >= 40 && random.below(4) > 0;
      const source = v4 ? quoted.subarray(12, 16) : quoted.subarray(8, 24);
      return ipPacket(ours ? { ...ip, target: source } : ip, icmp, error);
    }
  }
}

/** The same IPv6 packet with extension headers put in. */
function extended(random: Seeded, packet: Uint8Array, fragmented: boolean): Uint8Array {
  const kinds = Array.from({ length: random.pick([0, 1, 1, 2, 3, 8]) }, () =>
    random.pick([0, 43, 60]),
  );
  if (fragmented) kinds.splice(random.below(kinds.length + 1), 0, 44);
  if (random.below(30) === 0) kinds.push(random.pick([44, 135, 139]));
  const transport = must(packet[6]);
  const headers = kinds.map((kind, i) => {
    const header = new Uint8Array(kind === 44 ? 8 : random.pick([8, 8, 16]));
    header[0] = kinds[i + 1] ?? transport;
    if (kind === 44) {
      writeBe16(header, 2, random.pick([0, 1, 1, 8, 9, 16, 17]));
      header[7] = random.below(3);
    } else header[1] = header.length / 8 - 1;
    return header;
  });
  const whole = concat(packet.subarray(0, 40), ...headers, packet.subarray(40));
  whole[6] = kinds[0] ?? transport;
  writeBe16(whole, 4, whole.length - 40);
  return whole;
}
