/**
 * Rounds: one visit to each of many, in slices, so that the event loop goes on in between.
 *
 *     idle ──want──> at once ──> slice, slice, … ──> pause ──wanted meanwhile──> the next round
 *                                                      └──────── not wanted ───> idle
 *
 * After a quiet time the first round begins at once. Then the next one waits for at least `least`, and for
 * as long as the last one was busy, times PAUSE_FACTOR: under a storm the rounds get rarer and each says more,
 * and take at most a quarter of the time.
 */

import type { Env } from '../../base/env.ts';
import type { Millis } from '../../base/time.ts';
import { after, millis } from '../../base/time.ts';

/** A slice ends with the first visit that ends after this. */
const SLICE: Millis = millis(8);
const PAUSE_FACTOR = 4;
const LONGEST_PAUSE = 1000;

export interface RoundsOptions<T> {
  readonly env: Pick<Env, 'now' | 'setTimer'>;
  /** Between the beginnings of two rounds. */
  readonly least: Millis;
  /** Whom to visit, asked when a round begins. */
  begin(): Iterable<T>;
  visit(one: T): void;
  end?(): void;
}

export class Rounds<T> {
  readonly #options: RoundsOptions<T>;
  #queue: Iterator<T> | undefined;
  #wanted = false;
  #cancel: (() => void) | undefined;
  #startedAt = 0;
  #busyMillis = 0;
  #notBefore = Number.NEGATIVE_INFINITY;
  #closed = false;

  constructor(options: RoundsOptions<T>) {
    this.#options = options;
  }

  /** There is something to say. */
  want(): void {
    this.#wanted = true;
    if (this.#cancel !== undefined || this.#queue !== undefined || this.#closed) return;
    const { env } = this.#options;
    this.#plan(millis(Math.max(env.now(), this.#notBefore)), () => this.#start());
  }

  close(): void {
    this.#closed = true;
    this.#queue = undefined;
    this.#cancel?.();
    this.#cancel = undefined;
  }

  #plan(at: Millis, action: () => void): void {
    this.#cancel = this.#options.env.setTimer(at, () => {
      this.#cancel = undefined;
      if (!this.#closed) action();
    });
  }

  #start(): void {
    const { env, begin } = this.#options;
    this.#wanted = false;
    this.#startedAt = env.now();
    this.#busyMillis = 0;
    this.#queue = begin()[Symbol.iterator]();
    this.#slice();
  }

  #slice(): void {
    const { env, visit } = this.#options;
    const from = env.now();
    const until = after(from, SLICE);
    for (let next = this.#queue?.next(); next !== undefined; next = this.#queue?.next()) {
      if (next.done) {
        this.#finish(from);
        return;
      }
      visit(next.value);
      if (env.now() < until) continue;
      this.#busyMillis += env.now() - from;
      this.#plan(env.now(), () => this.#slice());
      return;
    }
  }

  #finish(from: Millis): void {
    const { env, least, end } = this.#options;
    this.#busyMillis += env.now() - from;
    const pause = Math.min(Math.max(least, this.#busyMillis * PAUSE_FACTOR), LONGEST_PAUSE);
    this.#notBefore = least === 0 ? env.now() : this.#startedAt + pause;
    this.#queue = undefined;
    end?.();
    if (this.#wanted) this.want();
  }
}
