/**
 * Whom to ask by STUN: the nodes of the relay map, two for each region, in each family that the machine has.
 * A name that the map gives no address for is looked up once a map; a target without address yet is left out
 * of the round and is there for the next.
 */

import type { Endpoint } from '../../base/endpoint.ts';
import { formatEndpoint } from '../../base/endpoint.ts';
import { IPV4_BYTES, IPV6_BYTES, parseIp } from '../../base/ip.ts';
import type { DERPMap, DERPNode } from '../../protocol/tailcfg/types.ts';

export interface StunTarget {
  readonly region: number;
  readonly endpoint: Endpoint;
  readonly text: string;
}

const STUN_PORT = 3478;
const NODES_OF_REGION = 2;
const MAX_REGIONS = 40;

export class StunTargets {
  readonly #resolve: (host: string) => Promise<readonly Uint8Array[]>;
  #map: DERPMap = { Regions: {} };
  readonly #resolved = new Map<string, readonly Uint8Array[]>();
  /** Called when a name has got its addresses. */
  onResolved: () => void = () => {};

  constructor(resolve: (host: string) => Promise<readonly Uint8Array[]>) {
    this.#resolve = resolve;
  }

  setMap(map: DERPMap): void {
    this.#map = map;
    this.forgetNames();
  }

  /** Another network may give other addresses. */
  forgetNames(): void {
    this.#resolved.clear();
  }

  regions(): readonly number[] {
    return Object.values(this.#map.Regions)
      .map(({ RegionID }) => RegionID)
      .slice(0, MAX_REGIONS);
  }

  /** @param families 4 and 16, as the machine has them */
  of(regions: readonly number[], families: ReadonlySet<number>): readonly StunTarget[] {
    const found = new Map<string, StunTarget>();
    for (const { RegionID, Nodes } of Object.values(this.#map.Regions)) {
      if (!regions.includes(RegionID)) continue;
      for (const node of Nodes.filter(({ STUNPort }) => STUNPort !== -1).slice(0, NODES_OF_REGION))
        for (const address of this.#addresses(node)) {
          if (!families.has(address.length)) continue;
          const endpoint = { address, port: node.STUNPort || STUN_PORT, scope: 0 };
          const text = formatEndpoint(endpoint);
          if (endpoint.port <= 65_535) found.set(text, { region: RegionID, endpoint, text });
        }
    }
    return [...found.values()];
  }

  #addresses(node: DERPNode): readonly Uint8Array[] {
    const test = parseIp(node.STUNTestIP ?? '');
    if (test !== undefined) return [test];
    const given = [node.IPv4, node.IPv6].flatMap((text) => parseIp(text ?? '') ?? []);
    const literal = parseIp(node.HostName);
    const known = given.length > 0 ? given : literal === undefined ? [] : [literal];
    if (known.length > 0 || (node.IPv4 === 'none' && node.IPv6 === 'none')) return known;
    return this.#lookUp(node);
  }

  #lookUp({ HostName, IPv4, IPv6 }: DERPNode): readonly Uint8Array[] {
    const known = this.#resolved.get(HostName);
    if (known !== undefined) {
      const first = (length: number, text: string | undefined): readonly Uint8Array[] =>
        text === 'none' ? [] : known.filter((one) => one.length === length).slice(0, 1);
      return [...first(IPV4_BYTES, IPv4), ...first(IPV6_BYTES, IPv6)];
    }
    this.#resolved.set(HostName, []);
    const forget = (): boolean => this.#resolved.delete(HostName);
    this.#resolve(HostName).then((addresses) => {
      if (addresses.length === 0) return forget();
      this.#resolved.set(HostName, addresses);
      return this.onResolved();
    }, forget);
    return [];
  }
}
