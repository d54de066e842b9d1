/**
 * The tunnel: peers, their handshakes and timers, above the data plane. It lives on the main thread, changes
 * the worker's tables by commands in order, and reads what happened from the arena's marks and from events.
 *
 *     configure  ->  peers, allowed IPs  ->  commands
 *     events     ->  handshake wanted | rekey | wake | confirmed | datagrams  ->  handshakes, timers
 *     link state ->  up: sockets open   down: sockets closed, keypairs dropped
 */

import { isZero } from '../../base/bytes.ts';
import type { Env } from '../../base/env.ts';
import { BugError, unreachable } from '../../base/errors.ts';
import type { NodePrivate } from '../../base/keys.ts';
import type { Millis } from '../../base/time.ts';
import { after, millis, seconds } from '../../base/time.ts';
import { RING_ENTRIES } from '../dataplane/arena.ts';
import type { Event, Report } from '../dataplane/commands.ts';
import { ringRead } from '../dataplane/ring.ts';
import type { Rule } from '../dataplane/rules.ts';
import { ActivePeers } from './active.ts';
import type {
  ConfigurableInterface,
  InterfaceChange,
  InterfaceStatus,
  PeerChange,
} from './configuration.ts';
import { Handshakes } from './handshakes.ts';
import { Keypairs } from './keypairs.ts';
import { Listener } from './listener.ts';
import { MeshLink } from './mesh-link.ts';
import type { Peer } from './peer.ts';
import { peerStatus } from './peer-status.ts';
import { PeerTable } from './peer-table.ts';
import { PeerTimers } from './peer-timers.ts';
import type { MeshPort, TunnelPorts, TunnelReport } from './ports.ts';
import type { SendTo } from './ways.ts';
import { RoamingWays } from './ways.ts';

/** So many handshake messages waiting at once are load: a quarter of the ring. */
const BUSY_DATAGRAMS: number = RING_ENTRIES / 4;
/** Packets to a peer that cannot be asked wait so long for an endpoint or a key to be set. */
const HOPELESS: Millis = seconds(5);

export class Tunnel implements ConfigurableInterface {
  readonly #env: Env;
  readonly #ports: TunnelPorts;
  readonly #keypairs: Keypairs;
  readonly #active: ActivePeers;
  readonly #handshakes: Handshakes;
  readonly #timers: PeerTimers;
  readonly #listener: Listener;
  readonly #peers: PeerTable;
  readonly #reports: ((report: Report) => void)[] = [];

  /** Null for plain WireGuard. */
  readonly mesh: MeshLink | null;

  constructor(env: Env, ports: TunnelPorts) {
    const { arena, link, sockets, mesh, ...inHandshakes } = ports;
    this.#env = env;
    this.#ports = ports;
    this.#peers = new PeerTable(link);
    this.#listener = new Listener(env, sockets, link);
    this.#keypairs = new Keypairs(arena, link, (length) => env.random(length));
    this.#active = new ActivePeers(arena, link, (peer) => this.#retire(peer));
    const sendTo: SendTo = (to, datagram) => this.#listener.sendTo(to, datagram);
    this.mesh = mesh === undefined ? null : this.#meshLink(mesh, sendTo);
    this.#handshakes = new Handshakes(env, {
      keypairs: this.#keypairs,
      active: this.#active,
      ...inHandshakes,
      ways: this.mesh ?? new RoamingWays(this.#active, sendTo),
      peer: (publicKey) => this.#peers.find(publicKey),
      changed: (peer) => this.#timers.check(peer),
    });
    this.#timers = new PeerTimers(env, {
      active: this.#active,
      handshakes: this.#handshakes,
      link,
      dropKeypairs: (peer) => this.#dropKeypairs(peer),
    });
  }

  configure(change: InterfaceChange): void {
    if (change.privateKey !== undefined) this.#setPrivateKey(change.privateKey);
    if (change.fwmark !== undefined) this.#listener.setMark(change.fwmark);
    if (change.listenPort !== undefined) this.#listener.want(change.listenPort);
    if (change.replacePeers === true) for (const peer of this.#peers.all()) this.#remove(peer);
    for (const peer of change.peers) this.#changePeer(peer);
  }

  status(): InterfaceStatus {
    return {
      privateKey: this.#handshakes.privateKey,
      listenPort: this.#listener.port,
      fwmark: this.#listener.mark,
      peers: this.#peers.all().map((peer) => peerStatus(peer, this.#active, this.#peers)),
    };
  }

  /** Resolves when the worker has answered. */
  async report(): Promise<TunnelReport> {
    const { promise, resolve } = Promise.withResolvers<Report>();
    this.#reports.push(resolve);
    this.#ports.link.send({ type: 'report' });
    return {
      ...(await promise),
      peers: this.#peers.size,
      activePeers: this.#active.count,
      evictions: this.#active.evictions,
      handshakes: Object.fromEntries(this.#handshakes.counts),
    };
  }

  /**
   * The interface came up.
   *
   * @throws NetError where the listen port is taken
   */
  up(): void {
    if (this.#listener.isOpen) return;
    this.#listener.open();
    for (const peer of this.#peers.all()) this.#greet(peer);
  }

  /** The interface went down: nothing is sent or received, and keypairs are dropped. */
  down(): void {
    if (!this.#listener.isOpen) return;
    this.#listener.close();
    for (const peer of this.#peers.all()) this.#active.deactivate(peer);
  }

  /** Replaces the filter's rules. */
  setRules(rules: readonly Rule[]): void {
    this.#ports.link.send({ type: 'rules', rules });
  }

  setMtu(mtuBytes: number): void {
    this.#ports.link.send({ type: 'mtu', mtuBytes });
  }

  /** Wipes keys and closes sockets. The worker has been stopped before. */
  close(): void {
    for (const peer of this.#peers.all()) this.#remove(peer);
    this.#handshakes.close();
    this.#listener.dispose();
    this.#ports.arena.u8.fill(0);
  }

  onEvent(event: Event): void {
    switch (event.type) {
      case 'handshake-wanted':
        this.#handshakeWanted(event.peer);
        return;
      case 'rekey':
      case 'wake':
      case 'confirmed':
        this.#slotEvent(event);
        return;
      case 'path-wanted':
      case 'relay':
        this.mesh?.onEvent(event);
        return;
      case 'released':
        for (const keypair of event.keypairs) this.#keypairs.free(keypair);
        return;
      case 'deactivated':
        this.#carried(event);
        return;
      case 'datagrams':
        this.#datagrams();
        return;
      case 'sockets':
        this.#listener.released();
        return;
      case 'report':
        this.#reports.shift()?.(event.report);
        return;
      case 'ready':
      case 'gone':
        throw new BugError(`the worker's ${event.type} belongs to its owner`);
      default:
        unreachable(event);
    }
  }

  #meshLink(port: MeshPort, sendTo: SendTo): MeshLink {
    return new MeshLink({
      arena: this.#ports.arena,
      link: this.#ports.link,
      peers: this.#peers,
      active: this.#active,
      port,
      sendTo,
      handshake: (datagram, source) => this.#handshakes.receiveAlone(datagram, source),
      call: (peer) => (peer.handshake ? this.#handshakes.retry(peer) : this.#initiate(peer)),
      dropKeypairs: (peer) => this.#dropKeypairs(peer),
      reserveTimestamps: () => this.#handshakes.reserveTimestamps(),
    });
  }

  #slotEvent({ type, slot }: Extract<Event, { type: 'rekey' | 'wake' | 'confirmed' }>): void {
    const peer = this.#active.at(slot);
    if (peer === undefined) return;
    if (type === 'rekey') this.#initiate(peer);
    else if (type === 'wake') this.#timers.check(peer);
    else this.#handshakes.confirmed(peer);
  }

  /** Members of a mesh whom we talked with are called: what they have to say waits for a key they know. */
  #setPrivateKey(key: NodePrivate | null): void {
    if (!this.#handshakes.setPrivateKey(key)) return;
    for (const peer of this.#peers.all()) {
      if (this.#handshakes.isOwn(peer.publicKey)) {
        this.#remove(peer);
        continue;
      }
      const talked = this.mesh !== null && this.#handshakes.facts(peer).hasKeypair;
      this.#handshakes.prepare(peer);
      this.#dropKeypairs(peer);
      if (talked) this.#initiate(peer);
    }
  }

  #changePeer(change: PeerChange): void {
    if (this.#handshakes.isOwn(change.publicKey)) return;
    const known = this.#peers.find(change.publicKey);
    if (change.remove === true) {
      if (known !== undefined) this.#remove(known);
      return;
    }
    if (known === undefined && change.updateOnly === true) return;
    const peer = known ?? this.#peers.add(change.publicKey);
    if (known === undefined) this.#handshakes.prepare(peer);
    const { presharedKey: key } = change;
    if (key !== undefined) peer.presharedKey = key === null || isZero(key.expose()) ? null : key;
    if (change.endpoint !== undefined) this.#active.setEndpoint(peer, change.endpoint);
    this.#peers.changeAllowedIps(peer, change);
    if (change.persistentKeepaliveSeconds !== undefined) {
      peer.persistentKeepaliveSeconds = change.persistentKeepaliveSeconds;
      this.#greet(peer);
    }
  }

  #remove(peer: Peer): void {
    this.#active.deactivate(peer);
    this.#handshakes.forget(peer);
    this.#peers.remove(peer);
  }

  /** Packets that wait for its handshake go too: only a peer for which none waits is asked for again. */
  #dropKeypairs(peer: Peer): void {
    this.#handshakes.abandon(peer);
    peer.lastKeypairAt = millis(0);
    this.#ports.link.send({ type: 'give-up', peer: peer.number });
    if (peer.slot >= 0) this.#ports.link.send({ type: 'drop-keypairs', slot: peer.slot });
  }

  /** The peer is about to lose its slot. */
  #retire(peer: Peer): void {
    this.#dropKeypairs(peer);
    this.#timers.cancel(peer);
  }

  #carried(event: Extract<Event, { type: 'deactivated' }>): void {
    const peer = this.#peers.numbered(event.peer);
    if (peer === undefined) return;
    peer.bytesSent += event.bytesSent;
    peer.bytesReceived += event.bytesReceived;
  }

  #handshakeWanted(number: number): void {
    const peer = this.#peers.numbered(number);
    if (peer !== undefined && this.#initiate(peer)) return;
    this.#env.setTimer(after(this.#env.now(), HOPELESS), () => {
      if (peer?.handshake == null) this.#ports.link.send({ type: 'give-up', peer: number });
    });
  }

  /** Starts a handshake unless one is under way; false where nobody can be asked. */
  #initiate(peer: Peer): boolean {
    return this.#listener.isOpen && this.#handshakes.initiate(peer);
  }

  /** A persistent keepalive begins at once, by a packet or by the handshake that it takes. */
  #greet(peer: Peer): void {
    if (!this.#listener.isOpen || peer.persistentKeepaliveSeconds === 0) return;
    if (peer.slot >= 0) this.#timers.check(peer);
    else this.#initiate(peer);
  }

  #datagrams(): void {
    const count = ringRead(this.#ports.arena, (datagram, source) => {
      if (!this.#listener.isOpen || this.mesh?.takes(datagram, source) === true) return;
      this.#handshakes.receive(datagram, source);
    });
    this.#handshakes.flush();
    if (count >= BUSY_DATAGRAMS) this.#handshakes.busy();
  }
}
