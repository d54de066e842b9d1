/**
 * Ephemeral pairs, one made ahead: the first in a while takes a quarter of a millisecond, and a first contact waits
 * for one at either end. Each is handed out once. None is ahead in a burst of handshakes, whose pairs are quick.
 */

import type { Env } from '../../base/env.ts';
import { KEY_BYTES } from '../../base/keys.ts';
import type { Millis } from '../../base/time.ts';
import { after, seconds } from '../../base/time.ts';
import type { OwnKey, X25519 } from '../../crypto/x25519.ts';
import { takeOwnKey } from '../../crypto/x25519.ts';

/** After the last was taken: a handshake, and what begins with it, are over. */
const MADE_AFTER: Millis = seconds(1);

export class EphemeralKeys {
  readonly #env: Env;
  readonly #x25519: X25519 | undefined;
  #ahead: OwnKey | undefined;
  #cancel: (() => void) | undefined;

  constructor(env: Env, x25519: X25519 | undefined) {
    this.#env = env;
    this.#x25519 = x25519;
  }

  /** `prepare` must follow when nothing waits any more. */
  take(): OwnKey {
    const pair = this.#ahead ?? this.#make();
    this.#ahead = undefined;
    return pair;
  }

  /** One is made ahead, soon. */
  prepare(): void {
    if (this.#ahead !== undefined || this.#cancel !== undefined) return;
    this.#cancel = this.#env.setTimer(after(this.#env.now(), MADE_AFTER), () => {
      this.#cancel = undefined;
      this.#ahead ??= this.#make();
    });
  }

  /** No handshake is to come: none is kept. */
  drop(): void {
    this.#cancel?.();
    this.#cancel = undefined;
    this.#ahead?.wipe();
    this.#ahead = undefined;
  }

  #make(): OwnKey {
    return takeOwnKey(this.#env.random(KEY_BYTES), this.#x25519);
  }
}
