/**
 * The time by which keys expire. A board without a battery wakes up years away from today, so our own clock alone
 * decides nothing in anybody's favour.
 *
 *     the server has told its time   that, carried on by the monotonic clock; or ours, where it is confirmed and ahead
 *     nothing told since the start   the later of our clock and the last time that was kept on disk
 *
 * A server whose clock was wrong and is right again is believed again: it says when keys expire, too.
 */

import type { Env } from '../../base/env.ts';
import type { Millis, UnixMillis } from '../../base/time.ts';
import { unixMillis } from '../../base/time.ts';
import { parseTime } from '../../protocol/tailcfg/time.ts';

export class NetworkTime {
  readonly #env: Env;
  readonly #trusted: () => boolean;
  readonly #floor: UnixMillis;
  #told: { readonly wall: UnixMillis; readonly at: Millis } | undefined;

  /**
   * @param trusted whether our wall clock is confirmed now
   * @param floor the last time that is known to have been
   */
  constructor(env: Env, trusted: () => boolean, floor: UnixMillis) {
    this.#env = env;
    this.#trusted = trusted;
    this.#floor = floor;
  }

  /** A server's ControlTime, where it is one. */
  hear(text: string | undefined): void {
    const wall = text === undefined ? undefined : parseTime(text);
    if (wall !== undefined && wall !== 'unset') this.#told = { wall, at: this.#env.now() };
  }

  now(): UnixMillis {
    const told = this.#toldNow();
    const wall = this.#env.wall();
    if (told === undefined) return unixMillis(Math.max(wall, this.#floor));
    return unixMillis(this.#trusted() ? Math.max(told, wall) : told);
  }

  /** Whether `now` is more than our own unconfirmed clock. */
  get isKnown(): boolean {
    return this.#told !== undefined || this.#trusted();
  }

  /** By how much our clock is ahead of the server's; undefined: it has not told. */
  ahead(): Millis | undefined {
    const told = this.#toldNow();
    return told === undefined ? undefined : ((this.#env.wall() - told) as Millis);
  }

  #toldNow(): number | undefined {
    return this.#told && this.#told.wall + (this.#env.now() - this.#told.at);
  }
}
