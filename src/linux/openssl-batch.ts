/**
 * Bulk ChaCha20-Poly1305 by the functions of openssl-raw.ts, which calls them one by one; here those of up to
 * JOBS datagrams go by one list (call-list.ts), written down by `seal` and `open` and made by `settle`. A datagram of
 * 1,424 bytes takes 0.85 us so, 1.15 one by one, one of 240 bytes 0.43 and 0.73.
 *
 * One ChaCha20 call makes the key block (counter 0) and the text behind it, so the 64 bytes before a text take part:
 * they are saved, zeroed, so that the key block comes out as it is, and put back, all by calls of the list. They
 * belong to the datagram before, and so each is done with before the next begins.
 *
 *     a job        save block, zero it, ChaCha20 over block and text, Poly1305 with the key block, put block back,
 *                  Poly1305 over text, lengths, tag; and for opening, compare tags
 *     own memory   zeros 64 | saved 64 | tag 16 | Poly1305 state (256) | by job: counter 16, zeros 16 and lengths 16
 *     rxOut        one-time key block 64 | plaintext, up to a multiple of 64      for each datagram of a batch
 *
 * Fits BulkAead of node/dataplane/ports.ts, where the contract stands. That the names are found proves nothing:
 * the known-answer test of crypto/ comes before the first packet.
 *
 * Source: RFC 8439; OpenSSL 3, include/crypto/chacha.h and poly1305.h.
 */

import { BugError } from '../base/errors.ts';
import type { CallList } from './call-list.ts';
import { CALL_WORDS, callLists } from './call-list.ts';
import type { Native } from './ffi.ts';
import type { Block, SharedMemory } from './memory.ts';
import { block, store64 } from './memory.ts';

/** Byte offsets in the arena. */
export interface BatchPlaces {
  /** A multiple of 64. */
  readonly rxOut: number;
  readonly rxOutBytes: number;
}

/** The fit, or undefined where this Node has not all of its functions, or nobody may have a page to execute. */
export function batchAead(
  native: Native,
  arena: SharedMemory,
  places: BatchPlaces,
): BatchAead | undefined {
  const functions = findAll(native);
  const list = callLists(native);
  return functions && list && new BatchAead(native, functions, list, arena, places);
}

export type { BatchAead };

/** Datagrams that one list seals, and as many that one opens. */
const JOBS = 64;

const HEADER_BYTES = 16;
const TAG_BYTES = 16;
const KEY_BLOCK_BYTES = 64;

const ZEROS = 0;
const SAVED = 64;
const TAG = 128;
const STATE = 256;
const STATE_BYTES = 2048;
const PARTS: number = STATE + STATE_BYTES;
const PART_BYTES = 64;
/** In a job's part. */
const LENGTHS = 16;

/** The calls of a job, by their place in it. */
const SAVE = 0;
const ZERO = 1;
const CHACHA = 2;
const INIT = 3;
const BACK = 4;
const TEXT = 5;
const REST = 6;
const FINAL = 7;
const COMPARE = 8;
const SEALING_CALLS = 8;
const OPENING_CALLS = 9;

/** Words of a call's arguments. */
const [FIRST, SECOND, THIRD, FOURTH] = [2, 4, 6, 8];

interface Addresses {
  readonly chacha: number;
  readonly polyInit: number;
  readonly polyUpdate: number;
  readonly polyFinal: number;
  readonly copy: number;
  readonly compare: number;
}

function findAll({ self }: Native): Addresses | undefined {
  const chacha = self.addressOf('ChaCha20_ctr32');
  const polyInit = self.addressOf('Poly1305_Init');
  const polyUpdate = self.addressOf('Poly1305_Update');
  const polyFinal = self.addressOf('Poly1305_Final');
  const copy = self.addressOf('memcpy');
  const compare = self.addressOf('CRYPTO_memcmp');
  const stateBytes = self.find<() => number>('Poly1305_ctx_size', 'size_t', []);
  if (!chacha || !polyInit || !polyUpdate || !polyFinal || !copy || !compare) return undefined;
  if (stateBytes === undefined || stateBytes() > STATE_BYTES) return undefined;
  return { chacha, polyInit, polyUpdate, polyFinal, copy, compare };
}

/** Jobs of one kind: a list, and the memory that its calls share. */
class Jobs {
  readonly #list: CallList;
  readonly #calls: number;
  readonly #memory: Block;
  readonly #baseLow: number;
  readonly #baseHigh: number;
  /** How many are written down. */
  count = 0;

  constructor(
    native: Native,
    f: Addresses,
    newList: (calls: number) => CallList,
    arena: SharedMemory,
    calls: number,
  ) {
    this.#calls = calls;
    this.#list = newList(JOBS * calls);
    this.#memory = block(native, PARTS + JOBS * PART_BYTES);
    const base = native.addressOf(arena.memory.buffer);
    this.#baseLow = base % 2 ** 32;
    this.#baseHigh = Math.floor(base / 2 ** 32);
    for (let job = 0; job < JOBS; job++) this.#prepare(job, f);
  }

  /** What is the same whatever the datagram. */
  #prepare(job: number, f: Addresses): void {
    const at = this.#memory.address;
    const [zeros, saved, tag, state] = [at + ZEROS, at + SAVED, at + TAG, at + STATE];
    const counter = at + PARTS + job * PART_BYTES;
    const call = (which: number, target: number, ...parameters: readonly number[]): void =>
      this.#list.set(job * this.#calls + which, target, ...parameters);
    call(SAVE, f.copy, saved, 0, KEY_BLOCK_BYTES);
    call(ZERO, f.copy, 0, zeros, KEY_BLOCK_BYTES);
    call(CHACHA, f.chacha, 0, 0, 0, 0, counter);
    call(INIT, f.polyInit, state, 0);
    call(BACK, f.copy, 0, saved, KEY_BLOCK_BYTES);
    call(TEXT, f.polyUpdate, state, 0, 0);
    call(REST, f.polyUpdate, state, 0, 0);
    call(FINAL, f.polyFinal, state, tag);
    if (this.#calls === OPENING_CALLS) call(COMPARE, f.compare, tag, 0, TAG_BYTES);
  }

  /**
   * Writes a job down.
   *
   * @param out arena place of what ChaCha20 makes: key block, then text
   */
  add(
    out: number,
    text: number,
    lengthBytes: number,
    keyAt: number,
    low: number,
    high: number,
  ): void {
    const { words } = this.#list;
    const job = this.count++;
    const call = job * this.#calls * CALL_WORDS;
    const before = text - KEY_BLOCK_BYTES;
    this.#point(call + SAVE * CALL_WORDS + SECOND, before);
    this.#point(call + ZERO * CALL_WORDS + FIRST, before);
    this.#point(call + CHACHA * CALL_WORDS + FIRST, out);
    this.#point(call + CHACHA * CALL_WORDS + SECOND, before);
    words[call + CHACHA * CALL_WORDS + THIRD] = KEY_BLOCK_BYTES + lengthBytes;
    this.#point(call + CHACHA * CALL_WORDS + FOURTH, keyAt);
    this.#point(call + INIT * CALL_WORDS + SECOND, out);
    this.#point(call + BACK * CALL_WORDS + FIRST, before);
    this.#point(call + TEXT * CALL_WORDS + SECOND, text);
    words[call + TEXT * CALL_WORDS + THIRD] = lengthBytes;
    this.#rest(job, call + REST * CALL_WORDS, lengthBytes, low, high);
    const tag = text + lengthBytes;
    if (this.#calls === OPENING_CALLS) this.#point(call + COMPARE * CALL_WORDS + SECOND, tag);
    else this.#point(call + FINAL * CALL_WORDS + SECOND, tag);
  }

  /** The job's own part: counter, and zeros up to 16 bytes, then the two lengths (0 for associated data). */
  #rest(job: number, call: number, lengthBytes: number, low: number, high: number): void {
    const { words } = this.#list;
    const { address, u32 } = this.#memory;
    const part = PARTS + job * PART_BYTES;
    u32[(part >> 2) + 2] = low;
    u32[(part >> 2) + 3] = high;
    u32[(part + LENGTHS + 24) >> 2] = lengthBytes;
    const padBytes = -lengthBytes & 15;
    store64(words, 4 * (call + SECOND), address + part + LENGTHS + 16 - padBytes);
    words[call + THIRD] = padBytes + 16;
  }

  /** Does all jobs. */
  run(): void {
    this.#list.run(this.count * this.#calls);
    this.count = 0;
  }

  /** Whether the tags of a job were the same. */
  same(job: number): boolean {
    return this.#list.result(job * this.#calls + COMPARE) === 0;
  }

  /** Writes the address of a place of the arena. */
  #point(word: number, place: number): void {
    const { words } = this.#list;
    const low = this.#baseLow + place;
    words[word] = low;
    words[word + 1] = low < 2 ** 32 ? this.#baseHigh : this.#baseHigh + 1;
  }
}

class BatchAead {
  readonly name = 'openssl-batch';
  readonly #sealing: Jobs;
  readonly #opening: Jobs;
  readonly #rxStart: number;
  readonly #rxEnd: number;
  #rxAt: number;

  constructor(
    native: Native,
    f: Addresses,
    newList: (calls: number) => CallList,
    arena: SharedMemory,
    places: BatchPlaces,
  ) {
    this.#sealing = new Jobs(native, f, newList, arena, SEALING_CALLS);
    this.#opening = new Jobs(native, f, newList, arena, OPENING_CALLS);
    this.#rxStart = places.rxOut;
    this.#rxEnd = places.rxOut + places.rxOutBytes;
    this.#rxAt = places.rxOut;
  }

  seal(keyAt: number, slot: number, lengthBytes: number, low: number, high: number): void {
    if (this.#sealing.count === JOBS) this.#sealing.run();
    const text = slot + HEADER_BYTES;
    this.#sealing.add(text - KEY_BLOCK_BYTES, text, lengthBytes, keyAt, low, high);
  }

  open(keyAt: number, slot: number, lengthBytes: number, low: number, high: number): number {
    if (this.#opening.count === JOBS)
      throw new BugError('openssl: more datagrams opened at once than a list can have');
    const out = this.#rxAt;
    const next = (out + KEY_BLOCK_BYTES + lengthBytes + 63) & ~63;
    if (next > this.#rxEnd)
      throw new BugError('openssl: more plaintexts in one batch than a batch can have');
    this.#rxAt = next;
    this.#opening.add(out, slot + HEADER_BYTES, lengthBytes, keyAt, low, high);
    return out + KEY_BLOCK_BYTES;
  }

  settle(): void {
    if (this.#sealing.count > 0) this.#sealing.run();
    if (this.#opening.count > 0) this.#opening.run();
  }

  forged(index: number): boolean {
    return !this.#opening.same(index);
  }

  startBatch(): void {
    this.#rxAt = this.#rxStart;
  }

  /** Keys are read anew for each packet; one-time keys stay where the next packet overwrites them. */
  forget(): void {
    this.settle();
  }
}
