/**
 * The ways to all peers: direct where one is found, by relay else, and who finds it.
 *
 *     wanted, disco, STUN ──> Paths ──> one PeerPath a used peer ──> pings, calls ──> setWay
 *                               │
 *                               ├── Calls       where we are, told to a peer that shall ping us
 *                               ├── Netcheck    what STUN sees, home relay, NAT
 *                               └── PortMapper  a port of the gateway's
 *
 * Nothing is sent for the sake of an idle peer: each used peer has one timer, set by its path's plan, and
 * none while it is idle.
 */

import type { Endpoint } from '../../base/endpoint.ts';
import { formatEndpoint } from '../../base/endpoint.ts';
import type { Env } from '../../base/env.ts';
import { NetError } from '../../base/errors.ts';
import type { NodePublic } from '../../base/keys.ts';
import { shortKey } from '../../base/keys.ts';
import { NEVER, seconds } from '../../base/time.ts';
import type { OwnKey } from '../../crypto/x25519.ts';
import { isDisco } from '../../protocol/disco/messages.ts';
import { isStun } from '../../protocol/disco/stun.ts';
import type { DERPMap } from '../../protocol/tailcfg/types.ts';
import { Calls } from './calls.ts';
import type { RelaySource } from './conversation.ts';
import { Conversation } from './conversation.ts';
import type { NetworkReport } from './network-facts.ts';
import { NetworkFacts } from './network-facts.ts';
import type { PathStatus } from './path-status.ts';
import { pathStatus } from './path-status.ts';
import type { PeerEntry, PeerUse } from './peer-table.ts';
import { NO_WAY, PeerTable, relayOf } from './peer-table.ts';
import type { PingOptions } from './ping-ways.ts';
import { pingWays } from './ping-ways.ts';
import type { OwnEndpoint, PathPeer, PathsPorts, Way } from './ports.ts';
import type { PingResult, SentPing } from './verb-pings.ts';
import { VerbPings } from './verb-pings.ts';

export class Paths {
  readonly #env: Env;
  readonly #ports: PathsPorts;
  readonly #peers = new PeerTable();
  readonly #talk: Conversation;
  readonly #facts: NetworkFacts;
  readonly #verbPings: VerbPings;
  readonly #counters = new Map<string, number>();
  readonly #active = new Set<PeerEntry>();
  readonly #calls: Calls;
  #closed = false;

  /** @param disco a pair of this run's own */
  constructor(env: Env, ports: PathsPorts, disco: OwnKey) {
    this.#env = env;
    this.#ports = ports;
    const count = (reason: string): void => this.#count(reason);
    this.#verbPings = new VerbPings(env);
    this.#facts = new NetworkFacts(env, ports, count, () => this.#calls.endpointsKnown());
    this.#talk = new Conversation(env, ports, disco, this.#peers, {
      heard: (entry, use) => this.#run(entry, use),
      pong: (_entry, transaction) => this.#verbPings.pong(transaction),
      count,
    });
    this.#calls = new Calls(env, this.#facts, this.#talk);
  }

  /** Our own node key, said in pings; none are sent before. */
  setIdentity(nodeKey: NodePublic): void {
    this.#talk.nodeKey = nodeKey;
  }

  /** The whole list: who is not in it is gone. */
  setPeers(peers: readonly PathPeer[]): void {
    const kept = new Set<PeerEntry>();
    for (const peer of peers) kept.add(this.#put(peer));
    for (const entry of this.#peers.all()) if (!kept.has(entry)) this.#remove(entry);
  }

  /** One peer, new or changed. */
  updatePeer(peer: PathPeer): void {
    this.#put(peer);
  }

  removePeer(nodeKey: NodePublic): void {
    const entry = this.#peers.get(nodeKey);
    if (entry !== undefined) this.#remove(entry);
  }

  setRelayMap(map: DERPMap): void {
    this.#facts.setRelayMap(map);
  }

  /** Home of the last run, until something is measured. */
  setHomeHint(region: number): void {
    this.#facts.setHomeHint(region);
  }

  /** The relay of a region cannot be reached; if it is home, another may have to be. */
  relayTrouble(region: number): void {
    this.#facts.relayTrouble(region);
  }

  /** @returns false: it is neither disco nor STUN, and not ours */
  receive(datagram: Uint8Array, from: Endpoint | RelaySource): boolean {
    if (isDisco(datagram)) {
      if (!this.#closed) this.#talk.receive(datagram, from);
      return true;
    }
    if ('relay' in from || !isStun(datagram)) return false;
    if (!this.#closed) this.#facts.receiveStun(datagram, from);
    return true;
  }

  /** What came to the socket of `sendGateway`. */
  onGateway(datagram: Uint8Array, from: Endpoint): void {
    if (!this.#closed) this.#facts.receiveGateway(datagram, from);
  }

  /** Data waits for the peer, or goes by a path that is not trusted. */
  wanted(nodeKey: NodePublic): void {
    const entry = this.#peers.get(nodeKey);
    if (entry === undefined || this.#closed) return;
    const now = this.#env.now();
    const use = this.#peers.use(entry, now);
    use.wantedAt = now;
    this.#run(entry, use);
  }

  /** Where a message to the peer goes now; `relay` 0: not by relay. */
  waysOf(nodeKey: NodePublic): { readonly direct?: Endpoint; readonly relay: number } {
    const entry = this.#peers.get(nodeKey);
    if (entry === undefined) return { relay: 0 };
    const { direct, trustedUntil } = entry.use?.way ?? NO_WAY;
    if (direct === undefined) return { relay: relayOf(entry) };
    return { direct, relay: this.#env.now() < trustedUntil ? 0 : relayOf(entry) };
  }

  /**
   * Where a peer may be that no way is known to, for a handshake of ours: an answer from there saves the search.
   * None a second time within minutes, lest a network that lets us through and no answer back costs each of them.
   */
  hopesFor(nodeKey: NodePublic): readonly Endpoint[] {
    const entry = this.#peers.get(nodeKey);
    if (entry === undefined || this.#closed) return [];
    const now = this.#env.now();
    return this.#peers.use(entry, now).path.hopes(now);
  }

  /** A handshake of the peer's came from there. */
  heard(nodeKey: NodePublic, source: Endpoint): void {
    const entry = this.#peers.get(nodeKey);
    if (entry === undefined || this.#closed) return;
    const now = this.#env.now();
    const use = this.#peers.use(entry, now);
    use.path.heard(source, now);
    this.#tell(entry, use);
  }

  /** The sockets were bound anew, or the machine is in another network. */
  linkChanged(): void {
    if (this.#closed) return;
    this.#count('link changed');
    const used = this.#peers.used();
    for (const { use } of used) {
      if (use === undefined) continue;
      use.path.doubt();
      this.#calls.moved(use);
    }
    this.#facts.linkChanged();
    for (const entry of used) if (entry.use !== undefined) this.#run(entry, entry.use);
  }

  /** A relay is there again: what was called by it meanwhile may be lost. */
  relayBack(): void {
    for (const entry of this.#active) {
      entry.use?.path.callAgain();
      if (entry.use !== undefined) this.#run(entry, entry.use);
    }
  }

  /** A disco ping by all ways that `options` leave. @throws NetError (rejects) without an answer in time */
  ping(nodeKey: NodePublic, options: PingOptions = {}): Promise<PingResult> {
    const entry = this.#peers.get(nodeKey);
    if (entry === undefined || this.#closed)
      return Promise.reject(new NetError('no such peer in the map'));
    const now = this.#env.now();
    const use = this.#peers.use(entry, now);
    const sent: SentPing[] = [];
    const region = relayOf(entry);
    const { relay, endpoints } = pingWays(use.path, options.way ?? 'any', now);
    const relayed = relay ? this.#talk.pingByRelay(entry, region) : undefined;
    if (relayed !== undefined) sent.push({ transaction: relayed, via: { relay: region } });
    for (const endpoint of endpoints) {
      const transaction = this.#talk.ping(entry, endpoint);
      if (transaction !== undefined) sent.push({ transaction, via: endpoint });
    }
    const answer = this.#verbPings.wait(sent, options.patience ?? seconds(5));
    if (options.way !== 'relay') this.wanted(nodeKey);
    return answer;
  }

  netcheck(): Promise<NetworkReport> {
    return this.#facts.check();
  }

  status(nodeKey: NodePublic): PathStatus | undefined {
    const entry = this.#peers.get(nodeKey);
    return entry && pathStatus(entry, relayOf(entry), this.#env.now());
  }

  endpoints(): readonly OwnEndpoint[] {
    return this.#facts.endpoints;
  }

  counters(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#counters);
  }

  /** At once; what it waits for is a gateway that takes a port back. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const entry of this.#peers.used()) this.#peers.release(entry);
    this.#active.clear();
    this.#calls.clear();
    await this.#facts.close();
  }

  /** Does what the peer's path wants now, and sees to be here when it wants something next. */
  #run(entry: PeerEntry, use: PeerUse): void {
    const now = this.#env.now();
    const { sent, received } = this.#ports.traffic(entry.peer.nodeKey);
    const plan = use.path.plan({ sent, received, wanted: use.wantedAt }, now);
    for (const endpoint of plan.ping) this.#talk.ping(entry, endpoint);
    this.#setActive(entry, use, plan.phase !== 'idle');
    if (plan.call) this.#calls.due(entry, use, plan.phase);
    this.#tell(entry, use);
    use.cancelTimer();
    use.cancelTimer =
      plan.wake === NEVER
        ? () => {}
        : this.#env.setTimer(plan.wake, () => entry.use === use && this.#run(entry, use));
  }

  #setActive(entry: PeerEntry, use: PeerUse, active: boolean): void {
    if (use.active === active) return;
    use.active = active;
    if (active) this.#active.add(entry);
    else this.#active.delete(entry);
    this.#facts.setActive(this.#active.size > 0);
    if (active) return;
    for (const old of this.#peers.unused(this.#env.now())) {
      this.#ports.setWay(old.peer.nodeKey, NO_WAY);
      this.#peers.release(old);
    }
  }

  #tell(entry: PeerEntry, use: PeerUse): void {
    const direct = use.path.best?.endpoint;
    const way: Way = { direct, trustedUntil: use.path.trustedUntil };
    const before = use.way;
    if (before.direct === direct && before.trustedUntil === way.trustedUntil) return;
    use.way = way;
    this.#ports.setWay(entry.peer.nodeKey, way);
    if (before.direct === direct) return;
    const peer = shortKey(entry.peer.nodeKey);
    if (direct === undefined) this.#env.log.debug('paths: by relay', { peer });
    else this.#env.log.debug('paths: direct', { peer, endpoint: formatEndpoint(direct) });
  }

  #put(peer: PathPeer): PeerEntry {
    const { entry, restarted } = this.#peers.put(peer, this.#env.now());
    if (restarted) this.#ports.restarted(peer.nodeKey);
    if (entry.use !== undefined) this.#run(entry, entry.use);
    return entry;
  }

  #remove(entry: PeerEntry): void {
    this.#active.delete(entry);
    this.#calls.remove(entry);
    this.#peers.remove(entry);
    this.#facts.setActive(this.#active.size > 0);
  }

  #count(reason: string): void {
    this.#counters.set(reason, (this.#counters.get(reason) ?? 0) + 1);
  }
}
