/** What the tunnel needs from the world; `linux/` and the worker fit these by shape. */

import type { Command } from '../dataplane/commands.ts';

/** The data plane, at the other end of a message channel. */
export interface PlaneLink {
  send(command: Command): void;
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
