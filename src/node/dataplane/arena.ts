/**
 * The arena: one fixed block of shared memory that holds all that the packet path touches. It is laid out
 * at start and never grows, so that its native address stays true and kernels, system calls and OpenSSL
 * work on it in place. Each field has one writer: W the worker, M the main thread.
 *
 *     peer slot, 192 bytes, one for each *active* peer (idle peers hold none)
 *       0  W endpoint sockaddr 28, family 0 for none
 *      32  W current, 36 W previous, 40 W next: keypair slot + 1, 0 for none
 *      44  W peer number
 *      48  W epoch of `checkAt` for which the main thread was already woken
 *      52  M epoch of `checkAt`
 *      64  W last authenticated packet received      88  W last data sent
 *      72  W last data received                      96  W first data sent since the last receipt, 0 none
 *      80  W last packet sent                       104  W first data received since the last send, 0 none
 *     112  W bytes sent   120  W bytes received   128  M when the main thread will look next
 *     136  W when a path was last asked for       144  M until when the endpoint is trusted (in a mesh)
 *
 *     keypair slot, 2,240 bytes, written by M while no peer slot names it; then only the W fields change
 *       0  M sending key 32    32  M receiving key 32    64  M own index    68  M peer's index
 *      72  M peer slot         76  W 1: rekey asked for, 2: last-minute rekey asked for
 *      80  M created at        88  M initiator's rekey time (never for a responder)
 *      96  W next sending counter
 *     128  W replay window: greatest counter + 1 as two words, 8 unused, 16,384 bits
 *
 * Instants are CLOCK_BOOTTIME milliseconds as float64; counters are exact up to 2^53.
 */

import { SOCKADDR_BYTES } from '../../base/endpoint.ts';

export const PEER = {
  endpoint: 0,
  current: 32,
  previous: 36,
  next: 40,
  number: 44,
  wokenEpoch: 48,
  checkEpoch: 52,
  lastReceived: 64,
  lastDataReceived: 72,
  lastSent: 80,
  lastDataSent: 88,
  unansweredSend: 96,
  unansweredReceive: 104,
  bytesSent: 112,
  bytesReceived: 120,
  checkAt: 128,
  pathAskedAt: 136,
  trustedUntil: 144,
  bytes: 192,
} as const;

export const KEYPAIR = {
  sendKey: 0,
  receiveKey: 32,
  ownIndex: 64,
  peerIndex: 68,
  peerSlot: 72,
  asked: 76,
  createdAt: 80,
  rekeyAt: 88,
  counter: 96,
  window: 128,
  bytes: 2240,
} as const;

/** Bits of the replay window's ring; the last word is being cleared, so 16,352 counters back are told apart. */
export const WINDOW_BITS = 16_384;
export const WINDOW_BYTES: number = 16 + WINDOW_BITS / 8;

/** Keypairs that one peer may hold at once: current, previous, next, and one handshake of our own under way. */
export const KEYPAIRS_PER_PEER = 4;

/** What is no transport data, on its way to the main thread: length 4 | sockaddr 28 | datagram. */
export const RING_ENTRY_BYTES = 2048;
export const RING_ENTRIES = 256;
export const RING_DATAGRAM_AT: number = 4 + SOCKADDR_BYTES;
export const RING_DATAGRAM_MAX: number = RING_ENTRY_BYTES - RING_DATAGRAM_AT;

/** What goes by a relay: length 4 | peer number 4 | unused 8 | datagram. */
export const RELAY_ENTRY_BYTES = 2048;
export const RELAY_ENTRIES = 512;
export const RELAY_DATAGRAM_AT = 16;
/** With 16 bytes to spare: an AEAD may work on those behind a tag, and the next entry has another writer. */
export const RELAY_DATAGRAM_MAX: number = RELAY_ENTRY_BYTES - RELAY_DATAGRAM_AT - 16;

export const RULE_BYTES = 64;
export const FLOW_BYTES = 64;
export const VNET_HEADER_BYTES = 10;

/** Settings read at start. */
export interface Sizes {
  /** A power of two, at most 16,384. */
  readonly activePeers: number;
  /** A power of two. */
  readonly flows: number;
  readonly rules: number;
}

export const DEFAULT_SIZES: Sizes = { activePeers: 1024, flows: 65_536, rules: 4096 };

/** Byte offsets of the regions; each starts at a multiple of 64, with 64 spare bytes before and behind it. */
export interface Layout {
  readonly sizes: Sizes;
  readonly keypairs: number;
  /** Words of each ring, 64 bytes apart, writer's and reader's: flag 0, head 4, tail 8. */
  readonly shared: number;
  readonly ring: number;
  /** Sealed datagrams on their way to the relay link, and those that came by it. */
  readonly relayOut: number;
  readonly relayIn: number;
  /** A source (sources.ts) in the form of a sockaddr. */
  readonly sourceAt: number;
  readonly peersAt: number;
  readonly keypairsAt: number;
  readonly rulesAt: number;
  readonly flowsAt: number;
  /** TUN_READS times TUN_READ_BYTES: virtio header place, then 65,535 bytes of packet at a multiple of 4. */
  readonly tunRead: number;
  readonly txOut: number;
  readonly rxIn: number;
  /** Where a datagram of a joined run goes that does not start at a multiple of 4. */
  readonly rxAligned: number;
  readonly rxOut: number;
  readonly iovecs: number;
  readonly vnet: number;
  readonly groScratch: number;
  readonly filterScratch: number;
  readonly aeadScratch: number;
  /** 64 KiB for each family's message headers and control data. */
  readonly udp4: number;
  readonly udp6: number;
  readonly bytes: number;
}

/** Packets that are read at once; of most places one page is touched at most. */
export const TUN_READS = 16;
export const TUN_READ_BYTES: number = 65_536 + 256;
export const TUN_PACKET_AT = 16;
export const TX_OUT_BYTES: number = 128 * 1024;
export const RX_IN_BYTES = 65_536;
/** Room for the plaintexts of 64 KiB of the smallest datagrams, each with 64 bytes of key block before it. */
export const RX_OUT_BYTES: number = 320 * 1024;
export const UDP_REGION_BYTES: number = 64 * 1024;
export const IOVECS_BYTES: number = 16 * 1024;

export function layOut(sizes: Sizes): Layout {
  let at = 1024;
  const region = (bytes: number): number => {
    const start = at;
    at = (at + bytes + 64 + 63) & ~63;
    return start;
  };
  const keypairs = sizes.activePeers * KEYPAIRS_PER_PEER;
  return {
    sizes,
    keypairs,
    shared: region(3 * 64),
    ring: region(RING_ENTRIES * RING_ENTRY_BYTES),
    relayOut: region(RELAY_ENTRIES * RELAY_ENTRY_BYTES),
    relayIn: region(RELAY_ENTRIES * RELAY_ENTRY_BYTES),
    sourceAt: region(64),
    peersAt: region(sizes.activePeers * PEER.bytes),
    keypairsAt: region(keypairs * KEYPAIR.bytes),
    rulesAt: region(sizes.rules * RULE_BYTES),
    flowsAt: region(sizes.flows * FLOW_BYTES),
    tunRead: region(TUN_READS * TUN_READ_BYTES),
    txOut: region(TX_OUT_BYTES),
    rxIn: region(RX_IN_BYTES + 256),
    rxAligned: region(RX_IN_BYTES + 256),
    rxOut: region(RX_OUT_BYTES),
    iovecs: region(IOVECS_BYTES),
    vnet: region(64),
    groScratch: region(4096),
    filterScratch: region(4096),
    aeadScratch: region(4096),
    udp4: region(UDP_REGION_BYTES),
    udp6: region(UDP_REGION_BYTES),
    bytes: at,
  };
}

/** Where a TUN device's packets go. */
export interface TunPlaces {
  /** The first place. */
  readonly at: number;
  /** From each to the next. */
  readonly strideBytes: number;
  readonly capacityBytes: number;
  readonly count: number;
}

/** Packets stand at a multiple of 4, their virtio header right before them. */
export function tunPlaces({ tunRead }: Layout, vnetHeader: boolean): TunPlaces {
  const header = vnetHeader ? VNET_HEADER_BYTES : 0;
  return {
    at: tunRead + TUN_PACKET_AT - header,
    strideBytes: TUN_READ_BYTES,
    capacityBytes: header + 65_535,
    count: TUN_READS,
  };
}

/** The arena seen as numbers. Words and doubles are addressed by byte offset shifted (`>> 2`, `>> 3`). */
export interface Arena {
  readonly layout: Layout;
  readonly memory: WebAssembly.Memory;
  readonly u8: Uint8Array;
  readonly u16: Uint16Array;
  readonly u32: Uint32Array;
  readonly i32: Int32Array;
  readonly f64: Float64Array;
}

const PAGE_BYTES = 65_536;

export function createArena(sizes: Sizes): Arena {
  const layout = layOut(sizes);
  const pages = Math.ceil(layout.bytes / PAGE_BYTES);
  return viewArena(
    layout,
    new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true }),
  );
}

/** The same arena in another thread. */
export function viewArena(layout: Layout, memory: WebAssembly.Memory): Arena {
  const { buffer } = memory;
  return {
    layout,
    memory,
    u8: new Uint8Array(buffer),
    u16: new Uint16Array(buffer),
    u32: new Uint32Array(buffer),
    i32: new Int32Array(buffer),
    f64: new Float64Array(buffer),
  };
}

export const peerAt = (layout: Layout, slot: number): number => layout.peersAt + slot * PEER.bytes;

export const keypairAt = (layout: Layout, slot: number): number =>
  layout.keypairsAt + slot * KEYPAIR.bytes;
