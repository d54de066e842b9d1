/** Pings of one peer's that wait for their pongs, by transaction. */

import { toHex } from '../../base/bytes.ts';
import type { Millis } from '../../base/time.ts';
import type { Candidate } from './candidates.ts';

export interface SentPing {
  readonly candidate: Candidate;
  readonly at: Millis;
}

export class SentPings {
  readonly #all = new Map<string, SentPing>();

  add(transaction: Uint8Array, candidate: Candidate, at: Millis): void {
    this.#all.set(toHex(transaction), { candidate, at });
  }

  /** The ping that a pong answers, once. */
  answered(transaction: Uint8Array): SentPing | undefined {
    const text = toHex(transaction);
    const ping = this.#all.get(text);
    this.#all.delete(text);
    return ping;
  }

  /** Those sent at `until` or before, which nobody will answer now. */
  takeOlder(until: Millis): readonly SentPing[] {
    const old = [...this.#all].filter(([, { at }]) => at <= until);
    for (const [text] of old) this.#all.delete(text);
    return old.map(([, ping]) => ping);
  }

  to(candidate: Candidate | undefined): readonly SentPing[] {
    return [...this.#all.values()].filter((ping) => ping.candidate === candidate);
  }

  clear(): void {
    this.#all.clear();
  }
}
