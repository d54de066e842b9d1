/**
 * Where a peer may be: a bounded list of endpoints, each with who named it and for how long that holds.
 *
 *     map     as long as the map names it; 24 at most, so that no map crowds the others out
 *     call    named by the peer itself in a call-me-maybe; 5 minutes
 *     ping    the source of a ping of the peer's; 5 minutes
 *
 * A pong renews its endpoint by 5 minutes, whoever named it. A full list gives up the one that ends first.
 */

import type { Endpoint } from '../../base/endpoint.ts';
import { formatEndpoint } from '../../base/endpoint.ts';
import type { Millis } from '../../base/time.ts';
import { after, seconds } from '../../base/time.ts';
import { mayBeSentTo } from './address-kinds.ts';

export type CandidateOrigin = 'map' | 'call' | 'ping';

export interface Candidate {
  readonly endpoint: Endpoint;
  readonly text: string;
  origin: CandidateOrigin;
  inMap: boolean;
  /** A ping of the peer's came from there. */
  pingsUs: boolean;
  /** It was last pinged because of that; -Infinity for never. */
  openedAt: Millis;
  /** Kept until then without the map's help. */
  keepUntil: Millis;
  /** The last ping to it; -Infinity for never. */
  pingedAt: Millis;
  /** Round trip of the last pong. */
  latencyMillis: number | undefined;
}

export const MAX_CANDIDATES = 32;
const MAX_OF_MAP = 24;
const KEEP: Millis = seconds(300);

export const LONG_AGO: Millis = Number.NEGATIVE_INFINITY as Millis;

export class Candidates {
  readonly #all = new Map<string, Candidate>();

  get size(): number {
    return this.#all.size;
  }

  values(): Iterable<Candidate> {
    return this.#all.values();
  }

  get(endpoint: Endpoint): Candidate | undefined {
    return this.#all.get(formatEndpoint(endpoint));
  }

  /** The map's endpoints from now on; those that it names no more go, unless someone else vouches for them. */
  setMap(endpoints: readonly Endpoint[], now: Millis): void {
    const named = new Set<string>();
    for (const endpoint of endpoints) {
      if (named.size === MAX_OF_MAP) break;
      if (mayBeSentTo(endpoint)) named.add(this.#put(endpoint, 'map', now).text);
    }
    for (const candidate of this.#all.values()) candidate.inMap = named.has(candidate.text);
    this.expire(now);
  }

  /** The likeliest first; `best` before all. */
  byLikelihood(best: Candidate | undefined): Candidate[] {
    const order = (one: Candidate): number =>
      one === best ? 3 : one.latencyMillis !== undefined ? 2 : one.inMap ? 0 : 1;
    return [...this.#all.values()].sort((a, b) => order(b) - order(a));
  }

  /** @returns undefined for an endpoint to which nothing may be sent */
  add(endpoint: Endpoint, origin: 'call' | 'ping', now: Millis): Candidate | undefined {
    if (!mayBeSentTo(endpoint)) return undefined;
    const candidate = this.#put(endpoint, origin, now);
    this.renew(candidate, now);
    return candidate;
  }

  renew(candidate: Candidate, now: Millis): void {
    candidate.keepUntil = after(now, KEEP);
  }

  expire(now: Millis): void {
    for (const candidate of this.#all.values())
      if (!candidate.inMap && candidate.keepUntil <= now) this.#all.delete(candidate.text);
  }

  /** Forgets all but what the map names, and what was measured. */
  reset(): void {
    for (const candidate of this.#all.values()) {
      if (!candidate.inMap) this.#all.delete(candidate.text);
      candidate.pingsUs = false;
      candidate.pingedAt = LONG_AGO;
      candidate.keepUntil = LONG_AGO;
      candidate.latencyMillis = undefined;
    }
  }

  #put(endpoint: Endpoint, origin: CandidateOrigin, now: Millis): Candidate {
    const text = formatEndpoint(endpoint);
    const known = this.#all.get(text);
    if (known !== undefined) return known;
    if (this.#all.size >= MAX_CANDIDATES) this.#makeRoom();
    const candidate: Candidate = {
      endpoint,
      text,
      origin,
      inMap: origin === 'map',
      pingsUs: false,
      openedAt: LONG_AGO,
      keepUntil: now,
      pingedAt: LONG_AGO,
      latencyMillis: undefined,
    };
    this.#all.set(text, candidate);
    return candidate;
  }

  /** One that has answered lately ends late, so that a flood of false ones cannot push it out soon. */
  #makeRoom(): void {
    let first: Candidate | undefined;
    for (const candidate of this.#all.values()) {
      if (candidate.inMap) continue;
      if (first === undefined || rank(candidate) < rank(first)) first = candidate;
    }
    if (first !== undefined) this.#all.delete(first.text);
  }
}

const rank = ({ keepUntil, latencyMillis }: Candidate): number =>
  keepUntil + (latencyMillis === undefined ? 0 : KEEP);
