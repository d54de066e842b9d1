/**
 * Where the node stands, in the words of `BackendState` that scripts know from stock clients.
 *
 *                                  ┌────── logged out, deleted, key expired ──────┐
 *                                  v                                              │
 *     NoState ──files read──> NeedsLogin ──member──> NeedsMachineAuth ──> Starting ──first map──> Running
 *                                  ^                                      ^                          │
 *                                  └─logged out── Stopped <───────────────┴────── not wanted ────────┘
 *
 * `next` alone draws the picture. It looks at the facts of this moment, never at the way that led here, so a missed
 * event cannot leave us in the wrong state. That the server is unreachable is no fact of it: members that know each
 * other talk on, from the last map, until keys expire.
 */

import type { UnixMillis } from '../../base/time.ts';

export type BackendState =
  | 'NoState'
  | 'NeedsLogin'
  | 'NeedsMachineAuth'
  | 'Stopped'
  | 'Starting'
  | 'Running';

export interface SessionFacts {
  /** Identity, prefs and the kept map have been read. */
  readonly loaded: boolean;
  /** A person wants the node up, and it survives a reboot. */
  readonly wantRunning: boolean;
  /** A person has logged it out. */
  readonly loggedOut: boolean;
  /** The server has accepted our node key, and has not said that it is gone. */
  readonly member: boolean;
  /** The server says that the machine still waits for an administrator. */
  readonly awaitsApproval: boolean;
  /** By the network's time; undefined: never. */
  readonly keyExpires: UnixMillis | undefined;
  /** The server says that the key has expired, whatever the time is. */
  readonly keyExpired: boolean;
  /** A map with our own node in it, from the server or from disk. */
  readonly haveMap: boolean;
}

/** As stock clients have it: a renewal that was made at the last moment may still be on its way. */
export const EXPIRY_GRACE_MILLIS = 10_000;

export function next(facts: SessionFacts, now: UnixMillis): BackendState {
  if (!facts.loaded) return 'NoState';
  if (facts.loggedOut || !facts.member) return 'NeedsLogin';
  if (!facts.wantRunning) return 'Stopped';
  if (isExpired(facts, now)) return 'NeedsLogin';
  if (facts.awaitsApproval) return 'NeedsMachineAuth';
  return facts.haveMap ? 'Running' : 'Starting';
}

export function isExpired(
  { keyExpires, keyExpired }: Pick<SessionFacts, 'keyExpires' | 'keyExpired'>,
  now: UnixMillis,
): boolean {
  return keyExpired || (keyExpires !== undefined && now >= keyExpires + EXPIRY_GRACE_MILLIS);
}
