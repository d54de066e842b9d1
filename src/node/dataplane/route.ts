/**
 * Which peer a packet goes to. Packets come in trains to one address, so the last answer is kept: four words and
 * a family to compare, where a look-up walks a tree.
 */

import type { Shared } from './shared.ts';

export const NO_PEER: number = -1;
export const NO_PACKET: number = -2;

export class Route {
  readonly #shared: Shared;
  readonly #target = new Uint32Array(5);
  #peer: number = NO_PEER;

  constructor(shared: Shared) {
    this.#shared = shared;
  }

  /** Allowed IPs have changed. */
  forget(): void {
    this.#peer = NO_PEER;
    this.#target.fill(0);
  }

  /** Peer number for the packet's target, NO_PEER, or NO_PACKET where it is no IP packet. */
  find(p: number, length: number): number {
    const { arena, allowedIps } = this.#shared;
    const { u8, u32 } = arena;
    const known = this.#target;
    const version = (u8[p] as number) >> 4;
    if (version === 4 && length >= 20) {
      const target = u32[(p + 16) >> 2] as number;
      if (this.#peer >= 0 && known[4] === 4 && known[0] === target) return this.#peer;
      known[0] = target;
      known[4] = 4;
      this.#peer = allowedIps.lookup(u8, p + 16, 4);
      return this.#peer;
    }
    if (version !== 6 || length < 40) return NO_PACKET;
    const word = (p + 24) >> 2;
    const same =
      this.#peer >= 0 &&
      known[4] === 6 &&
      known[0] === u32[word] &&
      known[1] === u32[word + 1] &&
      known[2] === u32[word + 2] &&
      known[3] === u32[word + 3];
    if (same) return this.#peer;
    for (let i = 0; i < 4; i++) known[i] = u32[word + i] as number;
    known[4] = 6;
    this.#peer = allowedIps.lookup(u8, p + 24, 16);
    return this.#peer;
  }
}
