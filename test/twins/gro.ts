/**
 * GRO by its definition: a packet joins a train if, and only if, cutting the longer train up again gives all
 * its packets back. Identification may be lost where it carries nothing: with DF, and equal on all.
 */

import { concat, equalBytes } from '../../src/base/bytes.ts';
import { be16, complete, writeBe16 } from './checksum.ts';
import { type Cut, cut } from './segment.ts';

const MOST_SEGMENTS = 128;

/** How the packets are to be written, train by train. */
export function trains(packets: readonly Uint8Array[], uso: boolean): Uint8Array[][] {
  const written: Uint8Array[][] = [];
  for (const packet of packets) {
    const train = written.at(-1);
    if (train && joins([...train, packet], uso)) train.push(packet);
    else written.push([packet]);
  }
  return written;
}

/** Whether these packets may be written as one. */
function joins(packets: readonly Uint8Array[], uso: boolean): boolean {
  const first = packets[0] as Uint8Array;
  const shape = shapeOf(first, uso);
  if (shape === undefined || packets.length > MOST_SEGMENTS) return false;
  if (packets.some((packet) => packet.length <= shape.headerBytes || !shapeOf(packet, uso)))
    return false;
  const whole = concat(
    first.subarray(0, shape.headerBytes),
    ...packets.map((packet) => packet.subarray(shape.headerBytes)),
  );
  if (whole.length > 65_535) return false;
  const flagsAt = shape.ipBytes + 13;
  if (shape.protocol === 6) whole[flagsAt] = packets.at(-1)?.[flagsAt] as number;
  const again = cut(whole, shape);
  return sameButForIdentification(again, packets);
}

/** Undefined where a packet is never joined. */
function shapeOf(packet: Uint8Array, uso: boolean): Cut | undefined {
  const v4 = packet[0] === 0x45;
  if (packet.length < 28 || (!v4 && (packet[0] as number) >> 4 !== 6)) return undefined;
  if (v4 && (be16(packet, 2) !== packet.length || (be16(packet, 6) & 0xbfff) !== 0))
    return undefined;
  if (!v4 && be16(packet, 4) + 40 !== packet.length) return undefined;
  const ipBytes = v4 ? 20 : 40;
  const protocol = packet[v4 ? 9 : 6] as number;
  if (protocol === 17 && uso)
    return shaped(packet, { ipBytes, headerBytes: ipBytes + 8, segmentBytes: 0, protocol });
  if (protocol !== 6 || packet.length < ipBytes + 20) return undefined;
  const offset = (packet[ipBytes + 12] as number) >> 4;
  const flags = be16(packet, ipBytes + 12) & 0xfff;
  if (offset < 5 || (flags !== 0x10 && flags !== 0x18)) return undefined;
  return shaped(packet, { ipBytes, headerBytes: ipBytes + offset * 4, segmentBytes: 0, protocol });
}

function shaped(packet: Uint8Array, shape: Cut): Cut | undefined {
  const segmentBytes = packet.length - shape.headerBytes;
  return segmentBytes > 0 ? { ...shape, segmentBytes } : undefined;
}

/** Compares packets, leaving out identifications that stay the same under DF. */
export function sameButForIdentification(
  again: readonly Uint8Array[],
  packets: readonly Uint8Array[],
): boolean {
  if (again.length !== packets.length) return false;
  const ids = packets.map((packet) => be16(packet, 4));
  const free = packets.every(
    (packet, i) => packet[0] === 0x45 && (be16(packet, 6) & 0x4000) !== 0 && ids[i] === ids[0],
  );
  return again.every((packet, i) => {
    const wanted = packets[i] as Uint8Array;
    if (!free || packet.length !== wanted.length) return equalBytes(packet, wanted);
    const own = packet.slice();
    writeBe16(own, 4, be16(wanted, 4));
    const protocol = own[9] as number;
    complete(own, 20, protocol, 20 + (protocol === 17 ? 6 : 16));
    return equalBytes(own, wanted);
  });
}
