/**
 * Memory that both sides see: JavaScript as views, the kernel and OpenSSL by address. The packet arena of
 * node/dataplane fits `SharedMemory` by its shape; what is called once in a while owns a small block instead.
 *
 * Words of 64 bits are written as two of 32 (little-endian), since no value here passes 2^53 and a BigInt
 * would allocate.
 */

import type { Native } from './ffi.ts';

/** Views of one buffer that never moves. Words are addressed by byte offset shifted (`>> 2`). */
export interface SharedMemory {
  readonly memory: { readonly buffer: ArrayBufferLike };
  readonly u8: Uint8Array;
  readonly u16: Uint16Array;
  readonly u32: Uint32Array;
}

/** Memory of our own, and where it stands. The address is true while the block is reachable. */
export interface Block extends SharedMemory {
  readonly address: number;
}

/** Zeroed memory outside the heap; `bytes` is rounded up to a multiple of 8. */
export function block(native: Native, bytes: number): Block {
  const buffer = new ArrayBuffer((bytes + 7) & ~7);
  return {
    memory: { buffer },
    u8: new Uint8Array(buffer),
    u16: new Uint16Array(buffer),
    u32: new Uint32Array(buffer),
    address: native.addressOf(buffer),
  };
}

/** Writes a number below 2^53 as 64 bits at the byte offset `at`, a multiple of 4. */
export function store64(u32: Uint32Array, at: number, value: number): void {
  u32[at >> 2] = value >>> 0;
  u32[(at >> 2) + 1] = (value / 4_294_967_296) >>> 0;
}

/** Reads it back. */
export function load64(u32: Uint32Array, at: number): number {
  return (u32[at >> 2] as number) + (u32[(at >> 2) + 1] as number) * 4_294_967_296;
}
