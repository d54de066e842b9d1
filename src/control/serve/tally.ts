/**
 * What was served and what was refused, counted by reason. A refusal is told in the log too, but no more than
 * once an hour for a reason, with how many there were since: anybody may cause one.
 */

import type { Log, LogFields } from '../../base/log.ts';
import type { Millis } from '../../base/time.ts';
import type { RecordDrop } from '../../protocol/tailcfg/records.ts';
import type { Ts2021Drop } from '../../protocol/tailcfg/ts2021.ts';
import type { BodyDrop } from '../../protocol/tailcfg/validate.ts';

export type Served =
  | 'ts2021: opened'
  | 'register: member'
  | 'register: login needed'
  | 'register: logged out'
  | 'map: stream'
  | 'map: update'
  | 'lan: report'
  | 'session: silent';

export type Refusal =
  | BodyDrop
  | RecordDrop
  | Ts2021Drop
  | 'front: no origin'
  | 'front: not HTTP'
  | 'front: too many connections'
  | 'front: too slow'
  | 'front: unknown path'
  | 'front: wrong method'
  | 'front: bad request'
  | 'ts2021: WebSocket'
  | 'ts2021: no handshake'
  | 'ts2021: too often'
  | 'ts2021: never proved'
  | 'ts2021: too many sessions'
  | 'session: broken'
  | 'session: idle'
  | 'request: unknown path'
  | 'request: wrong method'
  | 'request: not served'
  | 'request: too often'
  | 'request: bad'
  | 'request: client too old'
  | 'request: not a member'
  | 'request: store failed'
  | 'request: our fault'
  | 'body: too slow'
  | 'body: no room'
  | 'register: refused'
  | 'register: too often'
  | 'lan: refused';

const TOLD_EVERY_MILLIS = 3_600_000;

interface Told {
  readonly at: Millis;
  readonly count: number;
}

export class Tally {
  readonly #log: Log;
  readonly #now: () => Millis;
  readonly #counts = new Map<Served | Refusal, number>();
  readonly #told = new Map<Refusal, Told>();

  constructor(log: Log, now: () => Millis) {
    this.#log = log;
    this.#now = now;
  }

  count(served: Served): void {
    this.#counts.set(served, (this.#counts.get(served) ?? 0) + 1);
  }

  /** @param fields of this one, told where it is the one that is told; nothing that was sent as a secret */
  refuse(reason: Refusal, fields: LogFields = {}): void {
    const count = (this.#counts.get(reason) ?? 0) + 1;
    this.#counts.set(reason, count);
    const last = this.#told.get(reason);
    const now = this.#now();
    if (last !== undefined && now - last.at < TOLD_EVERY_MILLIS) return;
    this.#told.set(reason, { at: now, count });
    const since = { reason, count: count - (last?.count ?? 0), ...fields };
    if (reason === 'request: our fault') this.#log.error('serve: failed', since);
    else this.#log.info('serve: refused', since);
  }

  /** Since the start. */
  counters(): Record<string, number> {
    return Object.fromEntries(this.#counts);
  }
}
