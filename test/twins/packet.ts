/** Packets made field by field, with right checksums, for tests. */

import { concat } from '../../src/base/bytes.ts';
import { complete, onesSum, pseudoSum, writeBe16 } from './checksum.ts';

export interface IpFields {
  /** 4 or 16 bytes; the family. */
  readonly source: Uint8Array;
  readonly target: Uint8Array;
  readonly tos?: number;
  readonly ttl?: number;
  /** IPv4 only. */
  readonly id?: number;
  readonly dontFragment?: boolean;
  /** A multiple of 4 bytes, IPv4 only. */
  readonly options?: Uint8Array;
  /** IPv4: flags and offset, as on the wire, instead of `dontFragment`. */
  readonly position?: number;
  /** IPv6 only: extension headers and the protocol number of the first. */
  readonly extensions?: { readonly first: number; readonly bytes: Uint8Array };
}

export interface TcpFields {
  readonly ports: readonly [source: number, target: number];
  readonly sequence: number;
  readonly acknowledgement?: number;
  readonly flags?: number;
  readonly window?: number;
  /** A multiple of 4 bytes. */
  readonly options?: Uint8Array;
}

export const TCP = 6;
export const UDP = 17;

export function tcpPacket(ip: IpFields, tcp: TcpFields, payload: Uint8Array): Uint8Array {
  const options = tcp.options ?? new Uint8Array(0);
  const header = new Uint8Array(20);
  const view = new DataView(header.buffer);
  view.setUint16(0, tcp.ports[0]);
  view.setUint16(2, tcp.ports[1]);
  view.setUint32(4, tcp.sequence);
  view.setUint32(8, tcp.acknowledgement ?? 0);
  header[12] = ((20 + options.length) / 4) << 4;
  header[13] = tcp.flags ?? 0x10;
  view.setUint16(14, tcp.window ?? 500);
  return withChecksum(ip, TCP, concat(header, options, payload), 16);
}

export function udpPacket(
  ip: IpFields,
  ports: readonly [source: number, target: number],
  payload: Uint8Array,
): Uint8Array {
  const header = new Uint8Array(8);
  writeBe16(header, 0, ports[0]);
  writeBe16(header, 2, ports[1]);
  writeBe16(header, 4, 8 + payload.length);
  return withChecksum(ip, UDP, concat(header, payload), 6);
}

/** An IP packet around any transport bytes; IPv4's header checksum is right. */
export function ipPacket(ip: IpFields, protocol: number, transport: Uint8Array): Uint8Array {
  if (ip.source.length === 16) {
    const extensions = ip.extensions?.bytes ?? new Uint8Array(0);
    const header = new Uint8Array(8);
    header[0] = 0x60 | ((ip.tos ?? 0) >> 4);
    header[1] = ((ip.tos ?? 0) & 15) << 4;
    writeBe16(header, 4, extensions.length + transport.length);
    header[6] = ip.extensions?.first ?? protocol;
    header[7] = ip.ttl ?? 64;
    return concat(header, ip.source, ip.target, extensions, transport);
  }
  const options = ip.options ?? new Uint8Array(0);
  const header = new Uint8Array(12);
  header[0] = 0x40 | (5 + options.length / 4);
  header[1] = ip.tos ?? 0;
  writeBe16(header, 2, 20 + options.length + transport.length);
  writeBe16(header, 4, ip.id ?? 0);
  writeBe16(header, 6, ip.position ?? (ip.dontFragment === false ? 0 : 0x4000));
  header[8] = ip.ttl ?? 64;
  header[9] = protocol;
  const whole = concat(header, ip.source, ip.target, options);
  writeBe16(whole, 10, ~onesSum(whole) & 0xffff);
  return concat(whole, transport);
}

function withChecksum(
  ip: IpFields,
  protocol: number,
  transport: Uint8Array,
  fieldAt: number,
): Uint8Array {
  const packet = ipPacket(ip, protocol, transport);
  const ipBytes = packet.length - transport.length;
  complete(packet, ipBytes, protocol, ipBytes + fieldAt);
  return packet;
}

/** Whether a whole TCP or UDP packet's own checksum holds. */
export function checksumHolds(packet: Uint8Array, ipBytes: number, protocol: number): boolean {
  return onesSum(packet.subarray(ipBytes), pseudoSum(packet, ipBytes, protocol)) === 0xffff;
}
