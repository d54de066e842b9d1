/**
 * Health items: what a person must act on, in plain words. A room raises one by its code and lowers it when
 * it is over; the same item is shown by every status page and verb.
 *
 *     absent --raise--> raised, one log line --raise, other text--> raised, one log line
 *       ^                  |
 *       +------ lower -----+
 */

import type { Log } from './log.ts';

export type Severity = 'notice' | 'warning' | 'error';

export interface HealthItem {
  /** Stable, for scripts: `aead-fallback`. */
  readonly code: string;
  readonly severity: Severity;
  readonly text: string;
  /** What to do about it. */
  readonly remedy: string;
}

const WORST_FIRST: readonly Severity[] = ['error', 'warning', 'notice'];

/** The items that are raised now. */
export class Health {
  readonly #log: Log;
  readonly #items = new Map<string, HealthItem>();

  constructor(log: Log) {
    this.#log = log;
  }

  /** The worst first, and within a severity as they were raised. */
  items(): readonly HealthItem[] {
    const rank = ({ severity }: HealthItem): number => WORST_FIRST.indexOf(severity);
    return [...this.#items.values()].sort((a, b) => rank(a) - rank(b));
  }

  /** What is raised already with the same text is not said again. */
  raise(item: HealthItem): void {
    const known = this.#items.get(item.code);
    this.#items.set(item.code, item);
    if (known?.text !== item.text) this.#say(item);
  }

  lower(code: string): void {
    const known = this.#items.get(code);
    if (known === undefined) return;
    this.#items.delete(code);
    // The end of a notice is no news for a journal on an SD card.
    if (known.severity !== 'notice') this.#log.info(`health: ${code} is over`);
  }

  #say({ code, severity, text, remedy }: HealthItem): void {
    const fields = { text, remedy };
    switch (severity) {
      case 'error':
        this.#log.error(`health: ${code}`, fields);
        return;
      case 'warning':
        this.#log.warn(`health: ${code}`, fields);
        return;
      case 'notice':
        this.#log.info(`health: ${code}`, fields);
        return;
    }
  }
}
