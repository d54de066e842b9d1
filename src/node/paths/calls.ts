/**
 * Call-me-maybes: they tell the peer where we are, and have it ping us.
 *
 * A call waits for a round of STUN where the last one is too old, but not for long: an old endpoint, or none,
 * still has the peer ping us. After a move it tells two lists, first where we were and then where we are: a
 * stock client drops an endpoint that was in one call and is not in the next, and sends to one that it trusts
 * for 6.5 s more otherwise, whatever comes from elsewhere.
 */

import type { Endpoint } from '../../base/endpoint.ts';
import { sameEndpoint } from '../../base/endpoint.ts';
import type { Env } from '../../base/env.ts';
import type { Millis } from '../../base/time.ts';
import { after, millis, seconds } from '../../base/time.ts';
import type { PathPhase } from '../../protocol/disco/path-phase.ts';
import type { Conversation } from './conversation.ts';
import type { NetworkFacts } from './network-facts.ts';
import type { PeerEntry, PeerUse } from './peer-table.ts';
import { relayOf } from './peer-table.ts';

const WAITS: Millis = millis(500);
/** So old a STUN answer may be told to a peer; NATs keep a mapping for 30 s at least. */
const STUN_FRESH: Millis = seconds(27);
/** Where a path has just died, our NAT may have been what died. Others whose paths did share the round. */
const STUN_FRESH_DOUBTED: Millis = seconds(1);
/** The newest; the peer pings each of them once more. */
const MAX_FORMER = 4;
/** Longer than a trust, for the relay may have to be dialled first. */
const FORMER_COUNTS: Millis = seconds(15);

export class Calls {
  readonly #env: Env;
  readonly #facts: NetworkFacts;
  readonly #talk: Conversation;
  readonly #waiting = new Set<PeerEntry>();

  constructor(env: Env, facts: NetworkFacts, talk: Conversation) {
    this.#env = env;
    this.#facts = facts;
    this.#talk = talk;
  }

  /** One whose path has just died is told at once, and again if our NAT turns out to have moved us. */
  due(entry: PeerEntry, use: PeerUse, phase: PathPhase): void {
    const now = this.#env.now();
    use.path.calling(true, now);
    if (entry.peer.discoKey === undefined || relayOf(entry) === 0) return;
    const fresh = this.#facts.isFresh(phase === 'doubted' ? STUN_FRESH_DOUBTED : STUN_FRESH);
    if (fresh || phase === 'doubted') this.#now(entry, use);
    if (fresh) return;
    if (this.#waiting.size === 0)
      this.#env.setTimer(after(now, WAITS), () => this.endpointsKnown());
    this.#waiting.add(entry);
    this.#facts.refresh();
  }

  /** STUN has answered, or will not: calls go with what is known. */
  endpointsKnown(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const entry of waiting) if (entry.use !== undefined) this.#now(entry, entry.use);
  }

  /** We may be elsewhere now: what the peer may still send to is where it saw us, or a port of our gateway's. */
  moved(use: PeerUse): void {
    const mapped = this.#facts.endpoints.filter(({ type }) => type === 'port-mapped');
    const former: Endpoint[] = [];
    for (const one of [use.seenFrom, ...mapped.map(({ endpoint }) => endpoint), ...use.former])
      if (one !== undefined && !former.some((other) => sameEndpoint(one, other))) former.push(one);
    use.former = former.slice(0, MAX_FORMER);
    use.formerUntil = after(this.#env.now(), FORMER_COUNTS);
  }

  remove(entry: PeerEntry): void {
    this.#waiting.delete(entry);
  }

  clear(): void {
    this.#waiting.clear();
  }

  #now(entry: PeerEntry, use: PeerUse): void {
    const region = relayOf(entry);
    const endpoints = this.#facts.endpoints.map(({ endpoint }) => endpoint);
    const now = this.#env.now();
    if (now >= use.formerUntil) use.former = [];
    if (use.former.length > 0) this.#talk.call(entry, region, use.former);
    use.path.calling(this.#talk.call(entry, region, endpoints), now);
  }
}
