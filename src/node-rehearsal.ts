/**
 * The main thread's half of a first contact, done by two members that exist for it alone, once the node is ready,
 * as the worker rehearses its packet path: the functions that a first contact runs are compiled then, and what
 * V8 learns of them is learned.
 *
 *     tunnel, paths, wires  --UDP---->  the other's ring, tunnel, paths, wires
 *     of one                --relay-->  of the other
 *
 * The rooms are the real ones, on ports that lead to each other; nothing leaves the program. A round is a contact
 * of two that have never talked. Keys are made for it, and wiped.
 */

import type { Endpoint } from './base/endpoint.ts';
import { sockaddr } from './base/endpoint.ts';
import type { Env } from './base/env.ts';
import { BugError, NetError } from './base/errors.ts';
import type { NodePublic } from './base/keys.ts';
import { NodePrivate, nodePublic } from './base/keys.ts';
import { lineLog } from './base/log.ts';
import type { OwnKey, X25519 } from './crypto/x25519.ts';
import { ownKey } from './crypto/x25519.ts';
import type { Arena } from './node/dataplane/arena.ts';
import { createArena, PEER, peerAt } from './node/dataplane/arena.ts';
import type { Command } from './node/dataplane/commands.ts';
import { RelayRing } from './node/dataplane/relay-ring.ts';
import { RingWriter } from './node/dataplane/ring.ts';
import { Paths } from './node/paths/paths.ts';
import type { MeshLink } from './node/tunnel/mesh-link.ts';
import { Tunnel } from './node/tunnel/tunnel.ts';
import { NodeWires } from './node-wires.ts';
import { TYPE } from './protocol/wireguard/messages.ts';

/** With a dozen the compiler's threads still woke amid a first contact, and took the processor for up to 3 ms. */
const ROUNDS = 48;
const REGION = 1;
/** Of the first that has a slot. */
const SLOT = 0;
const PACKET_BYTES = 128;

/** What is under way, in order. */
type Post = (() => void)[];

class Member {
  readonly endpoint: Endpoint;
  readonly publicKey: NodePublic;
  readonly tunnel: Tunnel;
  readonly mesh: MeshLink;
  readonly #disco: OwnKey;
  readonly #arena: Arena;
  readonly #ring: RingWriter;
  readonly #paths: Paths;
  readonly #wires: NodeWires;
  readonly #keypairs: number[] = [];
  #met = 0;

  constructor(
    env: Env,
    x25519: X25519 | undefined,
    endpoint: Endpoint,
    post: Post,
    other: () => Member,
  ) {
    const key = new NodePrivate(env.random(32));
    const source = sockaddr(endpoint);
    this.endpoint = endpoint;
    this.publicKey = nodePublic(ownKey(key.expose()).publicKey);
    this.#disco = ownKey(env.random(32));
    this.#arena = createArena({ activePeers: 2, flows: 64, rules: 64 });
    this.#ring = new RingWriter(this.#arena, () => this.tunnel.onEvent({ type: 'datagrams' }));
    this.#wires = new NodeWires(env);
    this.tunnel = new Tunnel(env, {
      arena: this.#arena,
      x25519,
      link: { send: (command) => this.#obey(command), flush: () => {} },
      sockets: {
        open: () => ({
          port: endpoint.port,
          udp4: 0,
          udp6: -1,
          gso: false,
          sendTo: (_to, datagram) => void post.push(() => other().#heard(datagram, source)),
          setMark: () => {},
          close: () => {},
        }),
      },
      timestamps: { bound: undefined, extend: (_bound, done) => done(true) },
      mesh: this.#wires.port,
    });
    const { mesh } = this.tunnel;
    if (mesh === null) throw new BugError('rehearsal: no mesh');
    this.mesh = mesh;
    const relays = {
      send: (region: number, _peer: NodePublic, bytes: Uint8Array): boolean => {
        const datagram = bytes.slice();
        post.push(() => other().#relayed(region, this.publicKey, datagram));
        return true;
      },
      flush: () => {},
    };
    this.#paths = new Paths(
      env,
      {
        sendUdp: (to, datagram) => mesh.sendUdp(to, datagram),
        sendRelay: relays.send,
        setWay: (peer, way) => mesh.setWay(peer, way),
        traffic: (peer) => mesh.traffic(peer),
        localEndpoints: () => [endpoint],
        gateway: () => undefined,
        sendGateway: () => {},
        askGateway: () => Promise.reject(new NetError('no gateway')),
        measureRelay: () => Promise.reject(new NetError('no relay')),
        resolve: () => Promise.resolve([]),
        endpointsChanged: () => {},
        netInfoChanged: () => {},
        preferRelay: () => {},
        restarted: () => {},
      },
      this.#disco,
    );
    this.#wires.join({ mesh, paths: this.#paths, relays });
    this.#wires.setHome(REGION);
    this.#paths.setIdentity(this.publicKey);
    this.tunnel.configure({ privateKey: key, listenPort: endpoint.port, peers: [] });
    this.tunnel.up();
  }

  /** Whether a handshake with the other has ended well. */
  get talks(): boolean {
    const [peer] = this.tunnel.status().peers;
    return peer !== undefined && peer.lastHandshake > 0 && peer.endpoint !== undefined;
  }

  meets(other: Member): void {
    this.#met++;
    this.tunnel.configure({ peers: [{ publicKey: other.publicKey, allowedIps: [] }] });
    this.#paths.updatePeer({
      nodeKey: other.publicKey,
      discoKey: other.#disco.publicKey,
      endpoints: [other.endpoint],
      homeRelay: REGION,
    });
  }

  /** A packet waits for the other. */
  wants(): void {
    this.tunnel.onEvent({ type: 'handshake-wanted', peer: this.#met });
  }

  /** As the worker does where the way is not trusted yet: a packet by the relay, and a question for a path. */
  sends(): void {
    const out = new RelayRing(this.#arena, 'out');
    const at = out.reserve(PACKET_BYTES);
    this.#arena.u8[at] = TYPE.transport;
    out.commit(this.#met, PACKET_BYTES);
    if (out.mustTell()) this.tunnel.onEvent({ type: 'relay' });
    this.tunnel.onEvent({ type: 'path-wanted', slot: SLOT });
    this.tunnel.onEvent({ type: 'wake', slot: SLOT });
  }

  forgets(other: Member): void {
    this.#paths.removePeer(other.publicKey);
    this.tunnel.configure({
      peers: [{ publicKey: other.publicKey, remove: true, allowedIps: [] }],
    });
    this.tunnel.onEvent({ type: 'released', keypairs: this.#keypairs.splice(0) });
  }

  async end(): Promise<void> {
    this.tunnel.configure({ privateKey: null, peers: [] });
    this.tunnel.down();
    await this.#paths.close();
  }

  #heard(datagram: Uint8Array, source: Uint8Array): void {
    const { u8, layout } = this.#arena;
    u8.set(datagram, layout.rxIn);
    u8.set(source, layout.sourceAt);
    this.#ring.write(layout.rxIn, datagram.length, layout.sourceAt);
  }

  #relayed(region: number, source: NodePublic, datagram: Uint8Array): void {
    this.#wires.relayed(region, source, datagram);
    this.#wires.relayedEnd();
    new RelayRing(this.#arena, 'in').read(() => {});
  }

  /** The worker's part that the main thread sees. */
  #obey(command: Command): void {
    const { layout, u32 } = this.#arena;
    if (command.type === 'activate')
      u32[(peerAt(layout, command.slot) + PEER.number) >> 2] = command.peer;
    if (command.type === 'keypair') this.#keypairs.push(command.keypair);
  }
}

/** One round a turn, some 120 ms in all. @throws BugError where the two do not meet */
export async function rehearseContact(real: Env, x25519: X25519 | undefined): Promise<void> {
  const env: Env = { ...real, setTimer: () => () => {}, log: lineLog(() => {}, 'error') };
  const post: Post = [];
  const at = (last: number): Endpoint => ({
    address: Uint8Array.of(192, 0, 2, last),
    port: 41641,
    scope: 0,
  });
  const a: Member = new Member(env, x25519, at(1), post, () => b);
  const b: Member = new Member(env, x25519, at(2), post, () => a);
  const deliver = (): void => {
    for (let next = post.shift(); next !== undefined; next = post.shift()) next();
  };
  for (let round = 0; round < ROUNDS; round++) {
    await new Promise((done) => setImmediate(done));
    a.meets(b);
    b.meets(a);
    a.wants();
    deliver();
    for (const one of [a, b]) one.sends();
    deliver();
    b.tunnel.onEvent({ type: 'confirmed', slot: SLOT, keypair: 0 });
    if (!a.talks || !b.talks) throw new BugError('rehearsal: the two do not meet');
    a.forgets(b);
    b.forgets(a);
  }
  await Promise.all([a.end(), b.end()]);
}
