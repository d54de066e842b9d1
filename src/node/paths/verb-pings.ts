/**
 * Pings that a person asked for: each waits for its first pong, by whichever way, or for its time to end.
 */

import { toHex } from '../../base/bytes.ts';
import type { Endpoint } from '../../base/endpoint.ts';
import type { Env } from '../../base/env.ts';
import { NetError } from '../../base/errors.ts';
import type { Millis } from '../../base/time.ts';
import { after } from '../../base/time.ts';

export interface PingResult {
  readonly via: Endpoint | { readonly relay: number };
  readonly rttMillis: number;
}

interface Waiting {
  readonly at: Millis;
  readonly via: PingResult['via'];
  readonly settle: (result: PingResult) => void;
}

export interface SentPing {
  readonly transaction: Uint8Array;
  readonly via: PingResult['via'];
}

/** More at once would be no person's. */
const MOST = 256;

export class VerbPings {
  readonly #env: Env;
  readonly #waiting = new Map<string, Waiting>();

  constructor(env: Env) {
    this.#env = env;
  }

  /** @throws NetError (rejects) when none of `sent` is answered in time, or nothing was sent */
  wait(sent: readonly SentPing[], patience: Millis): Promise<PingResult> {
    if (sent.length === 0) return Promise.reject(new NetError('no way to the peer is known'));
    if (this.#waiting.size + sent.length > MOST)
      return Promise.reject(new NetError('too many pings are waiting; try again'));
    const texts = sent.map(({ transaction }) => toHex(transaction));
    const at = this.#env.now();
    return new Promise((resolve, reject) => {
      const forget = (): void => {
        for (const text of texts) this.#waiting.delete(text);
      };
      const cancel = this.#env.setTimer(after(at, patience), () => {
        forget();
        reject(new NetError('no answer in time'));
      });
      const settle = (result: PingResult): void => {
        forget();
        cancel();
        resolve(result);
      };
      for (const [i, { via }] of sent.entries())
        this.#waiting.set(texts[i] as string, { at, via, settle });
    });
  }

  pong(transaction: Uint8Array): void {
    const waiting = this.#waiting.get(toHex(transaction));
    if (waiting === undefined) return;
    waiting.settle({ via: waiting.via, rttMillis: this.#env.now() - waiting.at });
  }
}
