/** What the tunnel needs from the world; `linux/` and the worker fit these by shape. */

import type { Endpoint } from '../../base/endpoint.ts';
import type { NodePublic } from '../../base/keys.ts';
import type { X25519 } from '../../crypto/x25519.ts';
import type { Arena } from '../dataplane/arena.ts';
import type { Command, Report } from '../dataplane/commands.ts';

/** The data plane, at the other end of a message channel. */
export interface PlaneLink {
  /** It leaves at the end of this turn at the latest, in order; what it holds must not change until then. */
  send(command: Command): void;
  /** What was sent leaves now. */
  flush(): void;
}

/** UDP sockets of both families on one port. */
export interface OpenSockets {
  /** The port in use. */
  readonly port: number;
  /** Descriptors; -1 where the family is absent. */
  readonly udp4: number;
  readonly udp6: number;
  /** The kernel splits joined datagrams (UDP_SEGMENT). */
  readonly gso: boolean;
  /** Best effort, as UDP is. @param sockaddr 28 bytes (base/endpoint.ts) */
  sendTo(sockaddr: Uint8Array, datagram: Uint8Array): void;
  /** @param mark SO_MARK, 0 for none */
  setMark(mark: number): void;
  close(): void;
}

export interface SocketsPort {
  /**
   * @param port 0: the kernel chooses one that is free in both families
   * @throws NetError where the port is taken, with `code`
   */
  open(port: number, mark: number): OpenSockets;
}

/** Keeps a bound of handshake time stamps over a restart, so that they never go back (tai64n.ts). */
export interface TimestampStore {
  /** 12 bytes; undefined in the first run. */
  readonly bound: Uint8Array | undefined;
  /** Stores a later bound; `done` says whether it is safe from a power cut. */
  extend(bound: Uint8Array, done: (stored: boolean) => void): void;
}

/** Paths and relays, to a tunnel that is a member of a mesh. */
export interface MeshPort {
  /**
   * Sends a handshake message to the peer by every way that may be one.
   *
   * @param again not the first of its handshake
   * @returns whether it took untried ways, by which it may arrive and its response not
   */
  send(peer: NodePublic, datagram: Uint8Array, again: boolean): boolean;
  /** A handshake message of the peer's that has proved itself came from there, and by no relay. */
  heard(peer: NodePublic, source: Endpoint): void;
  /** Sends by the peer's relay; `relayEnd` follows the last of several. @param datagram not kept */
  relay(peer: NodePublic, datagram: Uint8Array): void;
  relayEnd(): void;
  /** Data goes to the peer and no direct way is trusted. */
  wanted(peer: NodePublic): void;
  /** A datagram that may be disco's or STUN's; false where it is neither. */
  foreign(datagram: Uint8Array, source: Endpoint): boolean;
  /** A packet of the tunnel that is for this program. */
  inner(peer: NodePublic, packet: Uint8Array): void;
}

export interface TunnelPorts {
  readonly arena: Arena;
  /** What handshakes are computed by; node:crypto where there is none. */
  readonly x25519?: X25519 | undefined;
  readonly link: PlaneLink;
  readonly sockets: SocketsPort;
  readonly timestamps: TimestampStore;
  /** A member of a mesh has it. */
  readonly mesh?: MeshPort | undefined;
}

/** Counters of the packet path and of handshakes. */
export interface TunnelReport extends Report {
  readonly peers: number;
  readonly activePeers: number;
  /** Peers that lost their slot to another. */
  readonly evictions: number;
  /** By outcome. */
  readonly handshakes: Readonly<Record<string, number>>;
}
