/**
 * Questions that are not ours: passed on to resolvers, each question once however many ask it.
 *
 *     in cache ──> answered, aged
 *     under way ──> joins those who wait
 *     else ──> Fetch ──> cache ──> all who wait
 *
 * That a question under way is never sent a second time also ends every loop: a resolver that asks us what we
 * ask it waits for itself and nobody else, until the loop guard strikes it out (loop-guard.ts).
 *
 * Bounds: 256 questions under way, 64 waiting for one. Beyond that the asker is told to ask elsewhere.
 */

import type { Env } from '../../base/env.ts';
import type { Millis } from '../../base/time.ts';
import { seconds } from '../../base/time.ts';
import type { DnsQuery } from '../../protocol/dns/query.ts';
import type { ResolverAddress } from '../../protocol/dns/resolver-address.ts';
import { formatResolver } from '../../protocol/dns/resolver-address.ts';
import { Cache } from './cache.ts';
import { Fetch, type Fetched } from './fetch.ts';
import type { NamesNetwork } from './ports.ts';

const MAX_UNDER_WAY = 256;
const MAX_WAITING = 64;
/** A resolver that failed is asked last for this long. */
const SHUNNED: Millis = seconds(30);
const MAX_SHUNNED = 64;

export interface Forwarded {
  readonly message: Uint8Array;
  /** Undefined: remembered. */
  readonly resolver: ResolverAddress | undefined;
}

interface UnderWay {
  readonly fetch: Fetch;
  readonly promise: Promise<Fetched | undefined>;
  waiting: number;
}

export class Forwarder {
  readonly #env: Env;
  readonly #network: NamesNetwork;
  readonly #count: (reason: string) => void;
  readonly #cache = new Cache();
  readonly #underWay = new Map<string, UnderWay>();
  readonly #shunned = new Map<string, number>();
  /** Answers to questions of an earlier setting do not enter the cache of this one. */
  #generation = 0;

  constructor(env: Env, network: NamesNetwork, count: (reason: string) => void) {
    this.#env = env;
    this.#network = network;
    this.#count = count;
  }

  get cached(): number {
    return this.#cache.size;
  }

  get underWay(): number {
    return this.#underWay.size;
  }

  /** The answer, or undefined where nobody gave one in time. */
  async ask(
    query: DnsQuery,
    resolvers: readonly ResolverAddress[],
  ): Promise<Forwarded | undefined> {
    const key = keyOf(query);
    const remembered = this.#cache.get(key, this.#env.now());
    if (remembered !== undefined) {
      this.#count('dns: from cache');
      return { message: remembered, resolver: undefined };
    }
    const known = this.#underWay.get(key);
    if (known === undefined && this.#underWay.size >= MAX_UNDER_WAY)
      return this.#refuse('dns: too many questions under way');
    if (known !== undefined && known.waiting >= MAX_WAITING)
      return this.#refuse('dns: too many wait for one answer');
    if (known === undefined && resolvers.length === 0) return this.#refuse('dns: no resolver');
    const entry = known ?? this.#start(key, query, resolvers);
    entry.waiting++;
    const fetched = await entry.promise;
    return fetched && { message: fetched.answer.message, resolver: fetched.resolver };
  }

  /** What was learnt under another setting, or before the network changed, says nothing now. */
  forget(): void {
    this.#generation++;
    this.#cache.clear();
    this.#shunned.clear();
  }

  close(): void {
    for (const { fetch } of [...this.#underWay.values()]) fetch.close();
  }

  #start(key: string, query: DnsQuery, resolvers: readonly ResolverAddress[]): UnderWay {
    const { promise, resolve } = Promise.withResolvers<Fetched | undefined>();
    const generation = this.#generation;
    let over = false;
    const fetch = new Fetch(query, this.#inOrder(resolvers), {
      env: this.#env,
      network: this.#network,
      report: { failed: (resolver) => this.#shun(resolver), count: this.#count },
      done: (fetched) => {
        over = true;
        this.#underWay.delete(key);
        this.#count(fetched === undefined ? 'dns: no answer' : 'dns: forwarded');
        if (fetched !== undefined && generation === this.#generation)
          this.#cache.put(key, fetched.answer, this.#env.now());
        resolve(fetched);
      },
    });
    const entry = { fetch, promise, waiting: 0 };
    if (!over) this.#underWay.set(key, entry);
    return entry;
  }

  /** As given, those that failed lately last. */
  #inOrder(resolvers: readonly ResolverAddress[]): readonly ResolverAddress[] {
    const now = this.#env.now();
    const shunned = (resolver: ResolverAddress): boolean =>
      (this.#shunned.get(formatResolver(resolver)) ?? 0) > now;
    return [...resolvers.filter((one) => !shunned(one)), ...resolvers.filter(shunned)];
  }

  #shun(resolver: ResolverAddress): void {
    if (this.#shunned.size >= MAX_SHUNNED) this.#shunned.clear();
    this.#shunned.set(formatResolver(resolver), this.#env.now() + SHUNNED);
  }

  #refuse(reason: string): undefined {
    this.#count(reason);
    return undefined;
  }
}

/** Two with one key can share an answer: it differs in id and letter case only. */
function keyOf({ question, flags, edns }: DnsQuery): string {
  const asker = edns === undefined ? '-' : Number(edns.dnssecOk);
  return `${question.type} ${flags} ${asker} ${question.name}`;
}
