/**
 * The ring: datagrams that are no transport data, from the worker to the main thread. Bounded; what does not
 * fit is dropped and counted by the worker, so that a flood of handshakes cannot grow memory.
 *
 *     entry, 2,048 bytes    length u32 | source sockaddr 28 | datagram
 *
 * The worker alone moves the head, the main thread alone the tail. A flag says that the main thread has been
 * told; it is cleared before the ring is read, so that no datagram is left lying without a wake-up.
 */

import { SOCKADDR_BYTES } from '../../base/endpoint.ts';
import type { Arena } from './arena.ts';
import { RING_DATAGRAM_AT, RING_DATAGRAM_MAX, RING_ENTRIES, RING_ENTRY_BYTES } from './arena.ts';

const TOLD = 0;
const HEAD = 1;
const TAIL = 2;

/** The worker's end: false where the ring is full or the datagram too long. `tell` is called if the reader sleeps. */
export function ringWrite(
  { i32, u8, layout }: Arena,
  at: number,
  lengthBytes: number,
  sourceAt: number,
  tell: () => void,
): boolean {
  const words = layout.shared >> 2;
  const head = Atomics.load(i32, words + HEAD);
  const full = ((head - Atomics.load(i32, words + TAIL)) | 0) >= RING_ENTRIES;
  if (full || lengthBytes > RING_DATAGRAM_MAX) return false;
  const entry = entryAt(layout.ring, head);
  i32[entry >> 2] = lengthBytes;
  u8.copyWithin(entry + 4, sourceAt, sourceAt + SOCKADDR_BYTES);
  u8.copyWithin(entry + RING_DATAGRAM_AT, at, at + lengthBytes);
  Atomics.store(i32, words + HEAD, (head + 1) | 0);
  if (Atomics.exchange(i32, words + TOLD, 1) === 0) tell();
  return true;
}

/**
 * The main thread's end: hands waiting datagrams to `take` as copies, and says how many there were. No more than
 * the ring holds: where it was full, more may have come meanwhile, and nobody tells.
 */
export function ringRead(
  { i32, u8, layout }: Arena,
  take: (datagram: Uint8Array, source: Uint8Array) => void,
): number {
  const words = layout.shared >> 2;
  Atomics.store(i32, words + TOLD, 0);
  for (let i = 0; i < RING_ENTRIES; i++) {
    const tail = Atomics.load(i32, words + TAIL);
    if (tail === Atomics.load(i32, words + HEAD)) return i;
    const entry = entryAt(layout.ring, tail);
    const length = i32[entry >> 2] as number;
    const source = new Uint8Array(u8.subarray(entry + 4, entry + 4 + SOCKADDR_BYTES));
    const start = entry + RING_DATAGRAM_AT;
    const datagram = new Uint8Array(u8.subarray(start, start + length));
    Atomics.store(i32, words + TAIL, (tail + 1) | 0);
    take(datagram, source);
  }
  return RING_ENTRIES;
}

function entryAt(ring: number, index: number): number {
  return ring + (index & (RING_ENTRIES - 1)) * RING_ENTRY_BYTES;
}
