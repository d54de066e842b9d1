/**
 * A session under test against the coordination server of this project: the real registry, coordinator, maps and
 * streams, over TCP of loopback. One held clock for both: time passes only in `until` and `pass`, a millisecond for
 * each turn of the event loop, so that an hour takes as long as what happens in it.
 */

import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import type { AddressInfo, Socket } from 'node:net';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Test } from 'tap';
import type { Env } from '../../../src/base/env.ts';
import type { HealthItem } from '../../../src/base/health.ts';
import { Health } from '../../../src/base/health.ts';
import { discoPublic, MachinePrivate } from '../../../src/base/keys.ts';
import { lineLog } from '../../../src/base/log.ts';
import { unixMillis } from '../../../src/base/time.ts';
import { Coordinator } from '../../../src/control/coordinator/coordinator.ts';
import { NetworkClock } from '../../../src/control/coordinator/network-clock.ts';
import { MapHub } from '../../../src/control/map/hub.ts';
import { createAuthKey } from '../../../src/control/registry/auth-keys.ts';
import type { Context, Outcome, RegistryEvent } from '../../../src/control/registry/change.ts';
import type { Model, User } from '../../../src/control/registry/model.ts';
import { DEFAULT_SETTINGS, emptyModel } from '../../../src/control/registry/model.ts';
import { rowsBetween } from '../../../src/control/registry/rows.ts';
import { createUser } from '../../../src/control/registry/users.ts';
import { ownersOnly } from '../../../src/control/registry/visibility.ts';
import { ControlServer } from '../../../src/control/serve/server.ts';
import type { SessionPorts } from '../../../src/node/session/ports.ts';
import { Session } from '../../../src/node/session/session.ts';
import type { DERPMap } from '../../../src/protocol/tailcfg/types.ts';
import { Ledger } from '../../../src/store/ledger.ts';
import type { FilePort } from '../../../src/store/safe-file.ts';
import { disk } from '../../../src/store/safe-file.ts';
import { seeded } from '../../seeded.ts';
import { Clock } from '../../sim/clock.ts';

export const START = 1_800_000_000_000;
/** Real time that anything may take here. */
const PATIENCE_MS = 20_000;

export const DERP_MAP: DERPMap = {
  Regions: {
    '900': {
      RegionID: 900,
      RegionCode: 'own',
      RegionName: 'Own',
      Nodes: [{ Name: '900a', RegionID: 900, HostName: '192.0.2.1', IPv4: '192.0.2.1' }],
    },
  },
};

/** Turns of the event loop, in each of which a millisecond passes. */
export class Time {
  readonly clock: Clock = new Clock();

  async until(what: string, isSo: () => boolean): Promise<void> {
    const end = performance.now() + PATIENCE_MS;
    while (!isSo()) {
      if (performance.now() > end) throw new Error(`never: ${what}`);
      await this.turn(1);
    }
  }

  /** Goes on in `steps` equal leaps, with a few turns of the event loop in each for what they set off. */
  async pass(durationMillis: number, steps = 20): Promise<void> {
    for (let i = 0; i < steps; i++) {
      await this.turn(durationMillis / steps);
      for (let turns = 0; turns < 20; turns++) await this.turn(0);
    }
  }

  async turn(millis: number): Promise<void> {
    this.clock.runTo(this.clock.now() + millis);
    await new Promise((done) => setImmediate(done));
  }
}

export function envOf(
  time: Time,
  seed: number,
  lines: string[] = [],
  wall: () => number = () => START,
): Env {
  const random = seeded(seed);
  return {
    now: () => time.clock.now(),
    wall: () => unixMillis(wall() + time.clock.now()),
    random: (lengthBytes) => random.bytes(lengthBytes),
    setTimer: (at, action) => time.clock.setTimer(at, action),
    log: lineLog((line) => void lines.push(line), 'info'),
  };
}

export class Network {
  readonly time: Time = new Time();
  readonly lines: string[] = [];
  readonly coordinator: Coordinator;
  readonly maps: MapHub;
  readonly sockets: Set<Socket> = new Set();
  port = 0;
  readonly #server: ControlServer;

  private constructor(keyLifetimeMillis: number | null) {
    const env = envOf(this.time, 5, this.lines);
    const ledger = new Ledger<Model, RegistryEvent>({
      model: emptyModel({ ...DEFAULT_SETTINGS, keyLifetimeMillis }),
      store: { commit: async () => {} },
      rowsBetween,
    });
    const clock = new NetworkClock(
      { now: env.now, wall: env.wall, confirmed: () => true },
      unixMillis(0),
    );
    this.coordinator = new Coordinator({ ledger, env, clock, policy: ownersOnly() });
    this.maps = new MapHub({ coordinator: this.coordinator, env, facts: { derpMap: DERP_MAP } });
    this.#server = new ControlServer({
      coordinator: this.coordinator,
      maps: this.maps,
      env,
      machineKey: new MachinePrivate(env.random(32)),
      controlUrl: () => this.url,
      health: () => [],
    });
  }

  static async open(t: Test, keyLifetimeMillis: number | null = null): Promise<Network> {
    const network = new Network(keyLifetimeMillis);
    const close = await network.#listen();
    t.teardown(async () => {
      await network.#server.close(false);
      network.maps.close();
      close();
      network.coordinator.close();
    });
    return network;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  async change<R>(reduce: (model: Model, context: Context) => Outcome<R>): Promise<R> {
    const actor = { kind: 'user', name: 'root', from: 'control.sock' } as const;
    const outcome = await this.coordinator.change(actor, reduce);
    if (!outcome.ok) throw new Error(outcome.reason);
    return outcome.result;
  }

  user(login: string): Promise<User> {
    return this.change((model, context) => createUser(model, { login }, context));
  }

  async authKey(user: User): Promise<string> {
    const lifetimeMillis = 10 * 365 * 86_400_000;
    const made = await this.change((model, context) =>
      createAuthKey(model, { user: user.id, lifetimeMillis, reusable: true }, context),
    );
    return made.token;
  }

  /** Cuts every connection. */
  cut(): void {
    for (const socket of this.sockets) socket.destroy();
  }

  /** Where the relay's front would write it, the line of who it is comes from here. */
  async #listen(): Promise<() => void> {
    const listener = createServer({ noDelay: true }, (socket) => {
      this.sockets.add(socket);
      socket.on('close', () => this.sockets.delete(socket));
      socket.unshift(Buffer.from('tcp 192.0.2.7:51820\n'));
      this.#server.accept(socket);
    });
    listener.listen(0, '127.0.0.1');
    await once(listener, 'listening');
    this.port = (listener.address() as AddressInfo).port;
    return () => {
      this.cut();
      listener.close();
    };
  }
}

export interface BoardOptions {
  readonly seed?: number;
  readonly folder?: string;
  readonly files?: FilePort;
  readonly wall?: () => number;
  readonly clockTrusted?: () => boolean;
  readonly hostname?: string;
  readonly trusted?: readonly string[];
}

/** A board with a session; started anew on the same folder, it is the same board after a reboot. */
export class Board {
  readonly folder: string;
  readonly health: Health;
  readonly lines: string[] = [];
  readonly session: Session;
  readonly states: string[] = [];
  /** Whether the way to the server is open. */
  online = true;
  dials = 0;

  constructor(t: Test, time: Time, options: BoardOptions = {}) {
    const { seed = 100, hostname = 'board' } = options;
    this.folder = options.folder ?? mkdtempSync(join(tmpdir(), 'postern-session-'));
    if (options.folder === undefined)
      t.teardown(() => rmSync(this.folder, { recursive: true, force: true }));
    const env = envOf(time, seed, this.lines, options.wall);
    this.health = new Health(env.log);
    const ports: SessionPorts = {
      env,
      dial: async (host, port) => {
        this.dials++;
        if (!this.online) throw new Error('network is unreachable');
        const socket = connect({ host, port, noDelay: true });
        socket.on('error', () => {});
        await once(socket, 'connect');
        return socket;
      },
      files: options.files ?? disk,
      folder: this.folder,
      health: this.health,
      board: { OS: 'linux', Hostname: hostname, IPNVersion: '0.1.0-postern' },
      discoKey: discoPublic(env.random(32)),
      clockTrusted: options.clockTrusted ?? (() => true),
      ...(options.trusted && { trusted: options.trusted }),
    };
    this.session = new Session(env, ports);
    this.session.onState((state) => {
      if (this.states.at(-1) !== state) this.states.push(state);
    });
    t.teardown(() => this.session.close());
  }

  item(code: string): HealthItem | undefined {
    return this.health.items().find((item) => item.code === code);
  }
}

/** A board that is a member, and connected. */
export async function joined(
  t: Test,
  network: Network,
  authKey: string,
  options: BoardOptions = {},
): Promise<Board> {
  const board = new Board(t, network.time, options);
  await board.session.start();
  await board.session.edit({ controlUrl: network.url });
  const login = board.session.login({ authKey });
  await network.time.until('running', () => board.session.connected);
  await login;
  return board;
}
