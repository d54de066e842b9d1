/**
 * The server that machines speak HTTP with. It listens nowhere: connections are handed to it by the relay's
 * front, each with the line that says where it came from (relay/origin.ts).
 *
 *     accept ── origin ──> young ──request──> outside.ts answers, and the connection ends
 *                            │     └─POST /ts2021──> upgrade.ts ──> session ──> inside.ts
 *                            └──too slow, too many──> ended
 *
 * Node's own time limits need a server that listens, so the sweep has them: once a second it looks at whoever is
 * young, and at each session.
 */

import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Env } from '../../base/env.ts';
import type { HealthItem } from '../../base/health.ts';
import type { MachinePrivate } from '../../base/keys.ts';
import { machinePublic } from '../../base/keys.ts';
import { after, millis } from '../../base/time.ts';
import { ownKey } from '../../crypto/x25519.ts';
import type { Coordinator } from '../coordinator/coordinator.ts';
import { takeOrigin } from '../relay/origin.ts';
import { Crowd } from './crowd.ts';
import { BodyRoom } from './exchange.ts';
import { Followups } from './followups.ts';
import type { InsideHost } from './inside.ts';
import { handleInside } from './inside.ts';
import type { Limits } from './limits.ts';
import { LEAVE_MILLIS, LIMITS, TICK_MILLIS, YOUNG_TICKS } from './limits.ts';
import type { OutsideHost } from './outside.ts';
import { handleOutside } from './outside.ts';
import type { MapStreams, Probes } from './ports.ts';
import { RateLimit } from './rate-limit.ts';
import type { Remote } from './remote.ts';
import { remoteFrom } from './remote.ts';
import { Sessions } from './sessions.ts';
import { Tally } from './tally.ts';
import type { UpgradeHost } from './upgrade.ts';
import { upgrade } from './upgrade.ts';

export interface ControlServerOptions {
  readonly coordinator: Coordinator;
  readonly maps: MapStreams;
  readonly env: Env;
  /** By which clients know the server. */
  readonly machineKey: MachinePrivate;
  /** As clients have it, without a slash at the end. */
  controlUrl(): string;
  health(): readonly HealthItem[];
  readonly probes?: Probes;
  readonly limits?: Partial<Limits>;
}

/** A stock client's upgrade has 400 bytes. */
const MAX_HEAD_BYTES = 8192;

interface Young {
  readonly remote: Remote;
  age: number;
}

export class ControlServer {
  readonly #env: Env;
  readonly #http: Server;
  readonly #tally: Tally;
  readonly #young: Crowd<Socket>;
  readonly #remotes = new WeakMap<Duplex, Young>();
  readonly #sessions: Sessions;
  readonly #followups: Followups;
  readonly #limits: readonly RateLimit[];
  #cancelTick: () => void;
  #closed = false;

  constructor(options: ControlServerOptions) {
    const { coordinator, env, machineKey, maps, probes } = options;
    const limits = { ...LIMITS, ...options.limits };
    const own = ownKey(machineKey.expose());
    const tally = new Tally(env.log, env.now);
    const handshakes = new RateLimit(limits.handshakes);
    const logins = new RateLimit(limits.logins);
    const followups = new Followups(coordinator);
    const sessions: Sessions = new Sessions({
      coordinator,
      tally,
      limits,
      request: (session, stream, headers) => handleInside(inside, session, stream, headers),
    });
    const inside: InsideHost = {
      coordinator,
      maps,
      probes,
      tally,
      followups,
      room: new BodyRoom(limits.bodyBytes),
      controlUrl: () => options.controlUrl(),
      proved: (session) => sessions.proved(session),
      mayOpenLogin: ({ remote }) => logins.take(remote.group, env.now()),
    };
    this.#env = env;
    this.#tally = tally;
    this.#young = new Crowd(limits.young, limits.youngOfAddress);
    this.#sessions = sessions;
    this.#followups = followups;
    this.#limits = [handshakes, logins];
    this.#http = this.#server(
      {
        coordinator,
        tally,
        publicKey: machinePublic(own.publicKey),
        probes,
        health: () => options.health(),
      },
      { env, machineKey: own, sessions, handshakes, tally },
    );
    this.#cancelTick = this.#arm();
  }

  /** A connection of the relay's front. */
  accept(socket: Socket): void {
    socket.on('error', () => socket.destroy());
    void takeOrigin(socket).then((origin) => {
      if (origin === undefined || this.#closed) {
        if (origin === undefined) this.#tally.refuse('front: no origin');
        socket.destroy();
        return;
      }
      const remote = remoteFrom(origin);
      const { evicted } = this.#young.admit(socket, remote.group);
      if (evicted !== undefined) {
        this.#tally.refuse('front: too many connections', { from: remote.text });
        evicted.destroy();
      }
      this.#remotes.set(socket, { remote, age: 0 });
      socket.on('close', () => this.#young.remove(socket));
      socket.setKeepAlive(true, 30_000);
      this.#http.emit('connection', socket);
      socket.resume();
    });
  }

  /** By what was served and by the reason of what was not, since the start. */
  counters(): Record<string, number> {
    return this.#tally.counters();
  }

  /** What there is at this moment. */
  gauges(): Record<string, number> {
    return {
      'connections: young': this.#young.size,
      'sessions: strangers': this.#sessions.strangers,
      'sessions: members': this.#sessions.members,
      'logins: waiting': this.#followups.waiting,
    };
  }

  /** Clients are told to come back, and have a moment to hear it; then everything ends. */
  async close(graceful = true): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#cancelTick();
    this.#followups.close();
    for (const socket of this.#young) socket.destroy();
    if (graceful) {
      const { promise, resolve } = Promise.withResolvers<void>();
      const cancel = this.#env.setTimer(after(this.#env.now(), millis(LEAVE_MILLIS)), resolve);
      this.#sessions.leave(resolve);
      await promise;
      cancel();
    }
    this.#sessions.end();
  }

  #server(outside: OutsideHost, upgrades: UpgradeHost): Server {
    const http = createServer(
      { maxHeaderSize: MAX_HEAD_BYTES, shouldUpgradeCallback: isHandshake },
      (request, response) => void this.#answer(outside, request, response),
    );
    http.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
      const young = this.#remotes.get(socket);
      this.#young.remove(socket);
      if (young === undefined || this.#closed) socket.destroy();
      else upgrade(upgrades, request, socket, head, young.remote);
    });
    http.on('clientError', (error: NodeJS.ErrnoException, socket: Socket) => {
      if (error.code === 'ECONNRESET' || !socket.writable) {
        socket.destroy();
        return;
      }
      this.#tally.refuse('front: not HTTP');
      const status = error.code === 'HPE_HEADER_OVERFLOW' ? '431 Too Large' : '400 Bad Request';
      const head = `HTTP/1.1 ${status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`;
      socket.end(head, () => socket.destroy());
    });
    return http;
  }

  async #answer(
    host: OutsideHost,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<void> {
    const young = this.#remotes.get(request.socket);
    if (young === undefined) {
      request.socket.destroy();
      return;
    }
    try {
      await handleOutside(host, request, response, young.remote);
    } catch (error) {
      // A request that broke off in its body; nobody is there to be answered.
      if (!request.destroyed) throw error;
    }
  }

  #arm(): () => void {
    return this.#env.setTimer(after(this.#env.now(), millis(TICK_MILLIS)), () => {
      this.#cancelTick = this.#arm();
      this.#tick();
    });
  }

  #tick(): void {
    for (const socket of this.#young) {
      const young = this.#remotes.get(socket);
      if (young === undefined || ++young.age < YOUNG_TICKS) continue;
      this.#tally.refuse('front: too slow', { from: young.remote.text });
      socket.destroy();
    }
    this.#sessions.tick();
    this.#followups.tick();
    for (const limit of this.#limits) limit.forget(this.#env.now());
  }
}

/** What else asks for an upgrade is answered as if it had not. */
const isHandshake = ({ url }: IncomingMessage): boolean =>
  url === '/ts2021' || url?.startsWith('/ts2021?') === true;
