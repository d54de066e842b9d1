/**
 * The sockets in use. They change while the worker runs: it is told the new descriptors, and the old ones are
 * closed only when it has let go of them, since the kernel may give their numbers to others.
 */

import type { Env } from '../../base/env.ts';
import type { OpenSockets, PlaneLink, SocketsPort } from './ports.ts';

const NONE = { udp4: -1, udp6: -1, gso: false } as const;

export class Listener {
  readonly #env: Env;
  readonly #sockets: SocketsPort;
  readonly #link: PlaneLink;
  /** One entry for each `sockets` command that the worker has not answered; null where none were open. */
  readonly #letting: (OpenSockets | null)[] = [];
  #current: OpenSockets | null = null;
  #wanted = 0;
  #mark = 0;

  constructor(env: Env, sockets: SocketsPort, link: PlaneLink) {
    this.#env = env;
    this.#sockets = sockets;
    this.#link = link;
  }

  /** In use, or wanted for when the interface comes up; 0 for any. */
  get port(): number {
    return this.#current?.port ?? this.#wanted;
  }

  get mark(): number {
    return this.#mark;
  }

  get isOpen(): boolean {
    return this.#current !== null;
  }

  /** @throws NetError where the port is taken; the sockets before it stay */
  want(port: number): void {
    const unchanged = port !== 0 && port === this.#current?.port;
    if (this.#current !== null && !unchanged) this.#open(port);
    this.#wanted = port;
  }

  setMark(mark: number): void {
    this.#mark = mark;
    this.#current?.setMark(mark);
  }

  /** @throws NetError where the wanted port is taken */
  open(): void {
    if (this.#current === null) this.#open(this.#wanted);
  }

  close(): void {
    if (this.#current !== null) this.#replace(null);
  }

  sendTo(sockaddr: Uint8Array, datagram: Uint8Array): void {
    this.#current?.sendTo(sockaddr, datagram);
  }

  /** The worker has let go of the oldest descriptors that it was told to. */
  released(): void {
    this.#letting.shift()?.close();
  }

  /** The worker is gone: nothing is in use any longer. */
  dispose(): void {
    for (const sockets of this.#letting.splice(0)) sockets?.close();
    this.#current?.close();
    this.#current = null;
  }

  #open(port: number): void {
    const opened = this.#sockets.open(port, this.#mark);
    // A port that the kernel chose is kept: peers know it, and it must survive the interface going down.
    this.#wanted = opened.port;
    this.#replace(opened);
    this.#env.log.info('tunnel: listening', { port: opened.port });
  }

  #replace(opened: OpenSockets | null): void {
    this.#letting.push(this.#current);
    this.#current = opened;
    const { udp4, udp6, gso } = opened ?? NONE;
    this.#link.send({ type: 'sockets', udp4, udp6, gso });
  }
}
