/**
 * What a kernel with offloads writes to a TUN device, what it stands for, and a judge of the runs that the
 * transmit loop makes of it. Peer n owns 10.0.0.n and fd00::n, as in plane-on-arena.ts.
 *
 * Sources: virtio 1.2, 5.1.6; the WireGuard paper, 5.4.6; udp(7), UDP_SEGMENT.
 */

import { equalBytes } from '../../../src/base/bytes.ts';
import { pseudoSum, writeBe16 } from '../../twins/checksum.ts';
import { type IpFields, ipPacket, TCP, tcpPacket, UDP, udpPacket } from '../../twins/packet.ts';
import { cut } from '../../twins/segment.ts';
import type { Run, TestKeypair } from './plane-on-arena.ts';
import { open, VNET_BYTES } from './plane-on-arena.ts';

const TSO4 = 1;
const TSO6 = 4;
const USO = 5;
const OVERHEAD = 32;
const MOST_DATAGRAMS = 64;
const MOST_BYTES = 65_507;
/** The keepalive that confirmed the keypair took 0. */
const FIRST_COUNTER = 1;

export const addresses = (to: number, v4: boolean): Pick<IpFields, 'source' | 'target'> =>
  v4
    ? { source: Uint8Array.of(10, 0, 0, 99), target: Uint8Array.of(10, 0, 0, to) }
    : { source: fd00(99), target: fd00(to) };

function fd00(last: number): Uint8Array {
  const address = new Uint8Array(16);
  address[0] = 0xfd;
  address[15] = last;
  return address;
}

/** A packet of a protocol that nobody looks into, of `bytes` in all. */
export function plain(to: number, bytes: number, tos = 0, v4 = true): Uint8Array {
  return ipPacket({ ...addresses(to, v4), tos }, 253, new Uint8Array(bytes - (v4 ? 20 : 40)));
}

export interface SuperOptions {
  readonly to?: number;
  readonly v4?: boolean;
  readonly udp?: boolean;
  readonly tos?: number;
}

export interface SuperPacket {
  readonly packet: Uint8Array;
  readonly virtio: Uint8Array;
  /** The packets that it stands for. */
  readonly segments: readonly Uint8Array[];
}

/** TCP, or UDP, whose payload is to be cut by `segmentBytes`. */
export function superPacket(
  payload: Uint8Array,
  segmentBytes: number,
  options: SuperOptions = {},
): SuperPacket {
  const { to = 1, v4 = true, udp = false, tos = 0 } = options;
  const ip = { ...addresses(to, v4), tos };
  const protocol = udp ? UDP : TCP;
  const packet = udp
    ? udpPacket(ip, [1000, 2000], payload)
    : tcpPacket(ip, { ports: [1000, 2000], sequence: 0xffff_f000, flags: 0x18 }, payload);
  const ipBytes = v4 ? 20 : 40;
  const headerBytes = ipBytes + (udp ? 8 : 20);
  const fieldAt = udp ? 6 : 16;
  writeBe16(packet, ipBytes + fieldAt, pseudoSum(packet, ipBytes, protocol));
  const virtio = new Uint8Array(VNET_BYTES);
  virtio.set([1, udp ? USO : v4 ? TSO4 : TSO6]);
  const view = new DataView(virtio.buffer);
  for (const [at, value] of [headerBytes, segmentBytes, ipBytes, fieldAt].entries())
    view.setUint16(2 + 2 * at, value, true);
  const segments = cut(packet, { ipBytes, headerBytes, segmentBytes, protocol });
  return { packet, virtio, segments };
}

/** Runs as `datagrams x bytes of each`. */
export const sizes = (runs: readonly Run[]): string[] =>
  runs.map(({ datagrams, segmentBytes }) => `${datagrams.length}x${segmentBytes}`);

/** What is wrong with the datagrams, as the carriers of `packets` in order, if anything. */
export function fault(
  runs: readonly Run[],
  keypair: TestKeypair,
  packets: readonly Uint8Array[],
  mtuBytes: number,
  firstCounter: number = FIRST_COUNTER,
): string | undefined {
  let counter = firstCounter;
  for (const [r, { datagrams, bytes, segmentBytes }] of runs.entries()) {
    if (datagrams.length > MOST_DATAGRAMS) return `run ${r}: ${datagrams.length} datagrams`;
    if (bytes > MOST_BYTES) return `run ${r}: ${bytes} bytes`;
    for (const [i, datagram] of datagrams.entries()) {
      const packet = packets[counter - firstCounter];
      if (packet === undefined) return `datagram ${counter}: one too many`;
      if (i < datagrams.length - 1 && datagram.length !== segmentBytes) return `run ${r}: short`;
      const padded = Math.ceil(packet.length / 16) * 16;
      const wanted = OVERHEAD + Math.max(packet.length, Math.min(padded, mtuBytes));
      if (datagram.length !== wanted) return `datagram ${counter}: ${datagram.length} bytes`;
      const plaintext = open(datagram, keypair, counter);
      if (!equalBytes(plaintext.subarray(0, packet.length), packet))
        return `datagram ${counter}: not the packet`;
      if (plaintext.subarray(packet.length).some((byte) => byte !== 0))
        return `datagram ${counter}: padding`;
      counter++;
    }
  }
  const count = counter - firstCounter;
  return count === packets.length ? undefined : `${count} of ${packets.length} datagrams`;
}
