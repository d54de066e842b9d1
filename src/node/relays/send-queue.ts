/**
 * What waits for the connection to a relay: whole SendPacket frames, one behind the other in segments of 64 kB,
 * so that a segment is one write and nothing is gathered.
 *
 *     take <- | segment | segment | segment, filling | <- push
 *
 * Full: the oldest packets with data go, a sixteenth of the queue at a time; what opens a way (disco, handshakes)
 * stays, unless there is nothing else. Order is kept always. A frame says its own length, so a segment is its own
 * index.
 *
 * A connection that ends gives its write under way back: how much of it arrived nobody knows. Of that what opens
 * a way is sent again, which does no harm (a handshake that comes twice is refused by its time stamp), and data
 * is not.
 */

import type { NodePublic } from '../../base/keys.ts';
import { opensWay, PACKET_AT, writeSendPacket } from '../../protocol/derp/client-frames.ts';
import { HEADER_BYTES, MAX_PACKET_BYTES } from '../../protocol/derp/constants.ts';
import { payloadBytes } from '../../protocol/derp/frames.ts';

export const SEGMENT_BYTES = 65_536;

export interface Segment {
  readonly bytes: Uint8Array;
  used: number;
  frames: number;
  /** Frames in it that are data. */
  bulk: number;
}

/** Segments for all regions; an idle one holds none. */
export class SegmentPool {
  readonly #kept: Segment[] = [];

  borrow(leastBytes: number): Segment {
    if (leastBytes > SEGMENT_BYTES) return newSegment(leastBytes);
    return this.#kept.pop() ?? newSegment(SEGMENT_BYTES);
  }

  giveBack(segment: Segment): void {
    if (segment.bytes.length !== SEGMENT_BYTES || this.#kept.length >= MAX_KEPT) return;
    segment.used = 0;
    segment.frames = 0;
    segment.bulk = 0;
    this.#kept.push(segment);
  }
}

/** 256 kB at rest. */
const MAX_KEPT = 4;

export class SendQueue {
  readonly #pool: SegmentPool;
  #maxBytes: number;
  #segments: Segment[] = [];
  #bytes = 0;

  /** @param maxBytes of frames that wait; more than one of the longest */
  constructor(pool: SegmentPool, maxBytes: number) {
    this.#pool = pool;
    this.#maxBytes = maxBytes;
  }

  get isEmpty(): boolean {
    return this.#bytes === 0;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Copies a datagram behind the others.
   *
   * @returns how many packets had to go for it; -1: it is longer than a relay carries
   */
  push(peer: NodePublic, datagram: Uint8Array): number {
    if (datagram.length > MAX_PACKET_BYTES) return -1;
    const bytes = PACKET_AT + datagram.length;
    const dropped = this.#bytes + bytes > this.#maxBytes ? this.#makeRoom(bytes) : 0;
    let tail = this.#segments.at(-1);
    if (tail === undefined || tail.bytes.length - tail.used < bytes) {
      tail = this.#pool.borrow(bytes);
      this.#segments.push(tail);
    }
    tail.used = writeSendPacket(tail.bytes, tail.used, peer, datagram);
    tail.frames++;
    if (!opensWay(datagram, 0, datagram.length)) tail.bulk++;
    this.#bytes += bytes;
    return dropped;
  }

  /** The oldest segment, for one write; the caller gives it back one way or the other. */
  take(): Segment | undefined {
    const segment = this.#segments.shift();
    if (segment !== undefined) this.#bytes -= segment.used;
    return segment;
  }

  /** The segment has been written. */
  written(segment: Segment): void {
    this.#pool.giveBack(segment);
  }

  /**
   * The connection ended with this write under way. Its memory may still be read, so it is not used again.
   *
   * @returns packets with data that are lost with it
   */
  unsent(segment: Segment): number {
    const lost = segment.bulk;
    if (lost < segment.frames) {
      const kept = this.#pool.borrow(segment.used);
      kept.bytes.set(segment.bytes.subarray(0, segment.used));
      kept.used = segment.used;
      kept.frames = segment.frames;
      kept.bulk = segment.bulk;
      strip(kept, Number.POSITIVE_INFINITY, isBulk);
      this.#segments.unshift(kept);
      this.#bytes += kept.used;
    }
    return lost;
  }

  /** @returns packets that had to go for the new limit */
  limit(maxBytes: number): number {
    this.#maxBytes = maxBytes;
    return this.#bytes > maxBytes ? this.#makeRoom(0) : 0;
  }

  clear(): number {
    return this.#strip(Number.POSITIVE_INFINITY, isAny);
  }

  #makeRoom(bytes: number): number {
    const before = this.#bytes;
    const goal = this.#maxBytes - bytes - this.#maxBytes / 16;
    const dropped = this.#strip(before - goal, isBulk);
    if (this.#bytes + bytes <= this.#maxBytes) return dropped;
    return dropped + this.#strip(this.#bytes - goal, isAny);
  }

  /** Drops the oldest frames that `may` go, of at least `bytes` in all where there are as many. */
  #strip(bytes: number, may: MayGo): number {
    let dropped = 0;
    let left = bytes;
    for (const segment of this.#segments) {
      if (left <= 0) break;
      if (may === isBulk && segment.bulk === 0) continue;
      const frames = segment.frames;
      const used = segment.used;
      strip(segment, left, may);
      dropped += frames - segment.frames;
      left -= used - segment.used;
      this.#bytes -= used - segment.used;
    }
    for (const segment of this.#segments) if (segment.used === 0) this.#pool.giveBack(segment);
    this.#segments = this.#segments.filter(({ used }) => used > 0);
    return dropped;
  }
}

type MayGo = (bulk: boolean) => boolean;
const isBulk: MayGo = (bulk) => bulk;
const isAny: MayGo = () => true;

function newSegment(bytes: number): Segment {
  return { bytes: Buffer.allocUnsafeSlow(bytes), used: 0, frames: 0, bulk: 0 };
}

/** Takes frames that may go out of a segment, the oldest first, until `bytes` are gone; the rest moves up. */
function strip(segment: Segment, bytes: number, may: MayGo): void {
  const { bytes: place, used } = segment;
  let to = 0;
  for (let at = 0; at < used; ) {
    const next = at + HEADER_BYTES + payloadBytes(place, at);
    const bulk = !opensWay(place, at + PACKET_AT, next);
    if (at - to < bytes && may(bulk)) {
      segment.frames--;
      if (bulk) segment.bulk--;
    } else {
      if (to !== at) place.copyWithin(to, at, next);
      to += next - at;
    }
    at = next;
  }
  segment.used = to;
}
