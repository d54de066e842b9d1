/**
 * Time stamps of initiations: TAI64N (cr.yp.to/libtai/tai64.html), which must grow from one initiation to the
 * next for ever, since a peer drops what is not later than the last it saw (the paper, 5.1).
 *
 *     seconds since 1970 + 2^62 + 10, big endian 8 | nanoseconds, big endian 4, low 24 bits zero
 *
 * The zeros hide the fine part of our clock (upstream's practice), and leave 60 steps of 16.8 ms in a second.
 * Time is counted in those steps here, so that "later" is a comparison of whole numbers.
 *
 * A board without a clock of its own starts in the past after a power cut. So a bound is stored ahead of
 * time, and the next run starts from it:
 *
 *     last sent  <=  bound in the store          at every moment, if the caller does as `reserve` says
 *     first sent of the next run  >  that bound
 */

import { BugError } from '../../base/errors.ts';
import type { UnixMillis } from '../../base/time.ts';
import { TIMESTAMP_BYTES } from './messages.ts';

const STEPS = 60;
/** Nanoseconds of a step: 2^24. */
const STEP_BITS = 24;
const HIGH_WORD = 0x40000000;
/** What TAI was ahead of UTC in 1970, which the label keeps whatever leap seconds came since. */
const TAI_OFFSET_SECONDS = 10;
const WORD = 2 ** 32;

/** One write an hour while the clock is good. */
const AHEAD_STEPS: number = 3600 * STEPS;
/**
 * While the clock is behind, stamps go on from the bound, one step each. Little is reserved then, lest a
 * board that restarts over and over runs away into the future.
 */
const AHEAD_BEHIND_STEPS: number = 60 * STEPS;

export class Tai64nClock {
  #last: number;
  #bound: number;

  /** @param stored the bound of the last run, 12 bytes; absent in the first */
  constructor(stored?: Uint8Array) {
    this.#last = stored === undefined ? 0 : stepsOf(stored);
    this.#bound = this.#last;
  }

  /** A stamp later than all before it, of this run and of those whose bound was stored. */
  next(wall: UnixMillis): Uint8Array {
    this.#last = this.#following(wall);
    return stampOf(this.#last);
  }

  /**
   * The bound to store before the next call of `next`, or undefined where the stored one reaches. Whoever
   * cannot store it may call `next` all the same: the tunnel works, and only a restart with a clock that has
   * gone back finds its peers deaf until that clock has caught up.
   */
  reserve(wall: UnixMillis): Uint8Array | undefined {
    const next = this.#following(wall);
    if (next <= this.#bound) return undefined;
    return stampOf(next + (next > this.#last + 1 ? AHEAD_STEPS : AHEAD_BEHIND_STEPS));
  }

  /** `bound`, from `reserve`, is in the store and safe from a power cut. */
  stored(bound: Uint8Array): void {
    this.#bound = Math.max(this.#bound, stepsOf(bound));
  }

  #following(wall: UnixMillis): number {
    return Math.max(this.#last + 1, wallSteps(wall));
  }
}

/** Whether a peer's `stamp` is later than `than`; both 12 bytes. */
export function isLater(stamp: Uint8Array, than: Uint8Array): boolean {
  for (let i = 0; i < TIMESTAMP_BYTES; i++)
    if (stamp[i] !== than[i]) return (stamp[i] as number) > (than[i] as number);
  return false;
}

function wallSteps(wall: UnixMillis): number {
  const seconds = Math.floor(wall / 1000);
  const nanoseconds = Math.floor((wall - seconds * 1000) * 1e6);
  return seconds * STEPS + Math.floor(nanoseconds / 2 ** STEP_BITS);
}

function stampOf(steps: number): Uint8Array {
  const stamp = new Uint8Array(TIMESTAMP_BYTES);
  const view = new DataView(stamp.buffer);
  const seconds = Math.floor(steps / STEPS) + TAI_OFFSET_SECONDS;
  view.setUint32(0, HIGH_WORD + Math.floor(seconds / WORD));
  view.setUint32(4, seconds % WORD);
  view.setUint32(8, (steps % STEPS) << STEP_BITS);
  return stamp;
}

function stepsOf(stamp: Uint8Array): number {
  if (stamp.length !== TIMESTAMP_BYTES)
    throw new BugError(`a time stamp is ${TIMESTAMP_BYTES} bytes, not ${stamp.length}`);
  const view = new DataView(stamp.buffer, stamp.byteOffset, TIMESTAMP_BYTES);
  const seconds = (view.getUint32(0) - HIGH_WORD) * WORD + view.getUint32(4) - TAI_OFFSET_SECONDS;
  return seconds * STEPS + (view.getUint32(8) >>> STEP_BITS);
}
