/**
 * The timers of one peer (the paper, 6), as one function from facts to what is due and when to look next.
 *
 *     no keypair --initiate--> handshake --response--> keypair ----540 s without a new one----> wiped
 *          ^                   |  ^  |                    |
 *          |                   |  |  +--retryAt: retry initiation
 *          +---90 s: give up---+  +--initiate: data sent, nothing heard for 15 s + jitter
 *
 *     with a keypair    data received, nothing sent for 10 s       send keepalive
 *     always, if set    nothing sent or received for the interval  send persistent keepalive
 *
 * Not decided here: that an initiator renews its keypair when it sends at an age of 120 s, or receives at one
 * of 165 s; the packet path sees that as it happens, and asks for a handshake. Neither is the first handshake,
 * which a waiting packet asks for.
 *
 * The function remembers nothing: what is due stays due until the facts show that it was done. Doing it twice
 * harms nobody (an initiation while a handshake is under way is none). An instant of 0 is "never".
 */

import type { Millis } from '../../base/time.ts';
import { after, NEVER } from '../../base/time.ts';
import {
  KEEPALIVE_TIMEOUT,
  REKEY_ATTEMPT_TIME,
  SILENCE_TIME,
  WIPE_AFTER_TIME,
} from './constants.ts';

/** Our handshake under way. */
export interface HandshakeFacts {
  /** When the first of its initiations was sent. */
  readonly startedAt: Millis;
  readonly lastInitiationAt: Millis;
  /** `lastInitiationAt`, REKEY_TIMEOUT and some jitter later; less with a key that peers may not know yet. */
  readonly retryAt: Millis;
}

export interface TimerFacts {
  /** Authenticated packets of any kind, keepalives among them. */
  readonly lastReceived: Millis;
  readonly lastSent: Millis;
  readonly lastDataSent: Millis;
  /** First data sent since the last authenticated receipt. */
  readonly unansweredSend: Millis;
  /** First data received since the last packet sent. */
  readonly unansweredReceive: Millis;
  readonly handshake: HandshakeFacts | null;
  /** When a handshake was last given up: what was sent before counts no more. */
  readonly gaveUpAt: Millis;
  /** When the newest keypair was made, whoever initiated; 0 again once wiped. */
  readonly lastKeypairAt: Millis;
  /** There is a keypair to send under, younger than REJECT_AFTER_TIME. */
  readonly hasKeypair: boolean;
  /** 0: off. */
  readonly persistentKeepalive: Millis;
  /** 0 to less than MAX_JITTER, chosen anew for each handshake. */
  readonly jitter: Millis;
}

export type TimerAction =
  | 'send keepalive'
  /** Starts a handshake: the other end may have lost its keys. */
  | 'initiate'
  /** Sends a new initiation of the handshake under way, and sets `retryAt` anew. */
  | 'retry initiation'
  /** Ends the handshake and drops the packets that wait for it. */
  | 'give up'
  | 'wipe keypairs'
  /** Sends a keepalive or, where there is no keypair, starts a handshake, whose end is a packet as well. */
  | 'send persistent keepalive';

export interface Due {
  /** In the order in which to do them. */
  readonly actions: readonly TimerAction[];
  /** The next instant at which something becomes due if the facts stay: always later than `now`. */
  readonly checkAt: Millis;
}

/** What is due at `now`, the due instant itself included. */
export function due(facts: TimerFacts, now: Millis): Due {
  const actions: TimerAction[] = [];
  let checkAt = NEVER;
  const at = (instant: Millis, action: TimerAction): void => {
    if (instant <= now) actions.push(action);
    else if (instant < checkAt) checkAt = instant;
  };
  if (facts.lastKeypairAt > 0) at(after(facts.lastKeypairAt, WIPE_AFTER_TIME), 'wipe keypairs');
  if (facts.handshake !== null) {
    const giveUpAt = after(facts.handshake.startedAt, REKEY_ATTEMPT_TIME);
    at(giveUpAt, 'give up');
    if (now < giveUpAt) at(facts.handshake.retryAt, 'retry initiation');
  } else {
    at(silenceAt(facts, now), 'initiate');
  }
  if (facts.hasKeypair && facts.unansweredReceive > 0)
    at(after(facts.unansweredReceive, KEEPALIVE_TIMEOUT), 'send keepalive');
  at(persistentAt(facts), 'send persistent keepalive');
  return { actions, checkAt };
}

/**
 * When data has gone unanswered for too long. A new keypair is an answer too, and giving up an end of waiting;
 * data sent later starts the wait again, but the mark of the first unanswered may still show the earlier one.
 * Then the wait counts from the handshake's end, and where nothing was sent after it, it is looked at again
 * for as long as there is a keypair to send under. Data of the same millisecond is later: it waited for it.
 */
function silenceAt(facts: TimerFacts, now: Millis): Millis {
  const { unansweredSend, lastDataSent, hasKeypair, jitter } = facts;
  if (unansweredSend === 0) return NEVER;
  const ended = max(facts.lastKeypairAt, facts.gaveUpAt);
  const patience = after(SILENCE_TIME, jitter);
  if (unansweredSend >= ended || lastDataSent >= ended)
    return after(max(unansweredSend, ended), patience);
  if (!hasKeypair) return NEVER;
  return after(max(ended, now), patience);
}

/** Counts from the last traffic either way, handshakes included; due at once where there was none yet. */
function persistentAt(facts: TimerFacts): Millis {
  const { persistentKeepalive, handshake, hasKeypair } = facts;
  if (persistentKeepalive === 0 || (handshake !== null && !hasKeypair)) return NEVER;
  const last = max(
    facts.lastSent,
    facts.lastReceived,
    facts.lastKeypairAt,
    facts.gaveUpAt,
    handshake?.lastInitiationAt ?? facts.gaveUpAt,
  );
  return last === 0 ? last : after(last, persistentKeepalive);
}

function max(...instants: readonly Millis[]): Millis {
  return Math.max(...instants) as Millis;
}
