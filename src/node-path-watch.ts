/**
 * How fast it goes to each peer in use, and since when by the way that it goes now: a look every two seconds at
 * counters that are there anyway. Who is idle is not looked at, and forgotten.
 */

import type { Env } from './base/env.ts';
import type { Millis } from './base/time.ts';
import { after, seconds } from './base/time.ts';

const EVERY: Millis = seconds(2);

/** A peer in use, as it is now. */
export interface UsedPeer {
  readonly key: string;
  /** `direct 192.0.2.1:41641`, `relay home`. */
  readonly way: string;
  readonly bytesReceived: number;
  readonly bytesSent: number;
}

export interface WatchedPath {
  /** Bits a second between the last two looks; 0 before the second. */
  readonly rxBps: number;
  readonly txBps: number;
  readonly since: Millis;
}

interface Seen extends WatchedPath, UsedPeer {
  readonly at: Millis;
}

export class PathWatch {
  readonly #env: Pick<Env, 'now' | 'setTimer'>;
  readonly #used: () => readonly UsedPeer[];
  #seen: ReadonlyMap<string, Seen> = new Map();
  #cancel: () => void = () => {};

  constructor(env: Pick<Env, 'now' | 'setTimer'>, used: () => readonly UsedPeer[]) {
    this.#env = env;
    this.#used = used;
    this.#look();
  }

  of(key: string): WatchedPath | undefined {
    return this.#seen.get(key);
  }

  close(): void {
    this.#cancel();
  }

  #look(): void {
    const now = this.#env.now();
    this.#seen = new Map(this.#used().map((peer) => [peer.key, seenAt(now, peer, this.#seen)]));
    this.#cancel = this.#env.setTimer(after(now, EVERY), () => this.#look());
  }
}

function seenAt(now: Millis, peer: UsedPeer, all: ReadonlyMap<string, Seen>): Seen {
  const before = all.get(peer.key);
  if (before === undefined) return { ...peer, at: now, rxBps: 0, txBps: 0, since: now };
  const took = Math.max(1, now - before.at) / 1000;
  // Counters of a peer that lost its slot begin anew.
  const rate = (bytes: number, last: number): number =>
    Math.round((Math.max(0, bytes - last) * 8) / took);
  return {
    ...peer,
    at: now,
    rxBps: rate(peer.bytesReceived, before.bytesReceived),
    txBps: rate(peer.bytesSent, before.bytesSent),
    since: peer.way === before.way ? before.since : now,
  };
}
