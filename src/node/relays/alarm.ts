/** One timer that is moved about: what it is set to last counts. */

import type { Env } from '../../base/env.ts';
import type { Millis } from '../../base/time.ts';
import { NEVER } from '../../base/time.ts';

export class Alarm {
  readonly #env: Env;
  readonly #action: () => void;
  #at: Millis = NEVER;
  #stop: () => void = () => {};

  constructor(env: Env, action: () => void) {
    this.#env = env;
    this.#action = action;
  }

  set(at: Millis): void {
    if (at === this.#at) return;
    this.#stop();
    this.#stop = () => {};
    this.#at = at;
    if (at === NEVER) return;
    this.#stop = this.#env.setTimer(at, () => {
      this.#at = NEVER;
      this.#action();
    });
  }

  /** Moves it to an earlier time, never to a later one. */
  noLaterThan(at: Millis): void {
    if (at < this.#at) this.set(at);
  }
}
