/**
 * When something must happen to keys: ours is about to expire, has expired, is old enough to be changed; a peer's
 * expires. One timer for the next of them, and never further ahead than an hour, since the network's time may
 * become known, or another, in between.
 *
 *     14 days before   notice        2 days before   warning        expired   error
 */

import type { Env } from '../../base/env.ts';
import type { Health } from '../../base/health.ts';
import type { UnixMillis } from '../../base/time.ts';
import { after, millis } from '../../base/time.ts';
import { EXPIRY_GRACE_MILLIS } from './state.ts';

const DAY_MILLIS = 86_400_000;
const NOTICE_DAYS = 14;
const WARNING_DAYS = 2;
const LONGEST_MILLIS = 3_600_000;
const ITEM = 'key-expiry';

export interface KeyMarks {
  readonly now: UnixMillis;
  readonly expires: UnixMillis | undefined;
  /** When it shall be changed; undefined: never, or not now. */
  readonly rotates: UnixMillis | undefined;
  readonly nextPeerExpiry: UnixMillis | undefined;
}

/** How long until something differs, in milliseconds. */
export function untilNext({ now, expires, rotates, nextPeerExpiry }: KeyMarks): number {
  const marks = [
    ...(expires === undefined
      ? []
      : [
          expires - NOTICE_DAYS * DAY_MILLIS,
          expires - WARNING_DAYS * DAY_MILLIS,
          expires + EXPIRY_GRACE_MILLIS,
        ]),
    ...(rotates === undefined ? [] : [rotates]),
    ...(nextPeerExpiry === undefined ? [] : [nextPeerExpiry]),
  ];
  const ahead = marks.filter((mark) => mark > now).map((mark) => mark - now);
  return Math.min(LONGEST_MILLIS, ...ahead);
}

export interface KeyAge {
  readonly now: UnixMillis;
  readonly expires: UnixMillis | undefined;
  readonly expired: boolean;
}

export function sayOfKey(health: Pick<Health, 'raise' | 'lower'>, facts: KeyAge): void {
  const { now, expires, expired } = facts;
  const left = expires === undefined ? Number.POSITIVE_INFINITY : expires - now;
  if (expired) {
    health.raise({
      code: ITEM,
      severity: 'error',
      text: 'the key of this node has expired: it is no member until somebody logs it in',
      remedy: 'run: postern up',
    });
    return;
  }
  if (left > NOTICE_DAYS * DAY_MILLIS) {
    health.lower(ITEM);
    return;
  }
  const days = Math.max(0, Math.floor(left / DAY_MILLIS));
  health.raise({
    code: ITEM,
    severity: left > WARNING_DAYS * DAY_MILLIS ? 'notice' : 'warning',
    text: `the key of this node expires in ${days === 1 ? 'one day' : `${days} days`}`,
    remedy: 'run: postern login; or let an administrator extend the key',
  });
}

export class KeyWatch {
  readonly #env: Env;
  readonly #look: () => number;
  #cancel: () => void = () => {};

  /** @param look does what is due, and says in how many milliseconds to look again */
  constructor(env: Env, look: () => number) {
    this.#env = env;
    this.#look = look;
  }

  /** Something that it depends on is new. */
  again(): void {
    this.#cancel();
    const wait = Math.max(1, this.#look());
    this.#cancel = this.#env.setTimer(after(this.#env.now(), millis(wait)), () => this.again());
  }

  close(): void {
    this.#cancel();
  }
}
