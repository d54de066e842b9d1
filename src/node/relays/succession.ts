/**
 * The connection of a region, and the one before it: what has been replaced is read for ten seconds more, since
 * peers learn of the change after us.
 */

import type { Millis } from '../../base/time.ts';
import { after, NEVER, seconds } from '../../base/time.ts';
import type { Connection } from './connection.ts';
import { Lifeline } from './lifeline.ts';

const RETIRE: Millis = seconds(10);

export class Succession {
  #current: Lifeline | undefined;
  #retiring: Connection | undefined;
  #retireAt: Millis = NEVER;

  get current(): Lifeline | undefined {
    return this.#current;
  }

  get connection(): Connection | undefined {
    return this.#current?.connection;
  }

  /** When the one before is to be let go of. */
  get retireAt(): Millis {
    return this.#retireAt;
  }

  follow(connection: Connection, now: Millis): Lifeline {
    this.#endRetiring();
    const before = this.connection;
    if (before !== undefined) {
      before.retire();
      this.#retiring = before;
      this.#retireAt = after(now, RETIRE);
    }
    this.#current = new Lifeline(connection, now);
    return this.#current;
  }

  /** A connection has ended; the result is its lifeline where it was the one in use. */
  ended(connection: Connection): Lifeline | undefined {
    const current = this.#current;
    if (current?.connection !== connection) {
      if (connection === this.#retiring) this.#endRetiring();
      return undefined;
    }
    this.#current = undefined;
    return current;
  }

  check(now: Millis): void {
    if (now >= this.#retireAt) this.#endRetiring();
  }

  close(): void {
    this.#endRetiring();
    this.connection?.close();
    this.#current = undefined;
  }

  #endRetiring(): void {
    this.#retiring?.close();
    this.#retiring = undefined;
    this.#retireAt = NEVER;
  }
}
