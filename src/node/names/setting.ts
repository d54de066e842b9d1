/**
 * What the network's map says about names, and the form that questions are answered from.
 *
 * The map comes from a server that may be hostile or newer than we are: a name that cannot stand in a zone or
 * a configuration file is left out and named in `refused`; nothing in it is an error.
 *
 * Who answers a name, the first that fits:
 *
 *     a host of the network, or below an own domain    we, alone
 *     below a suffix of `routes`                       its resolvers; the longest suffix wins
 *     `resolvers`, where there are any                 they answer everything
 *     the system's resolvers from before us            they
 *     `fallback`                                       they, where the system has none
 */

import { canonicalName, isHostName, longestSuffix } from '../../protocol/dns/name.ts';
import type { ResolverAddress } from '../../protocol/dns/resolver-address.ts';
import type { Zone } from '../../protocol/dns/zone.ts';
import { zoneOf } from '../../protocol/dns/zone.ts';

export interface NamesSetting {
  /** Full names in small letters without a dot at the end. */
  readonly hosts: ReadonlyMap<string, readonly Uint8Array[]>;
  /** Suffixes that are answered here alone; reverse domains as well. */
  readonly ownDomains: readonly string[];
  /** Appended to bare names, in this order. */
  readonly search: readonly string[];
  /** Suffix to resolvers; an empty list makes it an own domain. */
  readonly routes: ReadonlyMap<string, readonly ResolverAddress[]>;
  /** For every name that has no route, instead of the system's own. */
  readonly resolvers: readonly ResolverAddress[];
  /** Where the system has none of its own. */
  readonly fallback: readonly ResolverAddress[];
  /** Whether the system's programs are to ask us. */
  readonly manageSystem: boolean;
}

export interface Plan {
  readonly zone: Zone;
  readonly search: readonly string[];
  readonly routes: ReadonlyMap<string, readonly ResolverAddress[]>;
  readonly resolvers: readonly ResolverAddress[];
  readonly fallback: readonly ResolverAddress[];
  readonly manageSystem: boolean;
  /** Suffixes that only we can answer or know the way to: what a system that splits sends us. */
  readonly domains: readonly string[];
  readonly refused: readonly string[];
}

/** glibc before 2.26 reads six; more slow every mistyped name down. */
const MAX_SEARCH = 6;
/** A system that splits is told this many; a map with more has no limit of its own. */
const MAX_DOMAINS = 256;
const MAX_RESOLVERS = 8;

export function planOf(setting: NamesSetting): Plan {
  const refused: string[] = [];
  const routes = new Map<string, readonly ResolverAddress[]>();
  const own = [...setting.ownDomains];
  for (const [given, resolvers] of setting.routes) {
    const suffix = canonicalName(given);
    if (suffix !== '' && !isHostName(suffix)) refused.push(given);
    else if (resolvers.length > 0) routes.set(suffix, resolvers.slice(0, MAX_RESOLVERS));
    else own.push(suffix);
  }
  const zone = zoneOf({ hosts: setting.hosts, ownDomains: own });
  const search = [...new Set(setting.search.map(canonicalName))];
  refused.push(...search.filter((name) => !isHostName(name)), ...zone.refused);
  const suffixes = new Set([...zone.domains.keys(), ...[...routes.keys()].filter(Boolean)]);
  const outside = [...zone.hosts.keys()].filter(
    (name) => longestSuffix(name, zone.domains) === undefined,
  );
  return {
    zone,
    search: search.filter(isHostName).slice(0, MAX_SEARCH),
    routes,
    resolvers: setting.resolvers.slice(0, MAX_RESOLVERS),
    fallback: setting.fallback.slice(0, MAX_RESOLVERS),
    manageSystem: setting.manageSystem,
    domains: [...suffixes, ...outside].slice(0, MAX_DOMAINS),
    refused,
  };
}

/** Whom to ask for a name that is not ours. */
export function resolversFor(
  plan: Plan,
  name: string,
  system: readonly ResolverAddress[],
): readonly ResolverAddress[] {
  const route = longestSuffix(name, plan.routes);
  if (route !== undefined) return route;
  if (plan.resolvers.length > 0) return plan.resolvers;
  return system.length > 0 ? system : plan.fallback;
}
