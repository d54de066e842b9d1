/**
 * The network's time, by which keys expire: wall time that cannot jump.
 *
 *     start    wall time is at or after the floor ──> trusted, network time = wall time
 *              before it (no battery, never set)  ──> untrusted, network time = floor
 *     then     network time runs with the monotonic clock, and follows wall time while they differ by less
 *              than 5 minutes, never going back; a greater difference is a jump:
 *
 *     trusted ──jump──> untrusted, on by the monotonic clock ──wall time fits again──> trusted
 *        ^                 └──the kernel says that a time server confirms it──┐
 *        └────────────── network time = wall time, or the floor <─────────────┘
 *
 * While it is untrusted nothing new is granted that a clock decides (registry, `clockTrusted`), and nothing
 * expires because of the jump. The floor is the later of the build's time and the last stored one.
 *
 * Source: architecture, "what must always hold" 5; reference/faults.md 1.3.
 */

import type { Millis, UnixMillis } from '../../base/time.ts';
import { unixMillis } from '../../base/time.ts';

export const JUMP_MILLIS: number = 5 * 60_000;

export interface ClockSources {
  /** Monotonic, counting through suspend. */
  now(): Millis;
  wall(): UnixMillis;
  /** Whether a time server has confirmed the wall clock: adjtimex(2) without STA_UNSYNC. */
  confirmed(): boolean;
}

export class NetworkClock {
  readonly #sources: ClockSources;
  readonly #floor: UnixMillis;
  /** Network time minus monotonic time. */
  #offset: number;
  #latest: number;
  #trusted: boolean;

  /** @param floor no earlier time can be true */
  constructor(sources: ClockSources, floor: UnixMillis) {
    this.#sources = sources;
    this.#floor = floor;
    const wall = sources.wall();
    this.#trusted = wall >= floor;
    this.#latest = Math.max(wall, floor);
    this.#offset = this.#latest - sources.now();
  }

  /** As of the last `now`. */
  get trusted(): boolean {
    return this.#trusted;
  }

  /** Goes back only where a time server says so. */
  now(): UnixMillis {
    const { now, wall, confirmed } = this.#sources;
    const monotonic = now();
    const theirs = wall();
    const fits = Math.abs(theirs - (monotonic + this.#offset)) < JUMP_MILLIS;
    const jumped = !fits && theirs >= this.#floor && confirmed();
    if (fits || jumped) this.#offset = theirs - monotonic;
    this.#trusted = fits || jumped;
    const present = monotonic + this.#offset;
    this.#latest = jumped ? present : Math.max(this.#latest, present);
    return unixMillis(this.#latest);
  }

  /** How far wall time is from the network's, in milliseconds; positive where it is ahead. */
  get aheadMillis(): number {
    return this.#sources.wall() - this.now();
  }
}
