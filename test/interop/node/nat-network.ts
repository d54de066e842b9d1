/**
 * The Internet of a laboratory: the hub in its middle, and places behind routers of every kind.
 *
 *     hub 10.88.0.1 (server, relay, STUN), 10.88.0.250
 *      |-- second       another relay and STUN server (relays.ts)
 *      |-- member       open
 *      |-- router ── 192.168.N.10 member          easy ... mapped
 *      |-- router ── router ── 192.168.N.10       double
 *      '-- carrier ─┬─ router ── 192.168.N.10     carrier, hairpin: two members behind one public address
 *                   '─ router ── 192.168.M.10
 *
 *     kind                 mapping depends on    filtering depends on
 *     easy                 endpoint              endpoint              whoever knows the port gets in
 *     address-restricted   endpoint              address
 *     port-restricted      endpoint              port                  what Linux does by itself
 *     address-dependent    address               port
 *     hard                 port                  port                  a random port for each destination
 *     mapped               port                  port                  hard, and opens ports for who asks
 *     firewall             (no NAT)              port
 *     blocked              no UDP at all
 *     ipv6                 (no NAT)              -                     has no IPv4
 *
 * "endpoint" stands for RFC 4787's endpoint-independent. nat-kinds.test.ts asks each whether it is so.
 */

import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { unpackPackages } from '../../../scripts/debian.ts';
import type { Host } from '../../netns/lab.ts';
import type { Network, Station } from '../control/network.ts';
import { HUB, HUB6 } from '../control/network.ts';
import type { NatKind, RouterFacts } from './nat-rules.ts';
import { leavingAs, RULES } from './nat-rules.ts';

export const SITES = [
  'open',
  'firewall',
  'easy',
  'address-restricted',
  'port-restricted',
  'address-dependent',
  'hard',
  'mapped',
  'double',
  'blocked',
  'ipv6',
] as const;
export type SiteKind = (typeof SITES)[number];

/** The hub's other address. */
export const HUB2 = '10.88.0.250';

/** Where a member behind no router, and one behind a router, is. */
const INNER = 10;

export class NatNetwork {
  readonly network: Network;
  #lans = 0;

  private constructor(network: Network) {
    this.network = network;
  }

  static async create(network: Network): Promise<NatNetwork> {
    await network.hub.ip(`addr add ${HUB2}/24 dev br0`);
    await network.hub.forward();
    return new NatNetwork(network);
  }

  /** A place for one member. */
  async site(kind: SiteKind, name: string): Promise<Station> {
    if (kind === 'open') return this.network.station(name);
    if (kind === 'ipv6') return this.#withoutIpv4(name);
    const outer = await this.#router(kind === 'double' ? 'port-restricted' : kind, `${name}-r`);
    if (kind !== 'double') return this.#behind(outer, name);
    const inner = await this.#inner(outer, `${name}-r2`);
    return this.#behind(inner, name);
  }

  /**
   * Two places behind routers of their own, both behind one public address.
   *
   * @param hairpin whether what one sends to that address reaches the other
   */
  async carrier(hairpin: boolean, one: string, other: string): Promise<readonly Station[]> {
    const outer = await this.#router(hairpin ? 'hairpin' : 'port-restricted', `${one}-carrier`);
    const stations: Station[] = [];
    for (const name of [one, other])
      stations.push(await this.#behind(await this.#inner(outer, `${name}-r`), name));
    return stations;
  }

  /**
   * Another way out for a member, through a router of its own; not taken until the function that this gives is
   * called, which plugs the present cable out.
   */
  async otherUplink(station: Station, kind: NatKind, name: string): Promise<() => Promise<void>> {
    const router = await this.#router(kind, name);
    const lan = ++this.#lans;
    const { a } = await this.network.lab.link(station.host, router.host, {
      a: [`192.168.${lan}.${INNER}/24`],
      b: [`192.168.${lan}.1/24`],
    });
    return async () => {
      await station.host.ip(
        `link set ${station.cable.a.interface} down`,
        `route replace default via 192.168.${lan}.1 dev ${a.interface}`,
      );
    };
  }

  async #withoutIpv4(name: string): Promise<Station> {
    const station = await this.network.station(name);
    await station.host.ip(
      `addr del ${station.address}/24 dev ${station.cable.a.interface}`,
      `route add default via ${HUB6}`,
    );
    return station;
  }

  async #router(kind: NatKind, name: string): Promise<Router> {
    const station = await this.network.station(name);
    const facts: RouterFacts = {
      outside: station.cable.a.interface,
      address: station.address,
    };
    await station.host.forward();
    await station.host.nft(RULES[kind](facts));
    return { host: station.host, kind, via: station.address, folder: this.network.folder };
  }

  /** A router of the ordinary kind behind another one. */
  async #inner(outer: Router, name: string): Promise<Router> {
    const host = await this.network.lab.host(name);
    const lan = ++this.#lans;
    const address = `172.16.${lan}.2`;
    const cable = await this.network.lab.link(host, outer.host, {
      a: [`${address}/24`],
      b: [`172.16.${lan}.1/24`],
    });
    await host.ip(`route add default via 172.16.${lan}.1`);
    await host.forward();
    await host.nft(RULES['port-restricted']({ outside: cable.a.interface, address }));
    return { host, kind: 'port-restricted', via: address, folder: outer.folder };
  }

  async #behind(router: Router, name: string): Promise<Station> {
    const { host, etc } = await this.network.house(name);
    const lan = ++this.#lans;
    const address = `192.168.${lan}.${INNER}`;
    const cable = await this.network.lab.link(host, router.host, {
      a: [`${address}/24`],
      b: [`192.168.${lan}.1/24`],
    });
    await host.ip(`route add default via 192.168.${lan}.1`);
    if (router.kind === 'firewall')
      await this.network.hub.ip(`route add 192.168.${lan}.0/24 via ${router.via}`);
    if (router.kind === 'mapped') await this.#mapPorts(router, cable.b.interface, lan);
    return { host, address, address6: '', cable, etc };
  }

  /** A place for one member, with its router. */
  async routed(kind: NatKind, name: string): Promise<RoutedSite> {
    const router = await this.#router(kind, `${name}-r`);
    return { station: await this.#behind(router, name), router: router.host };
  }

  /** The place `mapped`, with its router. @param upnpAlone no other protocol is known there */
  async mappedSite(name: string, upnpAlone: boolean): Promise<RoutedSite> {
    const router = { ...(await this.#router('mapped', `${name}-r`)), upnpAlone };
    return { station: await this.#behind(router, name), router: router.host };
  }

  /**
   * miniupnpd out of its unpacked package: NAT-PMP, PCP and UPnP on the inside. It refuses to map ports of an
   * address that it knows to be nobody's, so the router gets one more, to which the hub knows the way, and by
   * which all that comes through it is seen: the two must be one, or a node believes no mapping.
   */
  async #mapPorts(router: Router, inside: string, lan: number): Promise<void> {
    const { host, via, folder, upnpAlone = false } = router;
    const { root, env } = await unpackPackages();
    const place = join(folder, `miniupnpd-${lan}`);
    mkdirSync(place);
    const outside = `1.1.1.${lan}`;
    await host.ip(`addr add ${outside}/32 dev eth0`);
    await this.network.hub.ip(`route add ${outside} via ${via}`);
    const config = join(place, 'conf');
    writeFileSync(config, portMapperSettings(outside, inside, lan, upnpAlone));
    await host.nft(leavingAs(outside));
    const daemon = host.start(
      [join(root, 'usr/sbin/miniupnpd'), '-d', '-f', config, '-P', join(place, 'pid')],
      { name: 'miniupnpd', env },
    );
    await daemon.says(upnpAlone ? /HTTP listening/i : /Listening for NAT-PMP/i);
  }
}

interface Router {
  readonly host: Host;
  readonly kind: NatKind;
  readonly via: string;
  readonly folder: string;
  /** It maps ports, and knows neither NAT-PMP nor PCP. */
  readonly upnpAlone?: boolean;
}

export interface RoutedSite {
  readonly station: Station;
  readonly router: Host;
}

function portMapperSettings(
  outside: string,
  inside: string,
  lan: number,
  upnpAlone: boolean,
): string {
  return [
    'ext_ifname=eth0',
    `ext_ip=${outside}`,
    `listening_ip=${inside}`,
    `enable_natpmp=${upnpAlone ? 'no' : 'yes'}`,
    'enable_upnp=yes',
    'secure_mode=yes',
    'port=5000',
    'upnp_table_name=lab-mapper',
    'upnp_nat_table_name=lab-mapper',
    `uuid=00000000-0000-4000-8000-${String(lan).padStart(12, '0')}`,
    `allow 1024-65535 192.168.${lan}.0/24 1024-65535`,
    'deny 0-65535 0.0.0.0/0 0-65535',
    '',
  ].join('\n');
}

/** The control URL of a place without IPv4. */
export function loginServerFor(kind: SiteKind, url: string): string {
  return kind === 'ipv6' ? url.replace(HUB, `[${HUB6}]`) : url;
}
