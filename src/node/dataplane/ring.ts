/**
 * The ring: datagrams that are no transport data, from the worker to the main thread. Bounded; what does not
 * fit is dropped and counted by the worker, so that a flood of handshakes cannot grow memory.
 *
 *     entry, 2,048 bytes    length u32 | source sockaddr 28 | datagram
 *
 * The worker alone moves the head, the main thread alone the tail. A flag says that the main thread has been
 * told; it is cleared before the ring is read, so that no datagram is left lying without a wake-up.
 *
 * A quarter of the ring is anybody's. Beyond it each source address has a share, until the reader has caught
 * up, so that one flooding host does not shut out the others; a flood of invented addresses is what cookies
 * are for.
 */

import { AF_INET, SOCKADDR_BYTES } from '../../base/endpoint.ts';
import type { Arena } from './arena.ts';
import { RING_DATAGRAM_AT, RING_DATAGRAM_MAX, RING_ENTRIES, RING_ENTRY_BYTES } from './arena.ts';

const TOLD = 0;
const HEAD = 1;
const TAIL = 2;

const ANYBODYS: number = RING_ENTRIES / 4;
const SHARE = 8;
/** Addresses that fall together share. */
const SHARES = 1024;
const SHARE_SHIFT: number = 32 - Math.log2(SHARES);

/** The worker's end. */
export class RingWriter {
  readonly #arena: Arena;
  readonly #tell: () => void;
  readonly #shares = new Uint8Array(SHARES);

  /** @param tell called when the reader sleeps and has something to read */
  constructor(arena: Arena, tell: () => void) {
    this.#arena = arena;
    this.#tell = tell;
  }

  /** False where the datagram is too long, the ring is full, or the source has had its share. */
  write(at: number, lengthBytes: number, sourceAt: number): boolean {
    const { i32, u8, layout } = this.#arena;
    const words = layout.shared >> 2;
    const head = Atomics.load(i32, words + HEAD);
    const used = (head - Atomics.load(i32, words + TAIL)) | 0;
    if (used >= RING_ENTRIES || lengthBytes > RING_DATAGRAM_MAX) return false;
    if (used === 0) this.#shares.fill(0);
    if (used >= ANYBODYS && !this.#mayShare(sourceAt)) return false;
    const entry = entryAt(layout.ring, head);
    i32[entry >> 2] = lengthBytes;
    u8.copyWithin(entry + 4, sourceAt, sourceAt + SOCKADDR_BYTES);
    u8.copyWithin(entry + RING_DATAGRAM_AT, at, at + lengthBytes);
    Atomics.store(i32, words + HEAD, (head + 1) | 0);
    if (Atomics.exchange(i32, words + TOLD, 1) === 0) this.#tell();
    return true;
  }

  #mayShare(sourceAt: number): boolean {
    const { u16, u32 } = this.#arena;
    const ipv4 = u16[sourceAt >> 1] === AF_INET;
    // A host commands its port, and its IPv6 address within a /64.
    const word = (sourceAt + (ipv4 ? 4 : 8)) >> 2;
    const address =
      (u32[word] as number) ^ (ipv4 ? 0 : Math.imul(u32[word + 1] as number, 0x9e3779b1));
    // The high bits: they depend on every bit of the address.
    const share = Math.imul(address, 0x85ebca6b) >>> SHARE_SHIFT;
    const taken = this.#shares[share] as number;
    if (taken >= SHARE) return false;
    this.#shares[share] = taken + 1;
    return true;
  }
}

/**
 * The main thread's end: hands the datagrams that wait now to `take`, as copies, and says how many they were.
 * Those that come meanwhile wait for the next wake-up, so that other events get their turn.
 */
export function ringRead(
  { i32, u8, layout }: Arena,
  take: (datagram: Uint8Array, source: Uint8Array) => void,
): number {
  const words = layout.shared >> 2;
  Atomics.store(i32, words + TOLD, 0);
  const first = Atomics.load(i32, words + TAIL);
  const count = (Atomics.load(i32, words + HEAD) - first) | 0;
  for (let i = 0; i < count; i++) {
    const entry = entryAt(layout.ring, first + i);
    const length = i32[entry >> 2] as number;
    const source = new Uint8Array(u8.subarray(entry + 4, entry + 4 + SOCKADDR_BYTES));
    const start = entry + RING_DATAGRAM_AT;
    const datagram = new Uint8Array(u8.subarray(start, start + length));
    Atomics.store(i32, words + TAIL, (first + i + 1) | 0);
    take(datagram, source);
  }
  return count;
}

function entryAt(ring: number, index: number): number {
  return ring + (index & (RING_ENTRIES - 1)) * RING_ENTRY_BYTES;
}
