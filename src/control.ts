/**
 * `postern control`: joins the rooms of the coordination server, and ends them.
 *
 *     settings -> keys, store -> coordinator -> maps, server -> relay listens -> socket for verbs -> ready
 *                                                                                                     |
 *     store, relay <- last facts remembered <- streams told to come back <- stop, or a worker's end <-+
 *
 * Without its relay or its store it is of no use and ends with an error, for the service manager to start it anew.
 * Streams end first, so that clients come back to whoever listens next; the store ends last.
 */

import type { Socket } from 'node:net';
import type { Worker } from 'node:worker_threads';
import type { Env } from './base/env.ts';
import { NetError } from './base/errors.ts';
import { Health } from './base/health.ts';
import { MachinePrivate } from './base/keys.ts';
import type { UnixMillis } from './base/time.ts';
import { after, millis, unixMillis } from './base/time.ts';
import type { ControlOptions } from './cli/control.ts';
import type { Credentials } from './control/admin/caller.ts';
import { serveAdmin } from './control/admin/server.ts';
import { Coordinator } from './control/coordinator/coordinator.ts';
import { NetworkClock } from './control/coordinator/network-clock.ts';
import { controlIdentity } from './control/identity.ts';
import { MapHub } from './control/map/hub.ts';
import { exposition } from './control/metrics/metrics.ts';
import { serveWatchersOrSay } from './control/metrics/server.ts';
import { ownersOnly } from './control/registry/visibility.ts';
import type { RelayStart } from './control/relay/commands.ts';
import { ControlServer } from './control/serve/server.ts';
import { staysPlain } from './control/settings/control-url.ts';
import type { ControlSettings } from './control/settings/settings.ts';
import type { MemoryPort } from './control/upkeep/memory.ts';
import { MemoryAtRest } from './control/upkeep/memory.ts';
import { RouterProbes } from './control/upkeep/router-probes.ts';
import { Upkeep } from './control/upkeep/upkeep.ts';
import { metricsOf } from './control-metrics.ts';
import { RelayRoom } from './control-relay.ts';
import { openStorage } from './control-storage.ts';
import type { FilePort } from './store/safe-file.ts';
import type { SqliteStart } from './store/sqlite-worker.ts';

export interface ControlPorts {
  readonly env: Env;
  readonly files: FilePort;
  startStore(start: SqliteStart): Worker;
  startRelay(start: RelayStart): Worker;
  credentialsOf(socket: Socket): Credentials | undefined;
  readonly memory: MemoryPort;
  /** A time server has confirmed the wall clock. */
  clockConfirmed(): boolean;
  /** No clock that is right is before this. */
  readonly built: UnixMillis;
  readonly version: string;
  /** Tells the service manager. */
  tell(state: string): void;
  readonly watchdogMillis: number | undefined;
  readonly uid: number;
  /** Calls `action` whenever files shall be read again. */
  onReload(action: () => void): void;
  /** Resolves, with its reason, when this shall end. */
  readonly stop: Promise<string>;
}

/** Runs until `stop` says so. @throws ConfigError, NetError */
export async function runControl(
  settings: ControlSettings,
  { store }: Pick<ControlOptions, 'store'>,
  ports: ControlPorts,
): Promise<void> {
  const { env } = ports;
  const health = new Health(env.log);
  const broken = new BrokenWorkers();
  await using ends = new AsyncDisposableStack();
  const storage = await openStorage({
    folder: settings.stateFolder,
    whenMissing: store,
    health,
    startWorker: (start) => broken.watch('store', ports.startStore(start)),
  });
  ends.defer(() => storage.close());
  const { ledger } = storage;
  const identity = await controlIdentity(
    settings.stateFolder,
    ports.files,
    env.random,
    !storage.fresh,
  );
  const clock = new NetworkClock(
    { now: env.now, wall: env.wall, confirmed: ports.clockConfirmed },
    unixMillis(Math.max(ports.built, ledger.model.counters.latest)),
  );
  const policy = ownersOnly(settings.lanOwners);
  const coordinator = new Coordinator({ ledger, env, clock, policy });
  ends.defer(() => coordinator.close());
  const upkeep = new Upkeep({
    coordinator,
    env,
    clock,
    health,
    ephemeralMillis: settings.ephemeralMillis,
    keepCopy: () => storage.store.keepCopy(),
    diskRefuses: storage.refuses,
  });
  ends.defer(() => upkeep.close());
  const maps = new MapHub({ coordinator, env, facts: { derpMap: { Regions: {} } }, health });
  ends.defer(() => maps.close());
  const controlUrl = (): string => settings.url.text;
  const probes = new RouterProbes({ coordinator, maps, env, health, controlUrl });
  ends.defer(() => probes.close());
  const server = new ControlServer({
    coordinator,
    maps,
    env,
    machineKey: new MachinePrivate(identity.machine),
    controlUrl,
    probes,
    health: () => health.items(),
  });
  const relayRoom = await RelayRoom.start({
    settings,
    privateKey: identity.relay,
    coordinator,
    env,
    health,
    startWorker: (start) => broken.watch('relay', ports.startRelay(start)),
    accept: (socket) => server.accept(socket),
    moved: (derpMap) => maps.setFacts({ derpMap }),
  });
  ends.defer(() => relayRoom.close());
  ends.defer(() => server.close());
  const admin = await serveAdmin({
    path: settings.socket,
    coordinator,
    readLog: (limit, before) => storage.store.readLog(limit, before),
    relay: () => (settings.relay ? relayRoom.relay.report() : Promise.resolve(undefined)),
    health: () => health.items(),
    version: ports.version,
    credentialsOf: ports.credentialsOf,
    staff: { ownUid: ports.uid, logins: settings.logins },
    log: env.log,
  });
  ends.defer(() => admin.close());
  const metrics = metricsOf({ coordinator, maps, probes, server, relayRoom, ledger });
  const watchers = { listen: settings.metrics, items: () => health.items() };
  ends.defer(await serveWatchersOrSay({ ...watchers, metrics: exposition(metrics) }, health));
  const memory = new MemoryAtRest(env, ports.memory);
  ends.defer(() => memory.close());
  sayOfUrl(settings, health);
  ports.onReload(() => void relayRoom.look());
  env.log.info('control: ready', { url: settings.url.text, socket: settings.socket });
  ports.tell('READY=1');
  ends.defer(beatWatchdog(ports));
  const reason = await Promise.race([ports.stop, broken.first]);
  env.log.info('control: ending', { reason });
  ports.tell('STOPPING=1');
}

/** Workers that are not to end while this runs. */
class BrokenWorkers {
  /** Rejects when the first of them has ended. */
  readonly first: Promise<never>;
  readonly #fail: (error: NetError) => void;

  constructor() {
    const { promise, reject } = Promise.withResolvers<never>();
    // At the start whoever waits for the worker tells of it, and at the end nobody needs to hear.
    promise.catch(() => {});
    this.first = promise;
    this.#fail = reject;
  }

  watch(name: string, worker: Worker): Worker {
    worker.once('error', (error: Error) =>
      this.#fail(new NetError(`control: the ${name} has failed: ${error.message}`)),
    );
    worker.once('exit', () => this.#fail(new NetError(`control: the ${name} has ended`)));
    return worker;
  }
}

function sayOfUrl({ url, tls }: ControlSettings, health: Health): void {
  if (url.secure && tls === undefined)
    health.raise({
      code: 'no-certificate',
      severity: 'warning',
      text: `${url.text} is https, but there is no certificate that clients trust: they will not come, unless a proxy in front has one`,
      remedy: 'name its files: --tls-cert, --tls-key',
    });
  if (url.secure || staysPlain(url)) return;
  health.raise({
    code: 'plain-url',
    severity: 'warning',
    text: `${url.text} is plain HTTP at a name or public address: stock clients leave it for https, port 443, when they start again`,
    remedy:
      'use https with a certificate (--tls-cert, --tls-key), or a private address as in http://192.168.1.2:8080',
  });
}

function beatWatchdog({ env, tell, watchdogMillis }: ControlPorts): () => void {
  if (watchdogMillis === undefined) return () => {};
  let cancel: () => void = () => {};
  const beat = (): void => {
    tell('WATCHDOG=1');
    cancel = env.setTimer(after(env.now(), millis(watchdogMillis)), beat);
  };
  beat();
  return () => cancel();
}
