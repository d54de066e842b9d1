/**
 * TSMP: small messages from node to node inside the tunnel, IP protocol 99.
 *
 *     ping     'p' | data 8                              "does the tunnel carry packets?"
 *     pong     'o' | data 8 | peer API port BE 2 (0 for none)
 *     refusal  '!' and others                            passed over here
 *
 * Source: the open client of the vendor, net/packet; learned from its wire.
 */

import { IPV4_BYTES } from '../../base/ip.ts';

export const TSMP_PROTOCOL = 99;
export const TSMP_DATA_BYTES = 8;

const PING = 0x70;
const PONG = 0x6f;
const IPV4_HEADER = 20;
const IPV6_HEADER = 40;
const HOP_LIMIT = 64;

export interface TsmpMessage {
  readonly type: 'ping' | 'pong';
  /** 4 or 16 bytes. */
  readonly source: Uint8Array;
  readonly target: Uint8Array;
  readonly data: Uint8Array;
}

/** A ping or a pong, else undefined. Options and extension headers are not sent with them, and not read. */
export function readTsmp(packet: Uint8Array): TsmpMessage | undefined {
  const ipv4 = packet[0] === 0x45;
  const header = ipv4 ? IPV4_HEADER : IPV6_HEADER;
  if (!ipv4 && ((packet[0] ?? 0) >> 4 !== 6 || packet[6] !== TSMP_PROTOCOL)) return undefined;
  if (ipv4 && packet[9] !== TSMP_PROTOCOL) return undefined;
  if (packet.length < header + 1 + TSMP_DATA_BYTES) return undefined;
  const kind = packet[header];
  if (kind !== PING && kind !== PONG) return undefined;
  const [from, to] = ipv4 ? [12, 16] : [8, 24];
  const bytes = to - from;
  return {
    type: kind === PING ? 'ping' : 'pong',
    source: packet.slice(from, from + bytes),
    target: packet.slice(to, to + bytes),
    data: packet.slice(header + 1, header + 1 + TSMP_DATA_BYTES),
  };
}

export function writeTsmp({ type, source, target, data }: TsmpMessage): Uint8Array {
  const ipv4 = source.length === IPV4_BYTES;
  const header = ipv4 ? IPV4_HEADER : IPV6_HEADER;
  const bodyBytes = 1 + TSMP_DATA_BYTES + (type === 'pong' ? 2 : 0);
  const packet = new Uint8Array(header + bodyBytes);
  const view = new DataView(packet.buffer);
  packet[0] = ipv4 ? 0x45 : 0x60;
  if (ipv4) {
    view.setUint16(2, packet.length);
    packet[8] = HOP_LIMIT;
    packet[9] = TSMP_PROTOCOL;
  } else {
    view.setUint16(4, bodyBytes);
    packet[6] = TSMP_PROTOCOL;
    packet[7] = HOP_LIMIT;
  }
  const [from, to] = ipv4 ? [12, 16] : [8, 24];
  packet.set(source, from);
  packet.set(target, to);
  if (ipv4) view.setUint16(10, headerChecksum(view));
  packet[header] = type === 'ping' ? PING : PONG;
  packet.set(data, header + 1);
  return packet;
}

/** RFC 1071 over the 20 bytes of an IPv4 header whose checksum field is zero. */
function headerChecksum(view: DataView): number {
  let sum = 0;
  for (let at = 0; at < IPV4_HEADER; at += 2) sum += view.getUint16(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
