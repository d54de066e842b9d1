/**
 * Own indices: the numbers by which a peer's messages name one keypair or handshake of ours.
 *
 *     31                           bits                    0
 *     | random, never zero          | keypair slot number   |
 *
 * So the packet path finds the slot by masking, and compares the whole number with what the slot holds. The
 * random part makes the number of a slot's next keypair another one than its last, so that late packets find
 * nothing; it is no secret. It is never zero, so that a slot wiped to zeros answers to no index.
 */

import { BugError } from '../../base/errors.ts';

const NONE = 0;

export class IndexTable {
  /** `index & mask` is the slot. */
  readonly mask: number;
  readonly #bits: number;
  readonly #indices: Uint32Array;
  readonly #former: Uint32Array;

  /** @param slots a power of two, at most 65,536: 16 random bits remain then */
  constructor(slots: number) {
    if (slots < 1 || slots > 65_536 || (slots & (slots - 1)) !== 0)
      throw new BugError(`slots must be a power of two up to 65,536, not ${slots}`);
    this.mask = slots - 1;
    this.#bits = Math.log2(slots);
    this.#indices = new Uint32Array(slots);
    this.#former = new Uint32Array(slots);
  }

  /**
   * A new index for a free slot.
   *
   * @param random 4 unpredictable bytes
   */
  allot(slot: number, random: Uint8Array): number {
    if (this.#indices[slot] !== NONE)
      throw new BugError(`slot ${slot} does not exist or has an index already`);
    const word = new DataView(random.buffer, random.byteOffset, 4).getUint32(0);
    let high = word >>> this.#bits;
    const most = 0xffffffff >>> this.#bits;
    while (high === 0 || this.#index(high, slot) === this.#former[slot])
      high = high === most ? 1 : high + 1;
    const index = this.#index(high, slot);
    this.#indices[slot] = index;
    return index;
  }

  /** The slot that bears `index`, or -1. */
  find(index: number): number {
    const slot = (index & this.mask) >>> 0;
    return index !== NONE && this.#indices[slot] === index ? slot : -1;
  }

  /** The index of `slot`, or undefined where it is free. */
  indexOf(slot: number): number | undefined {
    const index = this.#indices[slot];
    return index === NONE ? undefined : index;
  }

  /** The slot is free again. Nothing happens where it was. */
  release(slot: number): void {
    const index = this.#indices[slot];
    if (index === undefined || index === NONE) return;
    this.#former[slot] = index;
    this.#indices[slot] = NONE;
  }

  #index(high: number, slot: number): number {
    return ((high << this.#bits) | slot) >>> 0;
  }
}
