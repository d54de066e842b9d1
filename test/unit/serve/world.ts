/**
 * A control server under test: the real coordinator, ledger and registry, a held clock, a disk that can stand
 * still or fail, streams that say what they are told, and a port of loopback that stands for the relay's front.
 */

import { once } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';
import { createServer } from 'node:net';
import type { Test } from 'tap';
import type { Env } from '../../../src/base/env.ts';
import { NetError } from '../../../src/base/errors.ts';
import type { HealthItem } from '../../../src/base/health.ts';
import { MachinePrivate } from '../../../src/base/keys.ts';
import { lineLog } from '../../../src/base/log.ts';
import type { Millis } from '../../../src/base/time.ts';
import { millis, unixMillis } from '../../../src/base/time.ts';
import { Coordinator } from '../../../src/control/coordinator/coordinator.ts';
import { NetworkClock } from '../../../src/control/coordinator/network-clock.ts';
import type { MapSink, MapStream } from '../../../src/control/map/line.ts';
import type { NewAuthKey } from '../../../src/control/registry/auth-keys.ts';
import { createAuthKey } from '../../../src/control/registry/auth-keys.ts';
import type {
  Actor,
  Context,
  Outcome,
  RegistryEvent,
} from '../../../src/control/registry/change.ts';
import type { Model, NodeId, User } from '../../../src/control/registry/model.ts';
import { DEFAULT_SETTINGS, emptyModel } from '../../../src/control/registry/model.ts';
import { rowsBetween } from '../../../src/control/registry/rows.ts';
import { createUser } from '../../../src/control/registry/users.ts';
import { ownersOnly } from '../../../src/control/registry/visibility.ts';
import type { Limits } from '../../../src/control/serve/limits.ts';
import type { MapStreams } from '../../../src/control/serve/ports.ts';
import { ControlServer } from '../../../src/control/serve/server.ts';
import { ownKey } from '../../../src/crypto/x25519.ts';
import { Ledger } from '../../../src/store/ledger.ts';
import type { Seeded } from '../../seeded.ts';
import { seeded } from '../../seeded.ts';
import type { Keys, Machine, ShakeOptions } from './client.ts';
import { newKeys, shake } from './client.ts';

export const NO_KEY: string = `nodekey:${'0'.repeat(64)}`;
export const UNSET = '0001-01-01T00:00:00Z';
const ADMIN: Actor = { kind: 'user', name: 'root', from: 'control.sock' };

/** A stream as control/map has it. */
export interface OpenStream {
  readonly node: NodeId;
  readonly request: object;
  readonly sink: MapSink;
  drained: number;
  closed: 'closed' | 'silent' | undefined;
}

export class World implements MapStreams {
  readonly random: Seeded;
  readonly lines: string[] = [];
  readonly streams: OpenStream[] = [];
  readonly probes: string[] = [];
  health: readonly HealthItem[] = [];
  disk: 'good' | 'full' | Promise<void> = 'good';
  /** What `open` does. */
  opening: (sink: MapSink) => void = (sink) => void sink.write(Buffer.from('first'));
  readonly coordinator: Coordinator;
  readonly server: ControlServer;
  readonly publicKey: Uint8Array;
  port = 0;
  #now = 1_000_000;
  #timers: { at: Millis; action: () => void }[] = [];
  readonly #close: (() => void)[] = [];

  private constructor(seed: number, limits: Partial<Limits>) {
    this.random = seeded(seed);
    const env = this.#env();
    const ledger = new Ledger<Model, RegistryEvent>({
      model: emptyModel(DEFAULT_SETTINGS),
      store: { commit: () => this.#commit() },
      rowsBetween,
    });
    const clock = new NetworkClock(
      { now: env.now, wall: env.wall, confirmed: () => true },
      unixMillis(0),
    );
    this.coordinator = new Coordinator({ ledger, env, clock, policy: ownersOnly() });
    const secret = this.random.bytes(32);
    this.publicKey = ownKey(secret).publicKey;
    this.server = new ControlServer({
      coordinator: this.coordinator,
      maps: this,
      env,
      machineKey: new MachinePrivate(secret),
      controlUrl: () => 'http://192.0.2.1:8080',
      health: () => this.health,
      probes: { answered: (id, machine) => this.probes.push(`${id} ${machine}`) > 0 },
      limits,
    });
  }

  static async open(t: Test, seed: number, limits: Partial<Limits> = {}): Promise<World> {
    const world = new World(seed, limits);
    const sockets = new Set<Socket>();
    const listener = createServer({ noDelay: true }, (socket) => {
      sockets.add(socket);
      socket.on('close', () => sockets.delete(socket));
      world.server.accept(socket);
    });
    listener.listen(0, '127.0.0.1');
    await once(listener, 'listening');
    world.port = (listener.address() as AddressInfo).port;
    t.teardown(async () => {
      await world.server.close(false);
      for (const close of world.#close) close();
      for (const socket of sockets) socket.destroy();
      listener.close();
      world.coordinator.close();
    });
    return world;
  }

  /** Time goes on by whole seconds, and what was due has happened. */
  pass(seconds: number): void {
    for (let i = 0; i < seconds; i++) {
      this.#now += 1000;
      const due = this.#timers.filter(({ at }) => at <= this.#now);
      this.#timers = this.#timers.filter(({ at }) => at > this.#now);
      for (const { action } of due) action();
    }
  }

  /** Time goes on at once, and what was due in between happens then. */
  later(seconds: number): void {
    this.#now += (seconds - 1) * 1000;
    this.pass(1);
  }

  async change<R>(reduce: (model: Model, context: Context) => Outcome<R>): Promise<R> {
    const outcome = await this.coordinator.change(ADMIN, reduce);
    if (!outcome.ok) throw new Error(outcome.reason);
    return outcome.result;
  }

  user(login: string): Promise<User> {
    return this.change((model, context) => createUser(model, { login }, context));
  }

  async authKey(request: Partial<NewAuthKey> = {}): Promise<string> {
    const user = this.coordinator.network.model.users.values().next().value ?? null;
    const made = await this.change((model, context) =>
      createAuthKey(
        model,
        { user: user?.id ?? null, lifetimeMillis: 86_400_000, reusable: true, ...request },
        context,
      ),
    );
    return made.token;
  }

  async shake(keys: Keys = newKeys(this.random), options?: ShakeOptions): Promise<Machine> {
    const machine = await shake(this.port, this.publicKey, keys, this.random, options);
    this.#close.push(() => machine.close());
    return machine;
  }

  /** A member by an auth key, on a session that stays open. */
  async join(hostname: string, authKey: string): Promise<Machine> {
    const machine = await this.shake();
    const { text } = await machine.post(
      '/machine/register',
      register(machine, { authKey, hostname }),
    );
    if (!text.includes('"MachineAuthorized":true')) throw new Error(text);
    return machine;
  }

  open(node: NodeId, request: object, sink: MapSink): MapStream {
    const stream: OpenStream = { node, request, sink, drained: 0, closed: undefined };
    this.streams.push(stream);
    const session = this.coordinator.connect(node);
    this.opening(sink);
    return {
      drained: () => void stream.drained++,
      close: (how) => {
        stream.closed = how;
        this.coordinator.disconnect(node, session, how);
      },
    };
  }

  #env(): Env {
    return {
      now: () => millis(this.#now),
      wall: () => unixMillis(1_800_000_000_000 + this.#now),
      random: (lengthBytes) => this.random.bytes(lengthBytes),
      setTimer: (at, action) => {
        const timer = { at, action };
        this.#timers.push(timer);
        return () => {
          this.#timers = this.#timers.filter((one) => one !== timer);
        };
      },
      log: lineLog((line) => void this.lines.push(line), 'info'),
    };
  }

  async #commit(): Promise<void> {
    if (this.disk === 'full') throw new NetError('store: the disk is full');
    if (this.disk !== 'good') await this.disk;
  }
}

export interface RegisterWords {
  readonly authKey?: string;
  readonly hostname?: string;
  readonly followup?: string;
  readonly expiry?: string;
  readonly nodeKey?: string;
  readonly version?: number;
}

/** As stock 1.102.3 writes it. */
export function register(
  { keys }: Pick<Machine, 'keys'>,
  {
    authKey,
    hostname = 'pca',
    followup = '',
    expiry = UNSET,
    nodeKey,
    version = 142,
  }: RegisterWords,
): object {
  return {
    Version: version,
    NodeKey: nodeKey ?? keys.node,
    OldNodeKey: NO_KEY,
    NLKey: `nlpub:${'a1'.repeat(32)}`,
    ...(authKey !== undefined && { Auth: { AuthKey: authKey } }),
    Expiry: expiry,
    Followup: followup,
    Hostinfo: {
      OS: 'linux',
      Hostname: hostname,
      Desktop: false,
      Services: [{ Proto: 'peerapi-dns-proxy', Port: 1 }],
    },
    NodeKeySignature: null,
  };
}

/** Until something is so, turn by turn of the event loop; a real second is longer than anything takes here. */
export async function until(what: string, isSo: () => boolean): Promise<void> {
  const end = performance.now() + 5000;
  while (!isSo()) {
    if (performance.now() > end) throw new Error(`never: ${what}`);
    await new Promise((done) => setImmediate(done));
  }
}
