/** One connection, and whether it lives: what liveness.ts judges, gathered and acted upon. */

import type { Millis } from '../../base/time.ts';
import { after, millis, NEVER } from '../../base/time.ts';
import type { Connection } from './connection.ts';
import type { Probe } from './liveness.ts';
import { liveness, PONG_WAIT, PONG_WAIT_AFTER_CHANGE } from './liveness.ts';

export class Lifeline {
  readonly connection: Connection;
  readonly since: Millis;
  /** The address that it comes from is no longer the machine's. */
  #uprooted = false;
  #sentAt: Millis = millis(Number.NEGATIVE_INFINITY);
  #probe: (Probe & { readonly reads: number }) | undefined;

  constructor(connection: Connection, since: Millis) {
    this.connection = connection;
    this.since = since;
  }

  /** Something went out; told now and then is enough. */
  sent(now: Millis): void {
    if (this.#sentAt <= this.connection.heardAt) this.#sentAt = now;
  }

  /** The network has changed: an answer is wanted in two seconds. */
  networkChanged(now: Millis, isOurs: (address: string) => boolean): void {
    const { localAddress } = this.connection;
    if (localAddress !== undefined && !isOurs(localAddress)) this.#uprooted = true;
    if (this.#out()?.urgent !== true) this.#ask(now, PONG_WAIT_AFTER_CHANGE, true);
  }

  /** Asks where it is time to; when to look again, or why the connection is dead. */
  watch(now: Millis): { readonly lookAt: Millis } | { readonly dead: string } {
    if (this.#uprooted) return { dead: 'the address that it came from is gone' };
    const { heardAt, writingSince } = this.connection;
    const probe = this.#out();
    const { verdict, lookAt } = liveness(
      { heardAt, sentAt: this.#sentAt, writingSince, probe },
      now,
    );
    switch (verdict) {
      case 'fine':
        return { lookAt };
      case 'ping':
        this.#ask(now, PONG_WAIT, false);
        return { lookAt };
      case 'silent':
        return { dead: 'the relay is silent' };
      case 'stalled':
        return { dead: 'the relay takes nothing' };
    }
  }

  /** The ping that is out; none once anything has come. */
  #out(): Probe | undefined {
    if (this.#probe?.reads !== this.connection.reads) this.#probe = undefined;
    return this.#probe;
  }

  #ask(now: Millis, wait: Millis, urgent: boolean): void {
    this.#probe = { until: after(now, wait), urgent, reads: this.connection.reads };
    this.connection.ping();
  }
}

/** No connection has nothing to look after. */
export const NO_LOOK: { readonly lookAt: Millis } = { lookAt: NEVER };
