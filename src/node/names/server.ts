/**
 * The listening side: UDP and TCP on each of our addresses.
 *
 *     UDP   message -> answer -> one datagram, cut to what the asker takes
 *     TCP   length, message, ... -> answers as they come, in any order (RFC 7766 6.2.1.1)
 *
 * Bounds: 64 connections, the one that has been silent the longest making room for a new one; 16 questions
 * of one under way, more being dropped; 10 s of silence end a connection (RFC 7766 6.2.3).
 */

import type { Env } from '../../base/env.ts';
import { NetError } from '../../base/errors.ts';
import { formatIp } from '../../base/ip.ts';
import { after, seconds } from '../../base/time.ts';
import { frame, Unframer } from '../../protocol/dns/stream.ts';
import type { Closable, NamesNetwork, Wire, WireEvents } from './ports.ts';

const MAX_CONNECTIONS = 64;
const MAX_UNDER_WAY = 16;
const IDLE = seconds(10);

export type Transport = 'udp' | 'tcp';

export interface ServerOptions {
  readonly env: Env;
  readonly network: NamesNetwork;
  readonly addresses: readonly Uint8Array[];
  readonly port: number;
  /** The answer, whole; undefined: none. Never rejects. */
  answer(message: Uint8Array, transport: Transport): Promise<Uint8Array | undefined>;
  mayAsk(from: Uint8Array): boolean;
  count(reason: string): void;
}

export class Server implements Closable {
  readonly #options: ServerOptions;
  readonly #listeners: Closable[] = [];
  /** The addresses that could be opened, by UDP and TCP both. */
  readonly listening: Uint8Array[] = [];
  /** Why others could not. */
  readonly problems: string[] = [];
  readonly #connections = new Set<Connection>();

  private constructor(options: ServerOptions) {
    this.#options = options;
  }

  /**
   * Opens what can be opened: a machine without IPv6 answers by IPv4.
   *
   * @throws Error where no address can be listened on
   */
  static async open(options: ServerOptions): Promise<Server> {
    const server = new Server(options);
    for (const address of options.addresses)
      try {
        await server.#listen(address);
        server.listening.push(address);
      } catch (error) {
        server.problems.push(`${formatIp(address)}: ${(error as Error).message}`);
      }
    if (server.listening.length > 0) return server;
    server.close();
    throw new NetError(`names: cannot listen: ${server.problems.join('; ')}`);
  }

  get connections(): number {
    return this.#connections.size;
  }

  close(): void {
    for (const listener of this.#listeners.splice(0)) listener.close();
    for (const connection of [...this.#connections]) connection.close();
  }

  async #listen(address: Uint8Array): Promise<void> {
    const { network, port } = this.#options;
    const udp = await network.listenUdp(address, port, (message, from, reply) => {
      if (this.#admits(from)) void this.#answerUdp(message, reply);
    });
    try {
      const tcp = await network.listenTcp(address, port, (wire, from) => this.#accept(wire, from));
      this.#listeners.push(udp, tcp);
    } catch (error) {
      udp.close();
      throw error;
    }
  }

  #admits(from: Uint8Array): boolean {
    const admitted = this.#options.mayAsk(from);
    if (!admitted) this.#options.count('dns: asked by a stranger');
    return admitted;
  }

  async #answerUdp(message: Uint8Array, reply: (message: Uint8Array) => void): Promise<void> {
    const answer = await this.#options.answer(message, 'udp');
    if (answer !== undefined) reply(answer);
  }

  #accept(wire: Wire, from: Uint8Array): WireEvents {
    if (!this.#admits(from)) {
      wire.close();
      return { heard: () => {}, closed: () => {} };
    }
    const [oldest] = this.#connections;
    if (oldest !== undefined && this.#connections.size >= MAX_CONNECTIONS) {
      this.#options.count('dns: too many connections');
      oldest.close();
    }
    const connection = new Connection(wire, this.#options, {
      heard: () => {
        // The set keeps the order of hearing, so that the first is the one silent for longest.
        this.#connections.delete(connection);
        this.#connections.add(connection);
      },
      over: () => this.#connections.delete(connection),
    });
    this.#connections.add(connection);
    return connection;
  }
}

class Connection implements WireEvents, Closable {
  readonly #wire: Wire;
  readonly #options: ServerOptions;
  readonly #events: { heard(): void; over(): void };
  readonly #unframer = new Unframer();
  #underWay = 0;
  #open = true;
  #idle: () => void = () => {};

  constructor(wire: Wire, options: ServerOptions, events: { heard(): void; over(): void }) {
    this.#wire = wire;
    this.#options = options;
    this.#events = events;
    this.#stay();
  }

  heard(bytes: Uint8Array): void {
    if (!this.#open) return;
    this.#stay();
    this.#events.heard();
    for (const message of this.#unframer.push(bytes)) void this.#answer(message);
  }

  closed(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#idle();
    this.#events.over();
  }

  close(): void {
    if (!this.#open) return;
    this.closed();
    this.#wire.close();
  }

  async #answer(message: Uint8Array): Promise<void> {
    if (this.#underWay >= MAX_UNDER_WAY) {
      this.#options.count('dns: too many questions on a connection');
      return;
    }
    this.#underWay++;
    const answer = await this.#options.answer(message, 'tcp');
    this.#underWay--;
    if (!this.#open) return;
    // Nobody speaks DNS who sends what gets no answer.
    if (answer === undefined) return this.close();
    this.#wire.send(frame(answer));
  }

  #stay(): void {
    const { env } = this.#options;
    this.#idle();
    this.#idle = env.setTimer(after(env.now(), IDLE), () => this.close());
  }
}
