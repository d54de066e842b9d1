/**
 * Answers of others, for as long as they allow and five minutes at most: enough to spare a slow line the
 * same question from ten programs, too short to keep a mistake for a day. The longest unused goes first.
 */

import type { Millis } from '../../base/time.ts';
import { seconds } from '../../base/time.ts';
import type { UpstreamAnswer } from '../../protocol/dns/upstream.ts';
import { aged } from '../../protocol/dns/upstream.ts';

const MAX_ENTRIES = 1024;
const MAX_BYTES: number = 512 * 1024;
const MAX_SECONDS = 300;
/** That a name does not exist is believed for a shorter time: machines are being set up. */
const MAX_NEGATIVE_SECONDS = 30;

interface Entry {
  readonly answer: UpstreamAnswer;
  readonly at: Millis;
  readonly until: number;
}

export class Cache {
  readonly #entries = new Map<string, Entry>();
  #bytes = 0;

  get size(): number {
    return this.#entries.size;
  }

  put(key: string, answer: UpstreamAnswer, now: Millis): void {
    this.#remove(key);
    const negative = answer.rcode !== 0 || answer.records.length === 0;
    const kept = Math.min(answer.keepSeconds, negative ? MAX_NEGATIVE_SECONDS : MAX_SECONDS);
    if (kept <= 0 || answer.message.length > MAX_BYTES / 16) return;
    this.#entries.set(key, { answer, at: now, until: now + seconds(kept) });
    this.#bytes += answer.message.length;
    for (const oldest of this.#entries.keys()) {
      if (this.#entries.size <= MAX_ENTRIES && this.#bytes <= MAX_BYTES) break;
      this.#remove(oldest);
    }
  }

  /** The answer with its TTLs as they are now. */
  get(key: string, now: Millis): Uint8Array | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined) return undefined;
    this.#entries.delete(key);
    if (now >= entry.until) {
      this.#bytes -= entry.answer.message.length;
      return undefined;
    }
    this.#entries.set(key, entry);
    return aged(entry.answer, Math.floor((now - entry.at) / 1000));
  }

  clear(): void {
    this.#entries.clear();
    this.#bytes = 0;
  }

  #remove(key: string): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    this.#bytes -= entry.answer.message.length;
  }
}
