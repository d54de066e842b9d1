/**
 * Names for a viewer: MagicDNS for the base domain, the resolvers of the settings, and extra records, those
 * of the settings and two for each LAN device that the viewer may reach.
 *
 * Nodes are not in it: a client makes their names of the map. A suffix that the client itself answers has an
 * empty list; null would be forgotten when its network changes.
 *
 * Source: reference/protocol.md 8.
 */

import type { DNSConfig, Resolver } from '../../protocol/tailcfg/types.ts';
import type { LanDevice, Model } from '../registry/model.ts';

/** How many different sets of devices are remembered. */
const MAX_SETS = 256;

/** Makes one object of equal configurations. */
export class Names {
  #settings: Model['settings'] | undefined;
  #records: Model['records'] | undefined;
  readonly #known = new Map<string, DNSConfig>();

  configFor({ settings, records }: Model, devices: readonly LanDevice[]): DNSConfig {
    if (settings !== this.#settings || records !== this.#records || this.#known.size > MAX_SETS)
      this.#known.clear();
    this.#settings = settings;
    this.#records = records;
    const key = devices
      .map(({ name, ip4, ip6, family }) => `${name}=${ip4},${ip6},${family}`)
      .join();
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const made = dnsConfig({ settings, records }, devices);
    this.#known.set(key, made);
    return made;
  }
}

export function dnsConfig(
  { settings, records }: Pick<Model, 'settings' | 'records'>,
  devices: readonly LanDevice[],
): DNSConfig {
  const { baseDomain, nameservers, splitDns, searchDomains, overrideLocalDns } = settings;
  const split = Object.entries(splitDns).map(([suffix, list]) => [suffix, resolvers(list)]);
  const own = [...records.values()].map(({ name, type, value }) => ({
    Name: name,
    Type: type,
    Value: value,
  }));
  const ofDevices = devices.flatMap(({ name, ip4, ip6, family }) =>
    [
      { family: 4, Type: 'A' as const, Value: ip4 },
      { family: 6, Type: 'AAAA' as const, Value: ip6 },
    ]
      .filter((record) => family === undefined || family === record.family)
      .map(({ Type, Value }) => ({ Name: `${name}.${baseDomain}`, Type, Value })),
  );
  const extra = [...own, ...ofDevices].sort((a, b) => compared(keyOf(a), keyOf(b)));
  return {
    Proxied: true,
    Domains: [baseDomain, ...searchDomains.filter((domain) => domain !== baseDomain)],
    Routes: { ...Object.fromEntries(split), [baseDomain]: [] },
    ...(nameservers.length === 0
      ? {}
      : { [overrideLocalDns ? 'Resolvers' : 'FallbackResolvers']: resolvers(nameservers) }),
    ...(extra.length === 0 ? {} : { ExtraRecords: extra }),
  };
}

const resolvers = (addresses: readonly string[]): readonly Resolver[] =>
  addresses.map((Addr) => ({ Addr }));

const keyOf = ({ Name, Type, Value }: { Name: string; Type: string; Value: string }): string =>
  `${Name} ${Type} ${Value}`;

const compared = (a: string, b: string): number => (a < b ? -1 : Number(a > b));
