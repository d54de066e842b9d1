/**
 * One packet as the TUN device gave it: plain, or a TCP or UDP super-packet that the kernel left to us to
 * split (TSO, USO). Told in segments, so that the one path serves both: a plain packet has one.
 *
 *     virtio_net_hdr, 10 bytes before the packet, host order
 *       0  flags (1: checksum to be completed)   4  segment's payload size
 *       1  type (0 none, 1 TCPv4, 4 TCPv6,       6  where the checksum starts: bytes of the IP header
 *          5 UDP; 0x80: congestion marks)        8  the checksum's place from there
 *       2  header length (not reliable)
 *
 * Source: virtio 1.2, 5.1.6.
 */

import type { Arena } from './arena.ts';
import { VNET_HEADER_BYTES } from './arena.ts';
import type { Kernels } from './ports.ts';

const NEEDS_CHECKSUM = 1;
const GSO_NONE = 0;
const GSO_UDP_L4 = 5;
const GSO_ECN = 0x80;
const UDP_HEADER_BYTES = 8;
const TCP_HEADER_BYTES = 20;

export class SuperPacket {
  readonly #arena: Arena;
  readonly #kernels: Kernels;
  #at = 0;
  #length = 0;
  #ipHeader = 0;
  #headers = 0;
  #segmentPayload = 0;
  #payload = 0;
  #udp = false;

  /** Segments of the packet last read. */
  count = 0;

  constructor(arena: Arena, kernels: Kernels) {
    this.#arena = arena;
    this.#kernels = kernels;
  }

  /** Takes the packet of `length` bytes at `at`, and completes its checksum where it is a plain one. */
  read(at: number, length: number, vnetHeader: boolean): void {
    this.#at = at;
    this.#length = length;
    this.count = 1;
    if (!vnetHeader) return;
    const { u8, u16 } = this.#arena;
    const header = at - VNET_HEADER_BYTES;
    const type = (u8[header + 1] as number) & ~GSO_ECN;
    const start = u16[(header + 6) >> 1] as number;
    if (type === GSO_NONE) {
      if (((u8[header] as number) & NEEDS_CHECKSUM) !== 0)
        this.#kernels.completeChecksum(at, length, start, u16[(header + 8) >> 1] as number);
      return;
    }
    this.#udp = type === GSO_UDP_L4;
    this.#ipHeader = start;
    const offset = (u8[at + start + 12] as number) >> 4;
    this.#headers = start + (this.#udp ? UDP_HEADER_BYTES : Math.max(TCP_HEADER_BYTES, offset * 4));
    this.#segmentPayload = u16[(header + 4) >> 1] as number;
    this.#payload = length - this.#headers;
    if (this.#segmentPayload === 0 || this.#payload <= 0) return;
    this.count = Math.ceil(this.#payload / this.#segmentPayload);
  }

  /** Bytes of segment `index`. */
  bytes(index: number): number {
    if (this.count === 1) return this.#length;
    const from = index * this.#segmentPayload;
    return this.#headers + Math.min(this.#segmentPayload, this.#payload - from);
  }

  /** Writes segment `index`, a whole IP packet, to `to`. */
  write(to: number, index: number): void {
    const at = this.#at;
    if (this.count === 1) {
      this.#kernels.copyPacket(to, at, this.#length);
      return;
    }
    this.#kernels.segment(
      to,
      at,
      this.#ipHeader,
      this.#headers,
      index * this.#segmentPayload,
      this.bytes(index) - this.#headers,
      index,
      index === this.count - 1,
      this.#udp,
    );
  }
}
