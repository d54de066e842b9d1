/**
 * Bulk ChaCha20-Poly1305 by OpenSSL's inner functions, which the Node binary exports: no public interface, so
 * they may be missing, or change, with any version of Node; 4 calls and 0.9 us for 1,424 bytes.
 *
 * One ChaCha20 call makes the key block (counter 0) and the text behind it, so the 64 bytes before a text take
 * part: what comes out is key block XOR what stood there, and a second XOR gives the one-time key. Opening goes
 * to `rxOut` and changes nothing where the datagram came in, nor earlier plaintexts, which the TUN write may
 * still point to; sealing puts back what stood before the text.
 *
 * Poly1305 reads text, padding and lengths in one piece, so the 16 to 31 bytes behind a text take part too, and
 * are put back. Given the last block or two by themselves, OpenSSL 3.5 leaves the upper halves of the vector
 * registers in use on processors with AVX-512 IFMA, and what V8 does next takes 0.3 us longer with each call.
 *
 *     scratch   counter block 16 | tag 16 | zeros 16, lengths 16 | ... | Poly1305 state (512)
 *     rxOut     one-time key block 64 | plaintext, up to a multiple of 64      for each datagram of a batch
 *
 * Fits BulkAead of node/dataplane/ports.ts, where the contract stands. That the names are found proves nothing:
 * the known-answer test of crypto/ comes before the first packet.
 *
 * Source: RFC 8439; OpenSSL 3, include/crypto/chacha.h and poly1305.h.
 */

import { BugError } from '../base/errors.ts';
import type { Library, Native } from './ffi.ts';
import type { SharedMemory } from './memory.ts';

/** Byte offsets in the arena. */
export interface RawPlaces {
  /** 4 KiB of this fit's own, a multiple of 64. */
  readonly scratch: number;
  /** A multiple of 64. */
  readonly rxOut: number;
  readonly rxOutBytes: number;
}

/** The fit, or undefined where this Node has not all of its functions. */
export function rawAead(
  native: Native,
  arena: SharedMemory,
  places: RawPlaces,
): RawAead | undefined {
  const functions = findRaw(native.self);
  return functions && new RawAead(functions, native.addressOf(arena.memory.buffer), arena, places);
}

export type { RawAead };

const HEADER_BYTES = 16;
const TAG_BYTES = 16;
const KEY_BLOCK_BYTES = 64;

const COUNTER = 0;
const TAG = 16;
const LENGTHS = 32;
const STATE = 512;
const STATE_BYTES = 2048;

interface RawFunctions {
  chacha(out: number, from: number, bytes: number, key: number, counter: number): void;
  polyInit(state: number, key: number): void;
  polyUpdate(state: number, from: number, bytes: number): void;
  polyFinal(state: number, tag: number): void;
}

function findRaw(library: Library): RawFunctions | undefined {
  const P = 'size_t';
  const chacha = library.find<RawFunctions['chacha']>('ChaCha20_ctr32', 'void', [P, P, P, P, P]);
  const polyInit = library.find<RawFunctions['polyInit']>('Poly1305_Init', 'void', [P, P]);
  const polyUpdate = library.find<RawFunctions['polyUpdate']>('Poly1305_Update', 'void', [P, P, P]);
  const polyFinal = library.find<RawFunctions['polyFinal']>('Poly1305_Final', 'void', [P, P]);
  const stateBytes = library.find<() => number>('Poly1305_ctx_size', P, []);
  if (!chacha || !polyInit || !polyUpdate || !polyFinal || !stateBytes) return undefined;
  return stateBytes() <= STATE_BYTES ? { chacha, polyInit, polyUpdate, polyFinal } : undefined;
}

class RawAead {
  readonly name = 'openssl-raw';
  readonly #f: RawFunctions;
  readonly #base: number;
  readonly #u8: Uint8Array;
  readonly #u32: Uint32Array;
  readonly #scratch: number;
  readonly #rxStart: number;
  readonly #rxEnd: number;
  #rxAt: number;
  readonly #saved = new Uint32Array(KEY_BLOCK_BYTES / 4);
  readonly #behind = new Uint32Array(8);

  constructor(f: RawFunctions, base: number, arena: SharedMemory, places: RawPlaces) {
    this.#f = f;
    this.#base = base;
    this.#u8 = arena.u8;
    this.#u32 = arena.u32;
    this.#scratch = places.scratch;
    this.#rxStart = places.rxOut;
    this.#rxEnd = places.rxOut + places.rxOutBytes;
    this.#rxAt = places.rxOut;
    this.#u8.fill(0, places.scratch, places.scratch + STATE + STATE_BYTES);
  }

  seal(keyAt: number, slot: number, lengthBytes: number, low: number, high: number): void {
    const u32 = this.#u32;
    const saved = this.#saved;
    const text = slot + HEADER_BYTES;
    const block = text - KEY_BLOCK_BYTES;
    const first = block >> 2;
    for (let i = 0; i < 16; i++) saved[i] = u32[first + i] as number;
    const bytes = KEY_BLOCK_BYTES + lengthBytes;
    this.#crypt(block, block, bytes, keyAt, low, high);
    for (let i = 0; i < 8; i++) u32[first + i] = (u32[first + i] as number) ^ (saved[i] as number);
    this.#mac(text, lengthBytes, block, text + lengthBytes);
    for (let i = 0; i < 16; i++) u32[first + i] = saved[i] as number;
  }

  open(keyAt: number, slot: number, lengthBytes: number, low: number, high: number): number {
    const u32 = this.#u32;
    const out = this.#rxAt;
    const next = (out + KEY_BLOCK_BYTES + lengthBytes + 63) & ~63;
    if (next > this.#rxEnd)
      throw new BugError('openssl: more plaintexts in one batch than a batch can have');
    const text = slot + HEADER_BYTES;
    const from = text - KEY_BLOCK_BYTES;
    this.#crypt(out, from, KEY_BLOCK_BYTES + lengthBytes, keyAt, low, high);
    const to = out >> 2;
    for (let i = 0; i < 8; i++)
      u32[to + i] = (u32[to + i] as number) ^ (u32[(from >> 2) + i] as number);
    const tag = this.#scratch + TAG;
    this.#mac(text, lengthBytes, out, tag);
    // What was deciphered of a forgery lies where the next plaintext goes, and nobody is told the place.
    if (!this.#equal(tag, text + lengthBytes)) return -1;
    this.#rxAt = next;
    return out + KEY_BLOCK_BYTES;
  }

  settle(): void {}

  /** Known at once. */
  forged(): boolean {
    return false;
  }

  startBatch(): void {
    this.#rxAt = this.#rxStart;
  }

  /** Keys are read anew for each packet; one-time keys stay where the next packet overwrites them. */
  forget(): void {}

  #crypt(out: number, from: number, bytes: number, keyAt: number, low: number, high: number): void {
    const base = this.#base;
    const counter = this.#scratch + COUNTER;
    const u32 = this.#u32;
    u32[counter >> 2] = 0;
    u32[(counter >> 2) + 1] = 0;
    u32[(counter >> 2) + 2] = low;
    u32[(counter >> 2) + 3] = high;
    this.#f.chacha(base + out, base + from, bytes, base + keyAt, base + counter);
  }

  /**
   * Poly1305 over the ciphertext, zeros up to 16 bytes, and the two lengths (0 for associated data). What stands
   * behind the text is as before, but for a tag that is wanted there.
   */
  #mac(text: number, lengthBytes: number, keyAt: number, tagAt: number): void {
    const base = this.#base;
    const state = base + this.#scratch + STATE;
    const end = text + lengthBytes;
    const padBytes = -lengthBytes & 15;
    this.#f.polyInit(state, base + keyAt);
    if ((end & 3) !== 0) {
      const lengths = this.#scratch + LENGTHS;
      this.#u32[(lengths + 24) >> 2] = lengthBytes;
      this.#f.polyUpdate(state, base + text, lengthBytes);
      this.#f.polyUpdate(state, base + lengths + 16 - padBytes, padBytes + 16);
      this.#f.polyFinal(state, base + tagAt);
      return;
    }
    const u32 = this.#u32;
    const behind = this.#behind;
    const first = end >> 2;
    const words = (padBytes + 16) >> 2;
    for (let i = 0; i < words; i++) {
      behind[i] = u32[first + i] as number;
      u32[first + i] = 0;
    }
    u32[first + words - 2] = lengthBytes;
    this.#f.polyUpdate(state, base + text, lengthBytes + padBytes + 16);
    for (let i = 0; i < words; i++) u32[first + i] = behind[i] as number;
    this.#f.polyFinal(state, base + tagAt);
  }

  /** Whether two tags are equal, in a time that does not depend on them. */
  #equal(a: number, b: number): boolean {
    let difference = 0;
    const u8 = this.#u8;
    for (let i = 0; i < TAG_BYTES; i++) difference |= (u8[a + i] as number) ^ (u8[b + i] as number);
    return difference === 0;
  }
}
