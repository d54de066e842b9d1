/**
 * The two rings between the packet path and the relay link, which lives on the main thread since TLS does: out
 * carries sealed datagrams to it, in those that came by it. Bounded, as a link is; what does not fit is dropped
 * and counted by its writer.
 *
 *     entry, 2,048 bytes    length u32 | peer number u32 | unused 8 | datagram
 *
 * One thread moves the head, the other the tail. The flag says that the reader has been told; it is cleared
 * before the ring is read, so that no datagram is left lying without a wake-up.
 */

import type { Arena } from './arena.ts';
import {
  RELAY_DATAGRAM_AT,
  RELAY_DATAGRAM_MAX,
  RELAY_ENTRIES,
  RELAY_ENTRY_BYTES,
} from './arena.ts';

const TOLD = 0;
const HEAD = 1;
const TAIL = 2;
const WORDS = { out: 16, in: 32 } as const;

export class RelayRing {
  readonly #arena: Arena;
  readonly #at: number;
  readonly #words: number;

  constructor(arena: Arena, way: 'out' | 'in') {
    this.#arena = arena;
    this.#at = way === 'out' ? arena.layout.relayOut : arena.layout.relayIn;
    this.#words = (arena.layout.shared >> 2) + WORDS[way];
  }

  /** Writer: where the next datagram of `lengthBytes` goes, or -1 where it is too long or the ring is full. */
  reserve(lengthBytes: number): number {
    const { i32 } = this.#arena;
    const head = Atomics.load(i32, this.#words + HEAD);
    const used = (head - Atomics.load(i32, this.#words + TAIL)) | 0;
    if (used >= RELAY_ENTRIES || lengthBytes > RELAY_DATAGRAM_MAX) return -1;
    return this.#entry(head) + RELAY_DATAGRAM_AT;
  }

  /** Writer: the reserved place has been filled. */
  commit(peer: number, lengthBytes: number): void {
    const { i32 } = this.#arena;
    const head = Atomics.load(i32, this.#words + HEAD);
    const entry = this.#entry(head) >> 2;
    i32[entry] = lengthBytes;
    i32[entry + 1] = peer;
    Atomics.store(i32, this.#words + HEAD, (head + 1) | 0);
  }

  /** Writer: whether the reader must be told that there is something. */
  mustTell(): boolean {
    return Atomics.exchange(this.#arena.i32, this.#words + TOLD, 1) === 0;
  }

  /** Reader: each datagram that is there now, at its place in the arena until `take` returns. */
  read(take: (peer: number, at: number, lengthBytes: number) => void): void {
    const { i32, u32 } = this.#arena;
    Atomics.store(i32, this.#words + TOLD, 0);
    const first = Atomics.load(i32, this.#words + TAIL);
    const count = (Atomics.load(i32, this.#words + HEAD) - first) | 0;
    for (let i = 0; i < count; i++) {
      const entry = this.#entry(first + i);
      take(u32[(entry + 4) >> 2] as number, entry + RELAY_DATAGRAM_AT, i32[entry >> 2] as number);
      Atomics.store(i32, this.#words + TAIL, (first + i + 1) | 0);
    }
  }

  #entry(index: number): number {
    return this.#at + (index & (RELAY_ENTRIES - 1)) * RELAY_ENTRY_BYTES;
  }
}
