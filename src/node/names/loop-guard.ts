/**
 * Resolvers that ask us what we ask them. A program of this machine (dnsmasq, unbound) may read the same
 * resolv.conf that we write, and so forward to us what we forward to it.
 *
 *     to each resolver on this machine:   a question for a name of chance, once
 *     the name comes back to our own port -> that resolver loops; it is asked nothing more
 *
 * The name stands below `example`, which no resolver answers by itself, as some do for `test` and `invalid`,
 * and which the root answers with NXDOMAIN (RFC 6761 6.5): nobody outside learns anything from it. Our own
 * addresses are struck out without a question.
 */

import { equalBytes, toHex } from '../../base/bytes.ts';
import type { Env } from '../../base/env.ts';
import { FLAG, TYPE } from '../../protocol/dns/constants.ts';
import { nameBytes } from '../../protocol/dns/name.ts';
import type { DnsQuery } from '../../protocol/dns/query.ts';
import type { ResolverAddress } from '../../protocol/dns/resolver-address.ts';
import { formatResolver } from '../../protocol/dns/resolver-address.ts';

const SUFFIX = '.postern-loop.example';
const CHANCE_BYTES = 16;

export interface LoopGuardOptions {
  readonly env: Env;
  readonly addresses: readonly Uint8Array[];
  readonly port: number;
  isOwnAddress(address: Uint8Array): boolean;
  /** Sends a question on; its answer is of no interest. */
  ask(query: DnsQuery, resolver: ResolverAddress): void;
  /** A resolver has been found to loop. */
  found(resolver: ResolverAddress): void;
}

export class LoopGuard {
  readonly #options: LoopGuardOptions;
  /** Resolvers by text: asked, or found to loop. */
  readonly #states = new Map<string, 'asked' | 'loops'>();
  readonly #questions = new Map<string, ResolverAddress>();

  constructor(options: LoopGuardOptions) {
    this.#options = options;
  }

  /** Those of `resolvers` that can be asked without asking ourselves. */
  usable(resolvers: readonly ResolverAddress[]): readonly ResolverAddress[] {
    return resolvers.filter(
      (one) => !this.#isSelf(one) && this.#states.get(formatResolver(one)) !== 'loops',
    );
  }

  get looping(): readonly string[] {
    return [...this.#states].filter(([, state]) => state === 'loops').map(([text]) => text);
  }

  /** Tries those not yet tried. Our own port must be open already. */
  probe(resolvers: readonly ResolverAddress[]): void {
    for (const resolver of resolvers) {
      const text = formatResolver(resolver);
      if (this.#isSelf(resolver) || this.#states.has(text)) continue;
      if (!this.#options.isOwnAddress(resolver.address)) continue;
      this.#states.set(text, 'asked');
      const name = `${toHex(this.#options.env.random(CHANCE_BYTES))}${SUFFIX}`;
      this.#questions.set(name, resolver);
      this.#options.ask(questionFor(name), resolver);
    }
  }

  /** Whether a name that was asked of us is one of our own questions, which is then noted. */
  caught(name: string): boolean {
    if (!name.endsWith(SUFFIX)) return false;
    const resolver = this.#questions.get(name);
    if (resolver === undefined) return false;
    this.#questions.delete(name);
    this.#states.set(formatResolver(resolver), 'loops');
    this.#options.found(resolver);
    return true;
  }

  /** The system's resolvers may have changed: who looped may loop no more. */
  reset(): void {
    this.#states.clear();
    this.#questions.clear();
  }

  #isSelf({ address, port }: ResolverAddress): boolean {
    const { addresses, port: own } = this.#options;
    return port === own && addresses.some((one) => equalBytes(one, address));
  }
}

function questionFor(name: string): DnsQuery {
  const bytes = Uint8Array.from([...(nameBytes(name) as Uint8Array), 0, TYPE.A, 0, 1]);
  return { id: 0, flags: FLAG.RD, question: { name, type: TYPE.A, bytes }, edns: undefined };
}
