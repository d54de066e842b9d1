/**
 * The ways to one peer: which endpoint is best, how far it is trusted, and what to ask next.
 *
 *                  traffic                      pong
 *     idle ------------------> searching --------------------> trusted <--+
 *      ^  ^                     relay only       direct only    |   |     | pong
 *      |  |                         ^            (6.5 s each)   |   |     |
 *      |  +-- 45 s of silence       |                           |   +--> doubted
 *      |                            +-- best's ping timed out --|------- relay and direct
 *      +------------------ 45 s of silence ---------------------+
 *
 * `phaseOf` alone draws the picture, from the facts of the moment. A pong trusts its endpoint; a heartbeat
 * every 3 s keeps the trust. A heartbeat unanswered for 1.5 s, while we send and nothing comes back, ends the
 * trust at once: a path that died under traffic is doubled by the relay after 4.5 s at most, not after 6.5 s.
 * The peer then calls, and that ends our trust as well, as does a ping from where none came before. Where no way
 * is known, the source of a handshake is one, trusted for its answer alone.
 *
 * Never more than 10 probes a second to a peer's endpoints, whatever a map, a call or a peer says, and none
 * at all to an idle peer that does not call. A ping is answered elsewhere: that is a courtesy, not a state.
 *
 * Source: timers and score as stock clients 1.102.3 have them, but for the early doubt.
 */

import type { Endpoint } from '../../base/endpoint.ts';
import type { Millis } from '../../base/time.ts';
import { after, millis, NEVER, seconds } from '../../base/time.ts';
import type { Candidate } from './candidates.ts';
import { Candidates, LONG_AGO } from './candidates.ts';
import type { PathPhase, PathPlan, Traffic } from './path-phase.ts';
import { phaseOf } from './path-phase.ts';
import type { Best } from './path-score.ts';
import { isBetter } from './path-score.ts';
import { ProbeBudget } from './probe-budget.ts';
import { SentPings } from './sent-pings.ts';
import { Suspicion } from './suspicion.ts';

/** No data for so long: the peer is idle. */
export const ACTIVE: Millis = seconds(45);
export const TRUST: Millis = seconds(6.5);
/** In a way that a handshake took: what waited for it goes there alone, what comes after a ping is due goes both ways. */
const TRUST_HEARD: Millis = millis(25);
const HEARTBEAT: Millis = seconds(3);
const PING_TIMEOUT: Millis = seconds(5);
const PING_AGAIN: Millis = seconds(5);
/** What a call lifts the pause to: two calls at once do not double the pings. */
const PING_AGAIN_CALLED: Millis = seconds(1);
/** The best endpoint while it is doubted; it is given up after PING_TIMEOUT. */
const PING_AGAIN_DOUBTED: Millis = millis(1500);
const UNANSWERED: Millis = millis(1500);
const CALL_AGAIN: Millis = seconds(5);
const CALL_RETRY: Millis = seconds(1);
/** A ping so young may yet be answered. */
const ON_ITS_WAY: Millis = millis(30);
/** So long after a best was found the first pings of both ends are over. */
const SETTLED: Millis = seconds(1);
const CALL_BACK: Millis = millis(500);
const HOPE_AGAIN: Millis = seconds(300);
/** A copy of a handshake message goes to each. */
const MOST_HOPES = 4;
const LOOK_FOR_BETTER: Millis = seconds(60);
/** Nothing better is looked for than a path this short. */
const SHORT_MILLIS = 5;

export class PeerPath {
  readonly #candidates = new Candidates();
  readonly #sent = new SentPings();
  readonly #budget = new ProbeBudget();
  #best: (Best & { readonly candidate: Candidate; readonly since: Millis }) | undefined;
  #trustedUntil: Millis = millis(0);
  readonly #suspicion = new Suspicion();
  #hopedAt: Millis = LONG_AGO;
  #lookedAt: Millis = LONG_AGO;
  #callAt: Millis = LONG_AGO;
  /** A call was heard whose pings have not all gone out. */
  #called = false;

  get best(): Best | undefined {
    return this.#best;
  }

  /** Past, or 0, where there is no trust. */
  get trustedUntil(): Millis {
    return this.#trustedUntil;
  }

  candidates(): Iterable<Candidate> {
    return this.#candidates.values();
  }

  /** How many pings may leave now. */
  probesLeft(now: Millis): number {
    return this.#budget.left(now);
  }

  setMap(endpoints: readonly Endpoint[], now: Millis): void {
    this.#candidates.setMap(endpoints, now);
  }

  /**
   * A ping of the peer's came from there: it may be where the peer is. From where none came before, its NAT may
   * have moved it, and what we send to the old one is lost though its pings reach us. One that the map or a call
   * has named means that only once the first pings of both ends, from wherever they are, are over.
   */
  pinged(source: Endpoint, now: Millis): void {
    const isNew = this.#candidates.get(source) === undefined;
    const candidate = this.#candidates.add(source, 'ping', now);
    if (candidate === undefined) return;
    const best = this.#best;
    const settled = best !== undefined && now >= best.since + SETTLED;
    const moved = settled && candidate !== best.candidate && !candidate.pingsUs;
    candidate.pingsUs = true;
    if (now >= this.#trustedUntil) this.#opened(candidate, now);
    if (isNew || moved) this.#suspect(now);
  }

  /**
   * The peer says where it is and that it pings us: ours must go out now, to open our own NAT to it. It would
   * not call if it trusted its path, so ours is doubted until a pong says better, a round trip later; our own
   * call waits for that.
   */
  called(endpoints: readonly Endpoint[], now: Millis): void {
    for (const endpoint of endpoints) this.#candidates.add(endpoint, 'call', now);
    this.#called = true;
    this.#suspect(now);
    this.#callAt = millis(Math.max(this.#callAt, now + CALL_BACK));
  }

  /** A ping leaves for `endpoint`, one of `candidates`. */
  pinging(endpoint: Endpoint, transaction: Uint8Array, now: Millis): void {
    const candidate = this.#candidates.get(endpoint);
    if (candidate === undefined) return;
    candidate.pingedAt = now;
    this.#budget.spend(now);
    this.#sent.add(transaction, candidate, now);
  }

  /** A call-me-maybe has left, or could not. */
  calling(left: boolean, now: Millis): void {
    this.#callAt = after(now, left ? CALL_AGAIN : CALL_RETRY);
  }

  /** The last call may not have arrived. */
  callAgain(): void {
    this.#callAt = LONG_AGO;
  }

  /** The endpoint that a pong proves; undefined where no ping of ours has that transaction. */
  pong(transaction: Uint8Array, now: Millis): Best | undefined {
    const ping = this.#sent.answered(transaction);
    if (ping === undefined) return undefined;
    const { candidate } = ping;
    const best = this.#best;
    const same = best?.candidate === candidate;
    const since = same ? best.since : now;
    const found = { endpoint: candidate.endpoint, latencyMillis: now - ping.at, candidate, since };
    candidate.latencyMillis = found.latencyMillis;
    this.#candidates.renew(candidate, now);
    if (same) this.#suspicion.answered(ping.at);
    if (best === undefined || same || now >= this.#trustedUntil || isBetter(found, best)) {
      this.#best = found;
      this.#trustedUntil = after(now, TRUST);
    }
    return found;
  }

  /** Our own network changed: nothing is proven any more, and everything may be asked at once. */
  doubt(): void {
    this.#trustedUntil = millis(0);
    this.#sent.clear();
    this.#lookedAt = LONG_AGO;
    this.#callAt = LONG_AGO;
    for (const candidate of this.#candidates.values()) candidate.pingedAt = LONG_AGO;
  }

  /** Where a handshake may find a peer that no way is known to; none for a while after that. */
  hopes(now: Millis): readonly Endpoint[] {
    if (this.#best !== undefined || now < this.#hopedAt + HOPE_AGAIN) return [];
    this.#hopedAt = now;
    const likely = this.#candidates.byLikelihood(undefined).slice(0, MOST_HOPES);
    return likely.map(({ endpoint }) => endpoint);
  }

  /** A handshake that has proved itself came from there: likely a way, where none is known; trusted for an answer. */
  heard(source: Endpoint, now: Millis): void {
    if (this.#best !== undefined) return;
    const candidate = this.#candidates.add(source, 'ping', now);
    if (candidate === undefined) return;
    this.#best = { endpoint: candidate.endpoint, latencyMillis: Infinity, candidate, since: now };
    this.#trustedUntil = after(now, TRUST_HEARD);
  }

  /** The peer itself started anew: what it was at before means nothing. */
  reset(): void {
    this.doubt();
    this.#best = undefined;
    this.#hopedAt = LONG_AGO;
    this.#suspicion.forget();
    this.#called = false;
    this.#candidates.reset();
  }

  plan(traffic: Traffic, now: Millis): PathPlan {
    this.#forgetOld(now);
    if (now >= this.#suspicion.dueAt) this.#suspect(now);
    this.#doubtSilence(traffic, now);
    const lastTraffic = Math.max(traffic.sent, traffic.received, traffic.wanted);
    const active = lastTraffic > 0 && now < lastTraffic + ACTIVE;
    const phase = phaseOf(active, this.#best, this.#trustedUntil, now);
    const look = this.#called || (active && (phase !== 'trusted' || this.#looksForBetter(now)));
    const due = this.#due(phase, look, now);
    const leaving = due.slice(0, this.#budget.left(now));
    const call = (phase === 'searching' || phase === 'doubted') && now >= this.#callAt;
    const ping = leaving.map(({ endpoint }) => endpoint);
    // What the budget left over stays due, and so does a call's round.
    if (leaving.length < due.length) return { phase, ping, call, wake: this.#budget.freeAt(now) };
    if (look) this.#lookedAt = now;
    this.#called = false;
    if (phase === 'idle') return { phase, ping, call, wake: NEVER };
    const wake = this.#wake(phase, new Set(leaving), millis(lastTraffic), now);
    return { phase, ping, call, wake };
  }

  /** Candidates to ping now, the likeliest first. */
  #due(phase: PathPhase, look: boolean, now: Millis): Candidate[] {
    const best = this.#best?.candidate;
    return this.#candidates
      .byLikelihood(best)
      .filter(
        (one) =>
          (look || (one === best && phase !== 'idle')) &&
          now >= one.pingedAt + this.#pause(one, phase),
      );
  }

  #looksForBetter(now: Millis): boolean {
    const short = (this.#best?.latencyMillis ?? 0) <= SHORT_MILLIS;
    return !short && now >= this.#lookedAt + LOOK_FOR_BETTER;
  }

  /** Between two pings to the same endpoint. */
  #pause(candidate: Candidate, phase: PathPhase): Millis {
    if (this.#called) return PING_AGAIN_CALLED;
    if (candidate !== this.#best?.candidate) return PING_AGAIN;
    return phase === 'trusted' ? HEARTBEAT : phase === 'doubted' ? PING_AGAIN_DOUBTED : PING_AGAIN;
  }

  #wake(
    phase: PathPhase,
    leaving: ReadonlySet<Candidate>,
    lastTraffic: Millis,
    now: Millis,
  ): Millis {
    const times: number[] = [lastTraffic + ACTIVE, this.#suspicion.dueAt];
    const best = this.#best?.candidate;
    for (const one of this.#candidates.values()) {
      if (phase === 'trusted' && one !== best) continue;
      const pingedAt = leaving.has(one) ? now : one.pingedAt;
      times.push(pingedAt + this.#pause(one, phase));
      if (one === best) times.push(pingedAt + UNANSWERED);
    }
    const callAt = this.#callAt > now ? this.#callAt : now + CALL_RETRY;
    times.push(phase === 'trusted' ? this.#trustedUntil : callAt);
    return millis(Math.min(...times.filter((time) => time > now)));
  }

  /** Pings that nobody will answer now; the best endpoint goes with its last one once it is not trusted. */
  #forgetOld(now: Millis): void {
    for (const { candidate } of this.#sent.takeOlder(millis(now - PING_TIMEOUT)))
      if (candidate === this.#best?.candidate && now >= this.#trustedUntil) this.#best = undefined;
    this.#candidates.expire(now);
    if (this.#best !== undefined && this.#candidates.get(this.#best.endpoint) === undefined)
      this.#best = undefined;
    if (this.#best === undefined) this.#trustedUntil = millis(0);
  }

  /** The peer's NAT lets us in there now; what we sent before may have died at it. */
  #opened(candidate: Candidate, now: Millis): void {
    if (now < candidate.pingedAt + ON_ITS_WAY || now < candidate.openedAt + PING_AGAIN) return;
    candidate.openedAt = now;
    candidate.pingedAt = LONG_AGO;
  }

  /** Ends the trust until a pong says better, and asks the best at once, lest a longer path take its place. */
  #suspect(now: Millis): void {
    if (!this.#suspicion.raise(now)) return;
    this.#trustedUntil = millis(0);
    if (this.#best !== undefined) this.#best.candidate.pingedAt = LONG_AGO;
  }

  #doubtSilence({ sent, received }: Traffic, now: Millis): void {
    if (now >= this.#trustedUntil) return;
    for (const { at } of this.#sent.to(this.#best?.candidate))
      if (now >= at + UNANSWERED && received < at && sent >= at) this.#trustedUntil = now;
  }
}
