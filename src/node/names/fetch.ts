/**
 * One question asked of several resolvers, until one answers.
 *
 *     0 ms      first resolver by UDP
 *     800 ms    still nothing: the next one as well; the earlier may still answer
 *     at once   the next one, where a resolver refuses, fails or cannot be reached
 *     TC set    the same resolver again by TCP; if that fails, the cut answer is the answer
 *     4.5 s     over: the best that was heard, or nothing; a libc asks again, or gives up, after 5 s
 *
 * Every try has an id and a socket of its own, so that whoever wants to forge an answer has 32 bits to guess
 * and the question to know (RFC 5452). The resolver list is gone through twice, since a datagram gets lost.
 */

import type { Env } from '../../base/env.ts';
import { after, millis } from '../../base/time.ts';
import { RCODE } from '../../protocol/dns/constants.ts';
import type { DnsQuery } from '../../protocol/dns/query.ts';
import type { ResolverAddress } from '../../protocol/dns/resolver-address.ts';
import { frame, Unframer } from '../../protocol/dns/stream.ts';
import type { UpstreamAnswer } from '../../protocol/dns/upstream.ts';
import { readUpstream, upstreamQuery } from '../../protocol/dns/upstream.ts';
import type { Closable, NamesNetwork, Wire } from './ports.ts';

export const NEXT_AFTER_MS = 800;
export const GIVE_UP_MS = 4500;
const ROUNDS = 2;
/** A server that sends more rubbish than this for one question is not listened to. */
const MAX_FALSE_ANSWERS = 16;

export interface Fetched {
  readonly answer: UpstreamAnswer;
  readonly resolver: ResolverAddress;
}

export interface FetchReport {
  /** A resolver has not done its duty: it is asked last for a while. */
  failed(resolver: ResolverAddress): void;
  count(reason: string): void;
}

type FetchEnv = Pick<Env, 'now' | 'random' | 'setTimer'>;

export class Fetch implements Closable {
  readonly #query: DnsQuery;
  readonly #env: FetchEnv;
  readonly #network: NamesNetwork;
  readonly #report: FetchReport;
  readonly #done: (fetched: Fetched | undefined) => void;
  readonly #tries: ResolverAddress[];
  readonly #open = new Set<Wire>();
  readonly #heard = new Set<ResolverAddress>();
  readonly #asked = new Set<ResolverAddress>();
  readonly #endTimer: () => void;
  #nextTimer: () => void = () => {};
  #second: Fetched | undefined;
  #over = false;

  constructor(
    query: DnsQuery,
    resolvers: readonly ResolverAddress[],
    rest: {
      readonly env: FetchEnv;
      readonly network: NamesNetwork;
      readonly report: FetchReport;
      readonly done: (fetched: Fetched | undefined) => void;
    },
  ) {
    this.#query = query;
    this.#env = rest.env;
    this.#network = rest.network;
    this.#report = rest.report;
    this.#done = rest.done;
    this.#tries = Array.from({ length: ROUNDS }, () => resolvers).flat();
    this.#endTimer = this.#timer(GIVE_UP_MS, () => this.#finish(this.#second));
    this.#next();
  }

  close(): void {
    this.#finish(undefined);
  }

  #next(): void {
    this.#nextTimer();
    if (this.#over) return;
    const resolver = this.#tries.shift();
    if (resolver === undefined) {
      if (this.#open.size === 0) this.#finish(this.#second);
      return;
    }
    // One that has already said no is not asked a second time.
    if (this.#heard.has(resolver)) {
      this.#next();
      return;
    }
    this.#nextTimer = this.#timer(NEXT_AFTER_MS, () => this.#next());
    this.#askUdp(resolver);
  }

  #askUdp(resolver: ResolverAddress): void {
    this.#asked.add(resolver);
    const id = this.#id();
    let rubbish = 0;
    const wire = this.#keep(
      this.#network.askUdp(resolver, {
        heard: (message) => {
          if (!this.#open.has(wire)) return;
          const answer = readUpstream(message, id, this.#query.question);
          if (typeof answer === 'string') {
            this.#report.count(answer);
            if (++rubbish >= MAX_FALSE_ANSWERS) this.#fail(wire, resolver);
            return;
          }
          this.#drop(wire);
          if (answer.truncated) this.#askTcp(resolver, { answer, resolver });
          else this.#take({ answer, resolver });
        },
        closed: () => this.#fail(wire, resolver),
      }),
    );
    wire.send(upstreamQuery(this.#query, id));
  }

  #askTcp(resolver: ResolverAddress, cut: Fetched): void {
    this.#nextTimer();
    this.#second = cut;
    const id = this.#id();
    const unframer = new Unframer();
    const wire = this.#keep(
      this.#network.askTcp(resolver, {
        heard: (bytes) => {
          const [message] = this.#open.has(wire) ? unframer.push(bytes) : [];
          if (message === undefined) return;
          const answer = readUpstream(message, id, this.#query.question);
          if (typeof answer === 'string') this.#report.count(answer);
          this.#finish(typeof answer === 'string' ? cut : { answer, resolver });
        },
        closed: () => {
          if (this.#open.has(wire)) this.#finish(cut);
        },
      }),
    );
    wire.send(frame(upstreamQuery(this.#query, id)));
  }

  #take(fetched: Fetched): void {
    const { rcode } = fetched.answer;
    if (rcode === RCODE.NOERROR || rcode === RCODE.NXDOMAIN) {
      this.#finish(fetched);
    } else {
      this.#second ??= fetched;
      this.#refused(fetched.resolver);
    }
  }

  #fail(wire: Wire, resolver: ResolverAddress): void {
    if (!this.#open.has(wire)) return;
    this.#drop(wire);
    this.#refused(resolver);
  }

  #refused(resolver: ResolverAddress): void {
    this.#heard.add(resolver);
    this.#report.failed(resolver);
    this.#next();
  }

  #finish(fetched: Fetched | undefined): void {
    if (this.#over) return;
    this.#over = true;
    this.#nextTimer();
    this.#endTimer();
    for (const wire of [...this.#open]) this.#drop(wire);
    // Who was asked before the one that answered has kept silent for at least as long as it takes to go on.
    for (const resolver of this.#asked) {
      if (resolver === fetched?.resolver) break;
      if (!this.#heard.has(resolver)) this.#report.failed(resolver);
    }
    this.#done(fetched);
  }

  #keep(wire: Wire): Wire {
    this.#open.add(wire);
    return wire;
  }

  #drop(wire: Wire): void {
    this.#open.delete(wire);
    wire.close();
  }

  #id(): number {
    const [high = 0, low = 0] = this.#env.random(2);
    return (high << 8) | low;
  }

  #timer(ms: number, action: () => void): () => void {
    return this.#env.setTimer(after(this.#env.now(), millis(ms)), action);
  }
}
