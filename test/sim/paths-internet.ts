/**
 * An Internet in memory for path finding: sites behind NATs of four kinds, STUN servers, and relays.
 *
 *     open          a public address, nothing in front
 *     cone          one port for all destinations, open to anyone once it is mapped
 *     restricted    one port for all destinations, open to whom something was sent
 *     symmetric     another port for each destination, open to that one alone
 *     blocked       no UDP leaves
 *
 * Private addresses are the same at each site, so that a packet for a neighbour of one's own may reach a
 * stranger at another; no NAT hairpins. A mapping that nothing leaves by for two minutes is gone.
 */

import type { Endpoint } from '../../src/base/endpoint.ts';
import { formatEndpoint, parseEndpoint } from '../../src/base/endpoint.ts';
import { millis } from '../../src/base/time.ts';
import { decodeRequest, encodeAnswer, isStun } from '../../src/protocol/disco/stun.ts';
import { must } from '../must.ts';
import type { Clock } from './clock.ts';

export type NatKind = 'open' | 'cone' | 'restricted' | 'symmetric' | 'blocked';

export interface Site {
  readonly number: number;
  readonly kind: NatKind;
  readonly publicAddress: string;
  /** Hosts by private endpoint, or by public one where the site is open. */
  readonly hosts: Map<string, Deliver>;
  mappings: Mapping[];
  nextPort: number;
}

interface Mapping {
  readonly inner: string;
  /** Of a symmetric NAT: the only destination. */
  readonly destination: string | undefined;
  readonly port: number;
  readonly allowed: Set<string>;
  usedAt: number;
}

export type Deliver = (datagram: Uint8Array, from: Endpoint) => void;

const MAPPING_MILLIS = 120_000;

export class Internet {
  readonly #clock: Clock;
  readonly sites: Site[] = [];
  readonly #stun = new Map<string, number>();
  /** Pairs of sites, lower number first, between which nothing passes. */
  readonly cut: Set<string> = new Set();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  addSite(kind: NatKind): Site {
    const number = this.sites.length + 1;
    const publicAddress = `203.0.${113 + (number >> 7)}.${number & 127}`;
    const site = { number, kind, publicAddress, hosts: new Map(), mappings: [], nextPort: 20_000 };
    this.sites.push(site);
    return site;
  }

  addStun(endpoint: string, delayMillis: number): void {
    this.#stun.set(endpoint, delayMillis);
  }

  removeStun(endpoint: string): void {
    this.#stun.delete(endpoint);
  }

  send(site: Site, from: Endpoint, to: Endpoint, datagram: Uint8Array): void {
    const inner = formatEndpoint(from);
    const target = formatEndpoint(to);
    const neighbour = site.hosts.get(target);
    if (neighbour !== undefined) {
      this.#later(1, () => neighbour(datagram, from));
      return;
    }
    if (site.kind === 'blocked' || target.startsWith('192.168.')) return;
    const outer = must(parseEndpoint(this.#translate(site, inner, target)));
    const stunDelay = this.#stun.get(target);
    if (stunDelay !== undefined) {
      if (!isStun(datagram)) return;
      const transaction = decodeRequest(datagram);
      if (typeof transaction === 'string') return;
      const answer = encodeAnswer(transaction, outer);
      this.#later(stunDelay, () => this.#enter(to, formatEndpoint(outer), answer));
      return;
    }
    const other = this.#siteOf(target);
    if (other !== undefined && !this.cut.has(pairText(site.number, other.number)))
      this.#later(20, () => this.#enter(outer, target, datagram));
  }

  #translate(site: Site, inner: string, target: string): string {
    if (site.kind === 'open') return inner;
    const now = this.#clock.now();
    site.mappings = site.mappings.filter(({ usedAt }) => usedAt + MAPPING_MILLIS > now);
    const destination = site.kind === 'symmetric' ? target : undefined;
    let mapping = site.mappings.find(
      (one) => one.inner === inner && one.destination === destination,
    );
    if (mapping === undefined) {
      const port = site.nextPort++;
      if (site.nextPort > 65_000) site.nextPort = 20_000;
      mapping = { inner, destination, port, allowed: new Set(), usedAt: now };
      site.mappings.push(mapping);
    }
    mapping.usedAt = now;
    mapping.allowed.add(target);
    return `${site.publicAddress}:${mapping.port}`;
  }

  #enter(from: Endpoint, target: string, datagram: Uint8Array): void {
    const site = this.#siteOf(target);
    if (site === undefined) return;
    if (site.kind === 'open') {
      site.hosts.get(target)?.(datagram, from);
      return;
    }
    const port = Number(target.slice(target.indexOf(':') + 1));
    const mapping = site.mappings.find((one) => one.port === port);
    if (mapping === undefined || mapping.usedAt + MAPPING_MILLIS <= this.#clock.now()) return;
    if (site.kind !== 'cone' && !mapping.allowed.has(formatEndpoint(from))) return;
    site.hosts.get(mapping.inner)?.(datagram, from);
  }

  #siteOf(endpoint: string): Site | undefined {
    const address = endpoint.slice(0, endpoint.indexOf(':'));
    return this.sites.find(({ publicAddress }) => publicAddress === address);
  }

  #later(delay: number, action: () => void): void {
    this.#clock.setTimer(millis(this.#clock.now() + delay), action);
  }
}

export const pairText = (a: number, b: number): string => `${Math.min(a, b)}-${Math.max(a, b)}`;

/** Whether two sites can have a direct path with no help but a relay's. */
export function canBeDirect(a: Site, b: Site): boolean {
  if (a === b) return true;
  if (a.kind === 'blocked' || b.kind === 'blocked') return false;
  const easy = ({ kind }: Site): boolean => kind === 'open' || kind === 'cone';
  return easy(a) || easy(b) || (a.kind === 'restricted' && b.kind === 'restricted');
}
