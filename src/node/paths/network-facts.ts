/**
 * What is known of our own place in the network, put together from STUN, gateway and machine, and told to
 * the server when it changes: our endpoints, home relay, and NetInfo.
 *
 * Latencies change with each round and are no news by themselves; they go along when something else is.
 */

import type { Endpoint } from '../../base/endpoint.ts';
import type { Env } from '../../base/env.ts';
import { NetError } from '../../base/errors.ts';
import { IPV4_BYTES, IPV6_BYTES } from '../../base/ip.ts';
import type { Millis } from '../../base/time.ts';
import type { DERPMap, NetInfo } from '../../protocol/tailcfg/types.ts';
import { HomeRelay } from './home-relay.ts';
import type { CheckResult } from './netcheck.ts';
import { Netcheck } from './netcheck.ts';
import { ownEndpoints, sameEndpoints } from './own-endpoints.ts';
import type { MappingProtocols } from './port-mapper.ts';
import { PortMapper } from './port-mapper.ts';
import type { OwnEndpoint, PathsPorts } from './ports.ts';
import type { StunAnswer } from './stun-round.ts';
import { seenAs } from './stun-round.ts';

export interface NetworkReport {
  readonly udp: boolean;
  readonly ipv4: Endpoint | undefined;
  readonly ipv6: Endpoint | undefined;
  readonly mappingVaries: boolean | undefined;
  readonly homeRelay: number;
  /** By region; `https` where UDP had no answer. */
  readonly latencies: readonly {
    readonly region: number;
    readonly over: 'ipv4' | 'ipv6' | 'https';
    readonly millis: number;
  }[];
  readonly portMapping: MappingProtocols;
  readonly portMapped: Endpoint | undefined;
}

export class NetworkFacts {
  readonly #env: Env;
  readonly #ports: PathsPorts;
  readonly #count: (reason: string) => void;
  readonly #stunDone: () => void;
  readonly #check: Netcheck;
  readonly #mapper: PortMapper;
  readonly #home = new HomeRelay();
  #map: string | undefined;
  #result: CheckResult | undefined;
  #stun4: Endpoint | undefined;
  #stun6: Endpoint | undefined;
  #told: { readonly net: string; readonly home: number } = { net: '', home: 0 };
  #endpoints: readonly OwnEndpoint[] = [];

  /** @param stunDone a round has its first answer, or is over */
  constructor(env: Env, ports: PathsPorts, count: (reason: string) => void, stunDone: () => void) {
    this.#env = env;
    this.#ports = ports;
    this.#count = count;
    this.#stunDone = stunDone;
    this.#mapper = new PortMapper(env, ports, { changed: () => this.#gather(), count });
    this.#check = new Netcheck(env, ports, {
      answered: (answer) => this.#answered(answer),
      result: (result) => this.#take(result),
    });
  }

  get endpoints(): readonly OwnEndpoint[] {
    return this.#endpoints;
  }

  setHomeHint(region: number): void {
    this.#home.setHint(region);
  }

  setRelayMap(map: DERPMap): void {
    const text = JSON.stringify(map);
    if (text === this.#map) return;
    const first = this.#map === undefined;
    this.#map = text;
    this.#moveHome(this.#home.setMap(map));
    this.#gather();
    this.#check.setMap(map);
    if (first) this.#mapper.refresh();
  }

  relayTrouble(region: number): void {
    if (region !== this.#home.current) return;
    this.#home.doubt(region);
    this.#check.start(true);
  }

  setActive(active: boolean): void {
    this.#check.setActive(active);
  }

  isFresh(age: Millis): boolean {
    return this.#check.isFresh(age);
  }

  refresh(): void {
    this.#check.start(false);
  }

  linkChanged(): void {
    this.#stun4 = undefined;
    this.#stun6 = undefined;
    this.#result = undefined;
    this.#mapper.linkChanged();
    this.#gather();
    this.#check.restart();
  }

  receiveStun(datagram: Uint8Array, from: Endpoint): void {
    const drop = this.#check.receive(datagram, from);
    if (drop !== undefined) this.#count(drop);
  }

  receiveGateway(datagram: Uint8Array, from: Endpoint): void {
    const drop = this.#mapper.receive(datagram, from);
    if (drop !== undefined) this.#count(drop);
  }

  /** @throws NetError (rejects) where the network changed under it */
  async check(): Promise<NetworkReport> {
    const result = await this.#check.check();
    if (result === undefined) throw new NetError('the check was given up; try again');
    return {
      udp: result.answers.length > 0,
      ipv4: this.#stun4,
      ipv6: this.#stun6,
      mappingVaries: result.mappingVaries,
      homeRelay: this.#home.current,
      latencies: latenciesOf(result),
      portMapping: this.#mapper.speaks,
      portMapped: this.#mapper.external(this.#stun4),
    };
  }

  async close(): Promise<void> {
    this.#check.close();
    await this.#mapper.close();
  }

  /** The first answer of a family need not wait for the rest of its round. */
  #answered({ seenFrom }: StunAnswer): void {
    if (seenFrom.address.length === IPV4_BYTES) this.#stun4 ??= seenFrom;
    else this.#stun6 ??= seenFrom;
    this.#gather();
    this.#stunDone();
  }

  #take(result: CheckResult): void {
    this.#result = result;
    this.#stun4 = seenAs(result.answers, IPV4_BYTES, this.#home.current);
    this.#stun6 = seenAs(result.answers, IPV6_BYTES, this.#home.current);
    const least = new Map<number, number>();
    for (const { region, millis } of latenciesOf(result))
      least.set(region, Math.min(millis, least.get(region) ?? Infinity));
    if (result.full || least.size > 0) this.#moveHome(this.#home.measured(least, this.#env.now()));
    this.#gather();
    if (result.full) this.#mapper.refresh();
    this.#stunDone();
  }

  #moveHome(region: number): void {
    this.#check.setHome(region);
    if (region === 0 || region === this.#told.home) return;
    this.#told = { ...this.#told, home: region };
    this.#ports.preferRelay(region);
  }

  #gather(): void {
    const found = ownEndpoints({
      local: this.#ports.localEndpoints(),
      stun4: this.#stun4,
      stun6: this.#stun6,
      portMapped: this.#mapper.external(this.#stun4),
      mappingVaries: this.#result?.mappingVaries,
    });
    if (!sameEndpoints(found, this.#endpoints)) {
      this.#endpoints = found;
      this.#ports.endpointsChanged(found);
    }
    if (this.#result !== undefined) this.#tellNetInfo(this.#result);
  }

  #tellNetInfo(result: CheckResult): void {
    const { pmp, pcp, upnp } = this.#mapper.speaks;
    const facts: NetInfo = {
      ...(result.mappingVaries === undefined
        ? {}
        : { MappingVariesByDestIP: result.mappingVaries }),
      WorkingIPv6: this.#stun6 !== undefined,
      OSHasIPv6: this.#ports.localEndpoints().some(({ address }) => address.length === IPV6_BYTES),
      WorkingUDP: result.answers.length > 0,
      HavePortMap: this.#mapper.external(this.#stun4) !== undefined,
      ...(upnp === undefined ? {} : { UPnP: upnp }),
      PMP: pmp,
      PCP: pcp,
      PreferredDERP: this.#home.current,
    };
    const text = JSON.stringify(facts);
    if (text === this.#told.net) return;
    this.#told = { ...this.#told, net: text };
    this.#ports.netInfoChanged({ ...facts, DERPLatency: derpLatency(result) });
  }
}

function latenciesOf({ answers, https }: CheckResult): NetworkReport['latencies'] {
  const byStun = answers.map(({ target, seenFrom, latencyMillis }) => ({
    region: target.region,
    over: seenFrom.address.length === IPV4_BYTES ? ('ipv4' as const) : ('ipv6' as const),
    millis: latencyMillis,
  }));
  const byHttps = [...https].map(([region, millis]) => ({
    region,
    over: 'https' as const,
    millis,
  }));
  return [...byStun, ...byHttps];
}

/** In seconds, by region and family, as the server keeps it. */
function derpLatency(result: CheckResult): Readonly<Record<string, number>> {
  const found: Record<string, number> = {};
  for (const { region, over, millis } of latenciesOf(result)) {
    const name = `${region}-${over === 'ipv6' ? 'v6' : 'v4'}`;
    found[name] = Math.min(found[name] ?? Infinity, millis / 1000);
  }
  return found;
}
