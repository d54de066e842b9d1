/**
 * A host of the Internet in memory: the real Paths, with a data plane that does no more than obey its ways and
 * a relay client that is connected wherever the relay runs.
 */

import type { Endpoint } from '../../src/base/endpoint.ts';
import { parseEndpoint } from '../../src/base/endpoint.ts';
import type { NodePublic } from '../../src/base/keys.ts';
import { keyText, nodePublic } from '../../src/base/keys.ts';
import { lineLog } from '../../src/base/log.ts';
import type { Millis } from '../../src/base/time.ts';
import { millis, unixMillis } from '../../src/base/time.ts';
import type { OwnKey } from '../../src/crypto/x25519.ts';
import { ownKey } from '../../src/crypto/x25519.ts';
import { Paths } from '../../src/node/paths/paths.ts';
import type { OwnEndpoint, PathPeer, PathsPorts, Way } from '../../src/node/paths/ports.ts';
import { isDisco } from '../../src/protocol/disco/messages.ts';
import { isStun } from '../../src/protocol/disco/stun.ts';
import type { DERPMap } from '../../src/protocol/tailcfg/types.ts';
import { must } from '../must.ts';
import type { Seeded } from '../seeded.ts';
import type { Clock } from './clock.ts';
import type { Internet, Site } from './paths-internet.ts';
import type { PingCounts } from './ping-counts.ts';

export interface HostWorld {
  readonly clock: Clock;
  readonly random: Seeded;
  readonly internet: Internet;
  readonly relayMap: DERPMap;
  readonly pings: Pick<PingCounts, 'sent'>;
  /** The relays: false where the region is down. */
  relay(region: number, from: Host, to: NodePublic, datagram: Uint8Array): boolean;
  /** What the server is told, and tells the others. */
  changed(host: Host): void;
}

const PORT = 41_641;

export class Host {
  readonly number: number;
  readonly nodeKey: NodePublic;
  readonly #world: HostWorld;
  site: Site;
  address: string = '';
  online: boolean = false;
  paths: Paths;
  disco: OwnKey;
  home: number = 0;
  endpoints: readonly OwnEndpoint[] = [];
  readonly ways: Map<string, Way> = new Map();
  readonly data: Map<string, { sent: Millis; received: Millis }> = new Map();
  /** When something last gave a reason to send: data, what came in, a link, a start. */
  roused: number = 0;
  /** Disco and STUN datagrams. */
  sentDisco: number = 0;
  /** Those that left with no reason for a minute. */
  unprovoked: number = 0;
  onData: (datagram: Uint8Array) => void = () => {};

  constructor(world: HostWorld, number: number, site: Site) {
    this.#world = world;
    this.number = number;
    this.site = site;
    this.nodeKey = nodePublic(world.random.bytes(32));
    this.disco = ownKey(world.random.bytes(32));
    this.paths = this.#start();
  }

  peer(): PathPeer {
    const endpoints = this.endpoints.map(({ endpoint }) => endpoint);
    const { nodeKey, home } = this;
    return { nodeKey, discoKey: this.disco.publicKey, endpoints, homeRelay: home };
  }

  /** Plugs the host in at a site, with an address that is new there. */
  attach(site: Site): void {
    this.detach();
    this.site = site;
    this.address =
      site.kind === 'open' ? `${site.publicAddress}` : `192.168.1.${2 + (this.number % 200)}`;
    this.online = true;
    this.roused = this.#world.clock.now();
    site.hosts.set(`${this.address}:${this.#port()}`, (datagram, from) =>
      this.#arrive(datagram, from),
    );
    this.paths.linkChanged();
  }

  detach(): void {
    this.site.hosts.delete(`${this.address}:${this.#port()}`);
    this.online = false;
  }

  /** As after a crash: another disco key, nothing known; the same map comes again. */
  restart(peers: readonly PathPeer[]): void {
    void this.paths.close();
    this.ways.clear();
    this.disco = ownKey(this.#world.random.bytes(32));
    this.endpoints = [];
    this.roused = this.#world.clock.now();
    this.paths = this.#start();
    this.paths.setPeers(peers);
    this.paths.setHomeHint(this.home);
    this.paths.setRelayMap(this.#world.relayMap);
  }

  sendData(to: Host, bytes: Uint8Array): void {
    const now = this.#world.clock.now();
    this.#traffic(to.nodeKey).sent = now;
    this.roused = now;
    const way = this.ways.get(keyText(to.nodeKey));
    const trusted = way !== undefined && now < way.trustedUntil;
    if (way?.direct !== undefined) this.#leave(way.direct, bytes);
    if (trusted) return;
    this.#world.relay(this.paths.waysOf(to.nodeKey).relay, this, to.nodeKey, bytes);
    this.paths.wanted(to.nodeKey);
  }

  /** What a relay client says that has tried in vain. */
  lostRelay(region: number): void {
    this.roused = this.#world.clock.now();
    this.paths.relayTrouble(region);
  }

  arriveByRelay(datagram: Uint8Array, relay: number, peer: NodePublic): void {
    if (this.online) this.#take(datagram, { relay, peer });
  }

  isDirectTo(peer: Host): boolean {
    return this.paths.status(peer.nodeKey)?.trusted === true;
  }

  #arrive(datagram: Uint8Array, from: Endpoint): void {
    if (this.online) this.#take(datagram, from);
  }

  #take(datagram: Uint8Array, from: Endpoint | { relay: number; peer: NodePublic }): void {
    if (!isStun(datagram)) this.roused = this.#world.clock.now();
    if (!this.paths.receive(datagram, from)) this.onData(datagram);
  }

  heardFrom(peer: Host): void {
    this.#traffic(peer.nodeKey).received = this.#world.clock.now();
  }

  #traffic(peer: NodePublic): { sent: Millis; received: Millis } {
    const text = keyText(peer);
    const known = this.data.get(text) ?? { sent: millis(0), received: millis(0) };
    this.data.set(text, known);
    return known;
  }

  #leave(to: Endpoint, datagram: Uint8Array): void {
    if (!this.online) return;
    const from = must(parseEndpoint(`${this.address}:${this.#port()}`));
    this.#world.internet.send(this.site, from, to, datagram);
  }

  /** At an open site each host has a port of its own, since they share the address. */
  #port(): number {
    return this.site.kind === 'open' ? PORT + this.number : PORT;
  }

  #account(datagram: Uint8Array): void {
    if (!isDisco(datagram) && !isStun(datagram)) return;
    const now = this.#world.clock.now();
    this.sentDisco++;
    if (now > this.roused + 60_000) this.unprovoked++;
    if (isDisco(datagram)) this.#world.pings.sent(this, datagram, now);
  }

  #start(): Paths {
    const { clock, random } = this.#world;
    const env = {
      now: () => clock.now(),
      wall: () => unixMillis(clock.now()),
      random: (length: number) => random.bytes(length),
      setTimer: (at: Millis, action: () => void) => clock.setTimer(at, action),
      log: lineLog(() => {}, 'error'),
    };
    const paths = new Paths(env, this.#ports(), this.disco);
    paths.setIdentity(this.nodeKey);
    return paths;
  }

  #ports(): PathsPorts {
    return {
      sendUdp: (to, datagram) => {
        this.#account(datagram);
        this.#leave(to, datagram);
      },
      sendRelay: (region, peer, datagram) => {
        this.#account(datagram);
        return this.online && this.#world.relay(region, this, peer, datagram);
      },
      setWay: (peer, way) => this.ways.set(keyText(peer), way),
      traffic: (peer) => this.#traffic(peer),
      localEndpoints: () =>
        this.online ? [must(parseEndpoint(`${this.address}:${this.#port()}`))] : [],
      gateway: () => undefined,
      sendGateway: () => {},
      askGateway: () => Promise.reject(new Error('no gateway')),
      measureRelay: async (region) => millis(region === 900 ? 25 : 40),
      resolve: async () => [],
      endpointsChanged: (endpoints) => {
        this.endpoints = endpoints;
        this.#world.changed(this);
      },
      netInfoChanged: () => {},
      preferRelay: (region) => {
        this.home = region;
        this.#world.changed(this);
      },
      restarted: () => {},
    };
  }
}
