/**
 * What the packet loops need from the world, told in places of the arena. `linux/` fits these by shape; a
 * simulation fits them with plain arrays. Positions are byte offsets into the arena; an iovec holds native
 * addresses, `arena base + offset`, so that `writev` takes it as it is (the base is 0 in a simulation).
 *
 * Nothing here throws on the packet path: a result below zero is `-errno`.
 */

/** `found` and `receive`: nothing more to read now. */
export const EMPTY: -11 = -11;
/** `found`: the device has gone (EBADFD). */
export const GONE: -77 = -77;

/** A TUN device. With `vnetHeader` each packet comes and goes behind a 10-byte virtio_net_hdr. */
export interface TunPort {
  readonly vnetHeader: boolean;
  /** The kernel takes UDP super-packets from us (TUN_F_USO4 and USO6). */
  readonly uso: boolean;
  /** What the last `read` found: for each read its bytes with the header, EMPTY, GONE, or another -errno. */
  readonly found: Int32Array;
  /** Reads packets, each to its own place (`TunPlaces`), until one read gives none, at most `most`; how many reads it made. */
  read(most: number): number;
  /** Writes `count` iovecs of 16 bytes at `iovecsAt` as one packet; bytes or -errno. */
  write(iovecsAt: number, count: number): number;
}

/** What `receive` found, valid until the next call. */
export interface Received {
  /** Bytes of each datagram but the last where the kernel joined several (UDP_GRO); else the whole length. */
  segmentBytes: number;
  /** ECN bits of the outer header, 0 to 3 (RFC 3168). */
  ecn: number;
  /** Where in the arena the source sockaddr (base/endpoint.ts, 28 bytes, unused ones zero) stands. */
  sourceAt: number;
}

/** One UDP socket of one family. */
export interface UdpPort {
  readonly received: Received;
  /** Receives one datagram, or several joined, to `at`; bytes, EMPTY, or another -errno. */
  receive(at: number, capacityBytes: number): number;
  /**
   * Takes a run of datagrams standing end to end: `lengthBytes` in all, each `segmentBytes` but a last
   * shorter one. They must stay in place until `flush`. At most 64 of them and 65,507 bytes.
   *
   * @param endpointAt arena place of the destination sockaddr, read at once
   */
  send(
    at: number,
    lengthBytes: number,
    segmentBytes: number,
    endpointAt: number,
    ecn: number,
  ): void;
  /** Hands all runs to the kernel; without GSO datagram by datagram, in one call for many. */
  flush(): void;
}

/** Counters of a socket, for status. Read by the main thread, through a worker event. */
export interface UdpCounters {
  sendCalls: number;
  /** Datagrams that the kernel refused, by errno. */
  readonly refused: Map<number, number>;
  gso: boolean;
}

/**
 * Bulk ChaCha20-Poly1305 (RFC 8439) on datagrams in the arena, without associated data; the nonce is four
 * zero bytes and the counter. One instance serves one thread. `slot` is the place of the 16-byte transport
 * header, a multiple of 4; the text stands behind it, the 16-byte tag behind that.
 *
 * What is asked for is done when `settle` returns, or sooner: until then a datagram is neither sealed nor opened,
 * and its key and all of its bytes but the header must stay as they are.
 */
export interface BulkAead {
  readonly name: AeadName;
  /**
   * Seals in place.
   *
   * @param keyAt arena place of 32 key bytes, a multiple of 4
   * @param lengthBytes of the padded plaintext
   */
  seal(
    keyAt: number,
    slot: number,
    lengthBytes: number,
    counterLow: number,
    counterHigh: number,
  ): void;
  /**
   * Opens one datagram, of at most OPENED_AT_ONCE before `settle`; the plaintext's place, or -1 where it is known
   * already to be forged. The plaintext may stand elsewhere than the ciphertext and stays until `startBatch`; other
   * datagrams' plaintexts are not touched.
   *
   * @param lengthBytes of the ciphertext without its tag
   */
  open(
    keyAt: number,
    slot: number,
    lengthBytes: number,
    counterLow: number,
    counterHigh: number,
  ): number;
  /** Does all that was asked for. */
  settle(): void;
  /** Whether a datagram was forged after all: of those that the last `settle` opened and gave a place, by number. */
  forged(index: number): boolean;
  /** All plaintexts opened so far are done with. */
  startBatch(): void;
  /** The key at `keyAt` changes or goes; whatever was kept for it is wiped. */
  forget(keyAt: number): void;
}

/** Where the kernel has joined more, some are settled before the rest is opened. */
export const OPENED_AT_ONCE = 64;

export type AeadName = 'openssl-batch' | 'openssl-raw' | 'openssl-evp' | 'node-crypto';

/** The WASM kernels, working in place on the arena; see kernels.as.ts for each. */
export interface Kernels {
  /** One's complement sum of `lengthBytes` at `at`, folded to 16 bits, host (little-endian) order, not inverted. */
  checksum(at: number, lengthBytes: number, initial: number): number;
  /** Completes the checksum that a virtio header asked for (NEEDS_CSUM): over [at+start, at+length), to start+offset. */
  completeChecksum(at: number, lengthBytes: number, start: number, offset: number): void;
  /**
   * Writes one segment of a TSO or USO super-packet.
   *
   * @param to where the segment goes
   * @param from the super-packet's IP header
   * @param ipHeaderBytes 20 to 60, or 40 and more for IPv6
   * @param headerBytes IP and TCP or UDP header together
   * @param payloadAt offset of this segment's payload within the whole payload
   */
  segment(
    to: number,
    from: number,
    ipHeaderBytes: number,
    headerBytes: number,
    payloadAt: number,
    payloadBytes: number,
    index: number,
    last: boolean,
    udp: boolean,
  ): void;
  /** Copies a packet; its places do not overlap. */
  copyPacket(to: number, from: number, lengthBytes: number): void;
  /** Marks `counter` as seen in the window at `windowAt`; false where it was seen or is too old. Only after authentication. */
  replayAccept(windowAt: number, counterLow: number, counterHigh: number): boolean;
  /** Starts a joining run: scratch, iovec and header places are fixed by the layout. */
  groStart(
    scratchAt: number,
    iovecsAt: number,
    vnetAt: number,
    arenaBase: number,
    uso: boolean,
  ): void;
  /**
   * Offers a packet (a whole, checked IP packet, 4-aligned). True: it was joined to, or has become, the
   * pending one. False: the pending one must be finished and written first; offer it again then.
   */
  groAdd(at: number, lengthBytes: number): boolean;
  /** Completes the pending packet's headers; how many iovecs to write (virtio header first), 0 for none pending. */
  groFinish(): number;
  /** Filter: where its tables stand and the seed of the flow hash; sizes are powers of two. */
  filterStart(
    rulesAt: number,
    flowsAt: number,
    flowCount: number,
    scratchAt: number,
    seedLow: number,
    seedHigh: number,
  ): void;
  /** The rules at `rulesAt` have changed: how many, and the new generation (never 0). */
  filterRules(count: number, generation: number): void;
  /** A packet that leaves by the tunnel: remembers its flow, so that replies pass. */
  filterOut(at: number, lengthBytes: number, nowSeconds: number): void;
  /** A packet that came by the tunnel: 0 passes, else a reason of FILTER_DROPS. */
  filterIn(at: number, lengthBytes: number, nowSeconds: number): number;
  /** Flows forgotten because their bucket was full. */
  filterEvicted(): number;
}
