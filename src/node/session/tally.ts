/**
 * What was left out, refused or failed, by reason. The first of a kind is a line of the log, and the others a
 * number: whoever sends us nonsense all day does not wear out a card.
 */

import type { Log } from '../../base/log.ts';

export class Tally {
  readonly #log: Log;
  readonly counts: Map<string, number> = new Map();

  constructor(log: Log) {
    this.#log = log;
  }

  count(reason: string, detail?: string): void {
    const count = (this.counts.get(reason) ?? 0) + 1;
    this.counts.set(reason, count);
    if (count === 1) this.#log.warn(`session: ${reason}`, detail === undefined ? {} : { detail });
  }
}
