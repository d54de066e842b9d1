/**
 * The packet filter of a map, read word by word: what each rule says, and how much of it says nothing.
 *
 *     SrcIPs     * (whoever), address, prefix, first-last, cap:NAME (the nodes that hold it)
 *     DstPorts   the same without cap:, and a range of ports
 *     IPProto    numbers; none at all: TCP, UDP, ICMP, ICMPv6
 *
 * A word that cannot be read is left out and counted; the rest of its rule stands, since rules only ever allow.
 * A rule whose protocols are all unreadable allows nothing, while one that names none allows the usual four:
 * the two must not be mistaken for one another. Protocol 0 is such a word too: the data plane's 0 means any.
 *
 * `*` as a source is every address, as stock receivers have it: with a subnet router that does not translate
 * sources it is more than the mesh. That a source belongs to its peer, the data plane has judged before.
 *
 * Source: reference/protocol.md 6 and 8.
 */

import type { Prefix } from '../base/prefix.ts';
import type { FilterRule } from '../protocol/tailcfg/map-types.ts';
import type { AddressSet } from './address-set.ts';
import { parseAddresses, prefixSet, union } from './address-set.ts';
import { ICMP, ICMPV6, LAST_PORT, TCP, UDP } from './packet-rule.ts';

/** What a rule without IPProto speaks of. */
const USUAL_PROTOCOLS: readonly number[] = [TCP, UDP, ICMP, ICMPV6];

/** A map of 10,000 nodes has 20,000 sources; to read so many words takes 0.3 s. */
const MAX_WORDS = 250_000;

/** One rule of the map. */
export interface Grant {
  /** Its place in the map's list. */
  readonly index: number;
  readonly sources: AddressSet;
  readonly targets: readonly Target[];
  readonly protocols: ReadonlySet<number>;
}

export interface Target {
  readonly addresses: AddressSet;
  readonly firstPort: number;
  readonly lastPort: number;
}

/** Why a word, or a rule, was left out. */
export type FilterSkip =
  | 'filter: rule is none'
  | 'filter: source unreadable'
  | 'filter: capability that nobody has'
  | 'filter: target unreadable'
  | 'filter: absurd ports'
  | 'filter: absurd protocol'
  | 'filter: more words than are read';

export interface FilterReading {
  readonly grants: readonly Grant[];
  readonly skipped: ReadonlyMap<FilterSkip, number>;
}

/** @param holders addresses of the nodes that hold a capability, by its name without `cap:` */
export function readFilter(
  rules: readonly FilterRule[],
  holders: ReadonlyMap<string, readonly Prefix[]> = new Map(),
): FilterReading {
  const reader = new Reader(holders);
  const grants: Grant[] = [];
  // What a hostile server sends may be anything, whatever its type says.
  for (const [index, rule] of rules.entries()) {
    const grant = reader.grant(index, rule);
    if (grant !== undefined) grants.push(grant);
  }
  return { grants, skipped: reader.skipped };
}

class Reader {
  readonly skipped = new Map<FilterSkip, number>();
  readonly #holders: ReadonlyMap<string, readonly Prefix[]>;
  readonly #known = new Map<string, AddressSet | undefined>();
  #words = 0;

  constructor(holders: ReadonlyMap<string, readonly Prefix[]>) {
    this.#holders = holders;
  }

  grant(index: number, rule: FilterRule): Grant | undefined {
    if (typeof rule !== 'object' || rule === null || !Array.isArray(rule.SrcIPs)) {
      this.#skip('filter: rule is none');
      return undefined;
    }
    const targets = this.#targets(rule.DstPorts);
    // Of a rule that is all capabilities (CapGrant) nothing concerns packets.
    if (targets.length === 0) return undefined;
    const protocols = this.#protocols(rule.IPProto);
    const sources = this.#sources(rule.SrcIPs);
    const none = sources.ipv4.length + sources.ipv6.length === 0;
    return protocols.size === 0 || none ? undefined : { index, sources, targets, protocols };
  }

  #sources(words: readonly unknown[]): AddressSet {
    const sets: AddressSet[] = [];
    for (const word of words) {
      const set = this.#addresses(word) ?? this.#holdersOf(word);
      if (set === 'too many') break;
      if (set === undefined) this.#skip('filter: source unreadable');
      else sets.push(set);
    }
    return union(sets);
  }

  #holdersOf(word: unknown): AddressSet | undefined {
    if (typeof word !== 'string' || !word.startsWith('cap:')) return undefined;
    const holders = this.#holders.get(word.slice('cap:'.length)) ?? [];
    if (holders.length === 0) this.#skip('filter: capability that nobody has');
    return union(holders.map(prefixSet));
  }

  #targets(list: FilterRule['DstPorts']): Target[] {
    if (list === undefined || list === null) return [];
    if (!Array.isArray(list)) {
      this.#skip('filter: rule is none');
      return [];
    }
    const targets: Target[] = [];
    for (const one of list) {
      const addresses = this.#addresses(one?.IP);
      if (addresses === 'too many') break;
      const { First, Last } = one?.Ports ?? {};
      if (addresses === undefined) this.#skip('filter: target unreadable');
      else if (!(isPort(First) && isPort(Last) && First <= Last))
        this.#skip('filter: absurd ports');
      else targets.push({ addresses, firstPort: First, lastPort: Last });
    }
    return targets;
  }

  #protocols(list: FilterRule['IPProto']): ReadonlySet<number> {
    if (list === undefined || list === null) return new Set(USUAL_PROTOCOLS);
    if (!Array.isArray(list)) {
      this.#skip('filter: absurd protocol');
      return new Set();
    }
    if (list.length === 0) return new Set(USUAL_PROTOCOLS);
    const protocols = new Set(list.filter((one) => Number.isInteger(one) && one > 0 && one < 256));
    const left = list.length - list.filter((one) => protocols.has(one)).length;
    if (left > 0) this.#skip('filter: absurd protocol', left);
    return protocols;
  }

  #addresses(word: unknown): AddressSet | 'too many' | undefined {
    if (++this.#words > MAX_WORDS) {
      this.#skip('filter: more words than are read');
      return 'too many';
    }
    if (typeof word !== 'string') return undefined;
    if (this.#known.has(word)) return this.#known.get(word);
    const set = parseAddresses(word);
    this.#known.set(word, set);
    return set;
  }

  #skip(reason: FilterSkip, count = 1): void {
    this.skipped.set(reason, (this.skipped.get(reason) ?? 0) + count);
  }
}

const isPort = (value: unknown): value is number =>
  Number.isInteger(value) && (value as number) >= 0 && (value as number) <= LAST_PORT;
