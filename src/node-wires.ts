/**
 * The wires between the tunnel, paths and relays of a node. Each of the three knows the others only as ports.
 *
 *     tunnel --MeshPort--> paths (disco, STUN, path wanted), relays (what has no direct way)
 *     relays --packet--->  paths where it is disco, else tunnel
 *     paths  --setWay--->  tunnel
 *
 * Small messages from node to node (TSMP) end here: a ping out of the tunnel is answered, a pong resolves who waits.
 */

import { toHex } from './base/bytes.ts';
import type { Endpoint } from './base/endpoint.ts';
import type { Env } from './base/env.ts';
import type { NodePublic } from './base/keys.ts';
import { keyText } from './base/keys.ts';
import type { Millis } from './base/time.ts';
import { after, millis } from './base/time.ts';
import type { Paths } from './node/paths/paths.ts';
import type { Relays } from './node/relays/relays.ts';
import type { MeshLink } from './node/tunnel/mesh-link.ts';
import type { MeshPort } from './node/tunnel/ports.ts';
import type { AppliedPeers } from './node-apply.ts';
import { readTsmp, TSMP_DATA_BYTES, writeTsmp } from './protocol/tsmp/tsmp.ts';

/** Where a peer most likely is gets so long to answer before the other places that it may be at are asked as well. */
const LIKELIEST: Millis = millis(3);
/** A peer that may be near is given so long to answer directly before the relay and its pings have work by it. */
const HOPE: Millis = millis(5);

/** What is joined once all of it has started. */
export interface WiredRooms {
  readonly mesh: MeshLink;
  readonly paths: Paths;
  readonly relays: Pick<Relays, 'send' | 'flush'>;
}

export class NodeWires {
  readonly #env: Env;
  readonly #pongs = new Map<string, () => void>();
  #rooms: WiredRooms | undefined;
  /** Home relays of peers by key, as bytes of the very key that the tunnel has, and by its text. */
  #homeOfObject = new WeakMap<NodePublic, number>();
  #homes: ReadonlyMap<string, number> = new Map();
  #ownHome = 0;
  /** Peers that were asked where they may be, and have not been heard since. */
  readonly #hoping = new Set<NodePublic>();

  constructor(env: Env) {
    this.#env = env;
  }

  join(rooms: WiredRooms): void {
    this.#rooms = rooms;
  }

  /** The map has changed. */
  setPeers(peers: AppliedPeers): void {
    this.#homes = new Map(
      [...peers.values()].map(({ key, path }) => [keyText(key), path.homeRelay]),
    );
    this.#homeOfObject = new WeakMap();
  }

  /** Peers of which no home relay is known are asked for at ours. */
  setHome(region: number): void {
    this.#ownHome = region;
    this.#homeOfObject = new WeakMap();
  }

  /** A datagram that a relay brought. */
  relayed(region: number, source: NodePublic, datagram: Uint8Array): void {
    const rooms = this.#rooms;
    if (rooms === undefined) return;
    if (rooms.paths.receive(datagram, { relay: region, peer: source })) return;
    rooms.mesh.relayed(source, datagram);
  }

  relayedEnd(): void {
    this.#rooms?.mesh.relayedEnd();
  }

  readonly port: MeshPort = {
    send: (peer, datagram, again) => {
      const rooms = this.#rooms;
      if (rooms === undefined) return false;
      const [likeliest, ...others] = again ? [] : rooms.paths.hopesFor(peer);
      if (likeliest === undefined) {
        this.#send(rooms, peer, datagram);
        return false;
      }
      rooms.mesh.sendUdp(likeliest, datagram);
      this.#hope(rooms, peer, others, datagram.slice());
      return true;
    },
    heard: (peer, source) => {
      this.#hoping.delete(peer);
      this.#rooms?.paths.heard(peer, source);
    },
    relay: (peer, datagram) => {
      const region = this.#homeOf(peer);
      if (region !== 0) this.#rooms?.relays.send(region, peer, datagram);
    },
    relayEnd: () => this.#rooms?.relays.flush(),
    wanted: (peer) => this.#rooms?.paths.wanted(peer),
    foreign: (datagram, source) => this.#rooms?.paths.receive(datagram, source) ?? false,
    inner: (peer, packet) => this.#inner(peer, packet),
  };

  /**
   * Asks the peer through the tunnel.
   *
   * @returns round trip, or undefined where nothing came in time
   */
  tsmpPing(
    peer: NodePublic,
    source: Uint8Array,
    target: Uint8Array,
    patience: Millis,
  ): Promise<Millis | undefined> {
    const data = this.#env.random(TSMP_DATA_BYTES);
    const sentAt = this.#env.now();
    return new Promise((resolve) => {
      const text = toHex(data);
      const cancel = this.#env.setTimer(after(sentAt, patience), () => {
        this.#pongs.delete(text);
        resolve(undefined);
      });
      this.#pongs.set(text, () => {
        cancel();
        resolve((this.#env.now() - sentAt) as Millis);
      });
      this.#rooms?.mesh.inject(peer, writeTsmp({ type: 'ping', source, target, data }));
    });
  }

  /** What else is tried while the likeliest place is silent. */
  #hope(
    rooms: WiredRooms,
    peer: NodePublic,
    others: readonly Endpoint[],
    datagram: Uint8Array,
  ): void {
    const began = this.#env.now();
    this.#hoping.add(peer);
    this.#env.setTimer(after(began, LIKELIEST), () => {
      if (this.#hoping.has(peer))
        for (const endpoint of others) rooms.mesh.sendUdp(endpoint, datagram);
      this.#env.setTimer(after(began, HOPE), () => {
        if (this.#hoping.delete(peer)) this.#send(rooms, peer, datagram);
        else rooms.paths.wanted(peer);
      });
    });
  }

  /** By every way that is known. */
  #send({ paths, mesh, relays }: WiredRooms, peer: NodePublic, datagram: Uint8Array): void {
    const { direct, relay } = paths.waysOf(peer);
    if (direct !== undefined) mesh.sendUdp(direct, datagram);
    if (relay !== 0 && relays.send(relay, peer, datagram)) relays.flush();
    paths.wanted(peer);
  }

  /** The data plane has seen to it that the source is the peer's. */
  #inner(peer: NodePublic, packet: Uint8Array): void {
    const message = readTsmp(packet);
    if (message === undefined) return;
    const { type, source, target, data } = message;
    if (type === 'ping') {
      const pong = writeTsmp({ type: 'pong', source: target, target: source, data });
      this.#rooms?.mesh.inject(peer, pong);
      return;
    }
    const text = toHex(data);
    this.#pongs.get(text)?.();
    this.#pongs.delete(text);
  }

  #homeOf(peer: NodePublic): number {
    let region = this.#homeOfObject.get(peer);
    if (region === undefined) {
      region = this.#homes.get(keyText(peer)) || this.#ownHome;
      this.#homeOfObject.set(peer, region);
    }
    return region;
  }
}
