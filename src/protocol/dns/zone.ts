/**
 * The names that we answer for ourselves: hosts of the network, and the domains that are ours alone.
 *
 *     a host's name        A and AAAA; any other type: there is no such record (NOERROR, empty)
 *     between a host and its domain    NOERROR, empty: something is below (RFC 8020)
 *     else below an own domain         NXDOMAIN, never asked of anybody else
 *     backwards            PTR for each host's address; the first name given for it
 *     all others           not ours: undefined
 *
 * A negative answer carries the SOA of its domain, whose last number says how long it may be remembered
 * (RFC 2308 3): five seconds, so that a machine that has just joined is found.
 */

import { IPV4_BYTES } from '../../base/ip.ts';
import type { Answer, NewRecord } from './answer.ts';
import { RCODE, type Rcode, TYPE } from './constants.ts';
import {
  canonicalName,
  isHostName,
  longestSuffix,
  nameBytes,
  parentName,
  reverseName,
} from './name.ts';
import type { Question } from './query.ts';

export const OWN_TTL_SECONDS = 60;
export const NEGATIVE_TTL_SECONDS = 5;

export interface ZoneSource {
  /** Canonical names of two labels or more. */
  readonly hosts: ReadonlyMap<string, readonly Uint8Array[]>;
  /** Canonical names; `mesh.example` and reverse domains as well. */
  readonly ownDomains: readonly string[];
}

export interface Zone {
  readonly hosts: ReadonlyMap<string, readonly Uint8Array[]>;
  readonly domains: ReadonlyMap<string, string>;
  /** Names below an own domain that have hosts or domains below them. */
  readonly between: ReadonlySet<string>;
  /** The same backwards; made when first asked for, since a map of thousands comes often and PTR seldom. */
  backwards(): Backwards;
  /** Names given that cannot be used, for a counter and a log line. */
  readonly refused: readonly string[];
}

export interface Backwards {
  /** Reverse name to host. */
  readonly names: ReadonlyMap<string, string>;
  readonly between: ReadonlySet<string>;
}

/**
 * A host of one label is refused, since it would take over what programs call by a bare name (`localhost`,
 * `wpad`), and so is what no resolver's configuration can hold.
 */
export function zoneOf({ hosts, ownDomains }: ZoneSource): Zone {
  const refused: string[] = [];
  const usable = (name: string, fits: boolean): boolean => {
    if (!fits) refused.push(name);
    return fits;
  };
  const domains = new Map<string, string>();
  for (const given of ownDomains) {
    const name = canonicalName(given);
    if (usable(given, isHostName(name))) domains.set(name, name);
  }
  const known = new Map<string, readonly Uint8Array[]>();
  for (const [given, addresses] of hosts) {
    const name = canonicalName(given);
    const fits = isHostName(name) && name.includes('.') && !isLocal(name);
    if (usable(given, fits)) known.set(name, addresses);
  }
  const between = betweenOf([...known.keys(), ...domains.keys()], domains);
  let reverse: Backwards | undefined;
  const backwards = (): Backwards => {
    reverse ??= backwardsOf(known, domains);
    return reverse;
  };
  return { hosts: known, domains, between, backwards, refused };
}

function backwardsOf(
  hosts: ReadonlyMap<string, readonly Uint8Array[]>,
  domains: ReadonlyMap<string, string>,
): Backwards {
  const names = new Map<string, string>();
  for (const [name, addresses] of hosts)
    for (const address of addresses) {
      const backwards = reverseName(address);
      if (!names.has(backwards)) names.set(backwards, name);
    }
  return { names, between: betweenOf(names.keys(), domains) };
}

function betweenOf(
  names: Iterable<string>,
  domains: ReadonlyMap<string, string>,
): ReadonlySet<string> {
  const between = new Set<string>();
  for (const name of names)
    for (let at = parentName(name); at !== undefined && !between.has(at); at = parentName(at)) {
      if (longestSuffix(at, domains) === undefined) break;
      between.add(at);
    }
  return between;
}

/** What we say ourselves; undefined where the name is not ours. */
export function answerFrom(zone: Zone, { name, type }: Question): Answer | undefined {
  const addresses = zone.hosts.get(name);
  if (addresses !== undefined) {
    const records = addresses
      .map((address) => addressRecord(name, address))
      .filter((record) => type === TYPE.ANY || record.type === type);
    return records.length > 0 ? positive(records) : negative(zone, name, type, RCODE.NOERROR);
  }
  const backwards = name.endsWith('.arpa') ? zone.backwards() : undefined;
  const host = backwards?.names.get(name);
  if (host !== undefined) {
    if (type !== TYPE.PTR && type !== TYPE.ANY) return negative(zone, name, type, RCODE.NOERROR);
    const data = nameBytes(host) as Uint8Array;
    return positive([{ name, type: TYPE.PTR, ttlSeconds: OWN_TTL_SECONDS, data }]);
  }
  if (longestSuffix(name, zone.domains) === undefined) return undefined;
  const exists =
    zone.domains.has(name) || zone.between.has(name) || backwards?.between.has(name) === true;
  return negative(zone, name, type, exists ? RCODE.NOERROR : RCODE.NXDOMAIN);
}

function positive(answers: readonly NewRecord[]): Answer {
  return { rcode: RCODE.NOERROR, authoritative: true, answers, authority: [] };
}

function negative(zone: Zone, name: string, type: number, rcode: Rcode): Answer {
  const domain = longestSuffix(name, zone.domains);
  const soa = soaRecord(domain ?? name);
  const asked = domain === name && type === TYPE.SOA;
  return {
    rcode,
    authoritative: true,
    answers: asked ? [soa] : [],
    authority: asked ? [] : [soa],
  };
}

function addressRecord(name: string, address: Uint8Array): NewRecord {
  const type = address.length === IPV4_BYTES ? TYPE.A : TYPE.AAAA;
  return { name, type, ttlSeconds: OWN_TTL_SECONDS, data: address };
}

/** Nobody transfers this zone, so serial and times say no more than that it is one. */
function soaRecord(name: string): NewRecord {
  const domain = nameBytes(name) as Uint8Array;
  const data = new Uint8Array(domain.length + 1 + 20);
  data.set(domain);
  const view = new DataView(data.buffer);
  const numbers = [1, 3600, 600, 86_400, NEGATIVE_TTL_SECONDS];
  for (const [i, value] of numbers.entries()) view.setUint32(domain.length + 1 + 4 * i, value);
  return { name, type: TYPE.SOA, ttlSeconds: NEGATIVE_TTL_SECONDS, data };
}

const isLocal = (name: string): boolean => name.endsWith('.localhost');
