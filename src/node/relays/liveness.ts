/**
 * Whether a connection to a relay still lives: one function from facts to a verdict and the time to look again.
 *
 *     fine --25 s of silence, or 5 s after something was sent--> ping
 *     ping --10 s without a byte (2 s after the network has changed)--> dead: silent
 *     a write is not taken for 30 s -------------------------------> dead: stalled
 *     no byte for 120 s, as after a long sleep --------------------> dead: silent
 *
 * While a write is not taken, silence proves nothing: our ping stands behind it on a slow line, and only the
 * stall counts. After a change of the network the two seconds count all the same.
 */

import type { Millis } from '../../base/time.ts';
import { after, NEVER, seconds } from '../../base/time.ts';

/** Before the 30 s after which the shortest-lived of common NATs forget a TCP connection that is silent. */
export const PING_AFTER: Millis = seconds(25);
/** What we send is mostly answered, by the peer if not by the relay. */
export const PING_AFTER_SENDING: Millis = seconds(5);
export const PONG_WAIT: Millis = seconds(10);
export const PONG_WAIT_AFTER_CHANGE: Millis = seconds(2);
export const STALL: Millis = seconds(30);
/** A relay sends a keep-alive each 60 to 65 s. */
export const READ_TIMEOUT: Millis = seconds(120);

/** A ping that is out. */
export interface Probe {
  readonly until: Millis;
  readonly urgent: boolean;
}

export interface LivenessFacts {
  readonly heardAt: Millis;
  /** When the first packet since something was heard went out; before `heardAt` where none did. */
  readonly sentAt: Millis;
  /** Since when a write is not taken. */
  readonly writingSince: Millis | undefined;
  /** Undefined also where bytes have come since. */
  readonly probe: Probe | undefined;
}

export interface Liveness {
  readonly verdict: 'fine' | 'ping' | 'silent' | 'stalled';
  readonly lookAt: Millis;
}

export function liveness(facts: LivenessFacts, now: Millis): Liveness {
  const { heardAt, sentAt, writingSince, probe } = facts;
  const stall = writingSince === undefined ? NEVER : after(writingSince, STALL);
  const blocked = writingSince !== undefined && probe?.urgent !== true;
  const silent = after(heardAt, READ_TIMEOUT);
  if (now >= silent) return { verdict: 'silent', lookAt: NEVER };
  if (now >= stall) return { verdict: 'stalled', lookAt: NEVER };
  if (probe !== undefined && !blocked) {
    if (now >= probe.until) return { verdict: 'silent', lookAt: NEVER };
    return { verdict: 'fine', lookAt: least(probe.until, stall, silent) };
  }
  if (blocked) return { verdict: 'fine', lookAt: least(stall, silent) };
  const due = least(
    after(heardAt, PING_AFTER),
    sentAt > heardAt ? after(sentAt, PING_AFTER_SENDING) : NEVER,
  );
  if (now >= due) return { verdict: 'ping', lookAt: after(now, PONG_WAIT) };
  return { verdict: 'fine', lookAt: least(due, stall) };
}

const least = (...instants: readonly Millis[]): Millis => Math.min(...instants) as Millis;
