/**
 * What waits for one client of a relay.
 *
 *     urgent    frames of the relay, and disco: few, short, go first     full: the newest is refused
 *     packets   runs of RecvPacket frames, as they came                  full: the oldest run goes
 *
 * The oldest packet is the one that its receiver has the least use for; disco opens the direct path that
 * takes the load from the relay, so it must come through a queue that packets have filled.
 */

import { MAX_QUEUED_BYTES, MAX_URGENT_FRAMES } from './constants.ts';

interface Run {
  readonly bytes: Uint8Array;
  readonly frames: number;
}

/** Runs taken from the front are let go of when there are this many. */
const SWEEP = 64;

export class OutQueue {
  readonly #maxBytes: number;
  #urgent: Uint8Array[] = [];
  #runs: (Run | undefined)[] = [];
  #first = 0;
  #bytes = 0;

  constructor(maxBytes: number = MAX_QUEUED_BYTES) {
    this.#maxBytes = maxBytes;
  }

  get isEmpty(): boolean {
    return this.#urgent.length === 0 && this.#first === this.#runs.length;
  }

  /** Bytes of packets that wait. */
  get packetBytes(): number {
    return this.#bytes;
  }

  /** False: no room for it. */
  pushUrgent(frame: Uint8Array): boolean {
    if (this.#urgent.length >= MAX_URGENT_FRAMES) return false;
    this.#urgent.push(frame);
    return true;
  }

  /** @returns how many frames had to go to make room */
  pushPackets(bytes: Uint8Array, frames: number): number {
    this.#runs.push({ bytes, frames });
    this.#bytes += bytes.length;
    let dropped = 0;
    // The run just come is never the one to go: a queue smaller than a packet would carry nothing.
    while (this.#bytes > this.#maxBytes && this.#runs.length - this.#first > 1)
      dropped += this.#shift().frames;
    return dropped;
  }

  /**
   * Moves what fits to the start of `into`, whole runs only.
   *
   * @param into longer than any one run
   * @returns bytes written
   */
  take(into: Uint8Array): number {
    let at = 0;
    let taken = 0;
    for (const frame of this.#urgent) {
      if (at + frame.length > into.length) break;
      into.set(frame, at);
      at += frame.length;
      taken++;
    }
    if (taken > 0) this.#urgent = this.#urgent.slice(taken);
    if (this.#urgent.length > 0) return at;
    for (;;) {
      const run = this.#runs[this.#first];
      if (run === undefined || at + run.bytes.length > into.length) return at;
      into.set(run.bytes, at);
      at += run.bytes.length;
      this.#shift();
    }
  }

  #shift(): Run {
    const run = this.#runs[this.#first] as Run;
    this.#runs[this.#first++] = undefined;
    this.#bytes -= run.bytes.length;
    if (this.#first === this.#runs.length || this.#first >= SWEEP) {
      this.#runs = this.#runs.slice(this.#first);
      this.#first = 0;
    }
    return run;
  }
}
