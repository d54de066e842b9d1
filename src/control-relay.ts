/**
 * `postern control`'s way to the relay's worker: it is told who is admitted, what is no DERP comes back over a
 * unix socket, and the map's relays follow from its certificate and from files and URLs.
 *
 *     registry news ──> admit, forget ──> worker ──others──> unix socket ──> accept
 *                                           └─ certificate ─┐
 *     files and URLs, every 10 minutes ─────────────────────┴──> relays of the map
 */

import { mkdtemp, rm } from 'node:fs/promises';
import type { Server, Socket } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Worker } from 'node:worker_threads';
import type { Env } from './base/env.ts';
import { ConfigError, NetError } from './base/errors.ts';
import type { Health } from './base/health.ts';
import type { NodePublic } from './base/keys.ts';
import { after, millis } from './base/time.ts';
import type { Coordinator } from './control/coordinator/coordinator.ts';
import { joined, ownRegion } from './control/derp-map/derp-map.ts';
import { DerpMapSources } from './control/derp-map/sources.ts';
import type { NodeId } from './control/registry/model.ts';
import type {
  CertificateSource,
  RelayEvent,
  RelayFault,
  RelayStart,
} from './control/relay/commands.ts';
import { ownCertificate } from './control/relay/own-certificate.ts';
import { Relay } from './control/relay/relay.ts';
import type { ControlSettings } from './control/settings/settings.ts';
import { parseNodePublic } from './protocol/tailcfg/keys.ts';
import type { DERPMap } from './protocol/tailcfg/types.ts';

const LOOK = millis(10 * 60_000);

const REMEDIES: Readonly<Record<Exclude<RelayFault, 'relay-listen'>, string>> = {
  'relay-stun':
    'end what has the port, or choose another with --stun, and start the server again; clients find their way by the relay alone until then',
  'relay-certificate':
    'put a certificate and its key in place that fit together; the ones before are shown until then',
  'relay-others': 'start the server again',
};

export interface RelayRoomOptions {
  readonly settings: ControlSettings;
  /** The relay's own Curve25519 secret. */
  readonly privateKey: Uint8Array;
  readonly coordinator: Coordinator;
  readonly env: Env;
  readonly health: Health;
  startWorker(start: RelayStart): Worker;
  /** A connection that is no DERP. */
  accept(socket: Socket): void;
  /** The map has other relays now. */
  moved(map: DERPMap): void;
}

export class RelayRoom {
  readonly #options: RelayRoomOptions;
  readonly #sources: DerpMapSources;
  #relay: Relay | undefined;
  #others: Server | undefined;
  #folder = '';
  #pin: string | undefined;
  #stunPort: number | undefined;
  #map: DERPMap | undefined;
  #lastLook: Promise<void> = Promise.resolve();
  #cancel: () => void = () => {};
  #unsubscribe: () => void = () => {};

  private constructor(options: RelayRoomOptions) {
    this.#options = options;
    this.#sources = new DerpMapSources(options.settings.derpMaps);
  }

  /** @throws ConfigError, NetError where it cannot listen or there is no relay at all */
  static async start(options: RelayRoomOptions): Promise<RelayRoom> {
    const room = new RelayRoom(options);
    try {
      await room.#open();
      return room;
    } catch (error) {
      await room.close();
      throw error;
    }
  }

  get relay(): Relay {
    return this.#relay as Relay;
  }

  /**
   * Reads the files and URLs again. What is wrong with them is a health item, and the map stays as it was.
   *
   * @throws ConfigError where there is no map yet, and none can be made
   */
  look(): Promise<void> {
    // One after another, so that what was read first is not what stays.
    const look = this.#lastLook.then(() => this.#lookOnce());
    this.#lastLook = look.catch(() => {});
    return look;
  }

  async close(): Promise<void> {
    this.#cancel();
    this.#unsubscribe();
    await this.#relay?.stop();
    this.#others?.close();
    if (this.#folder !== '') await rm(this.#folder, { recursive: true, force: true });
  }

  async #lookOnce(): Promise<void> {
    const { health, settings, moved } = this.#options;
    const { maps, faults } = await this.#sources.look();
    const port80 = settings.listen.some(({ port }) => port === 80);
    const own = { url: settings.url, pin: this.#pin, stunPort: this.#stunPort, port80 };
    const wrong = [...faults];
    try {
      const map = joined(settings.relay ? ownRegion(own) : undefined, maps);
      if (JSON.stringify(map) !== JSON.stringify(this.#map)) moved(map);
      this.#map = map;
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      if (this.#map === undefined) throw new ConfigError([...faults, error.message].join('; '));
      wrong.push(error.message);
    }
    if (wrong.length === 0) health.lower('derp-map');
    else
      health.raise({
        code: 'derp-map',
        severity: 'warning',
        text: wrong.join('; '),
        remedy: 'mend the file or URL of --derp-map; the relays that it named before stay',
      });
  }

  async #open(): Promise<void> {
    const { settings, coordinator, privateKey, startWorker, accept } = this.#options;
    // systemd names them all, with colons between.
    const [runtime = tmpdir()] = process.env['RUNTIME_DIRECTORY']?.split(':') ?? [];
    this.#folder = await mkdtemp(join(runtime, 'postern-'));
    const path = join(this.#folder, 'http.sock');
    this.#others = createServer({ noDelay: true, pauseOnConnect: false }, accept);
    await listening(this.#others, path);
    const start: RelayStart = {
      listen: settings.listen,
      stun: settings.stun,
      certificate: await this.#certificate(),
      privateKey,
      others: path,
    };
    const relay = await startRelay(startWorker, start, (event) => this.#heard(event));
    this.#relay = relay;
    this.#stunPort = relay.listening.stun[0]?.port;
    this.#admitAll(coordinator);
    await this.look();
    this.#arm();
  }

  async #certificate(): Promise<CertificateSource> {
    const { tls, url, stateFolder } = this.#options.settings;
    if (tls !== undefined) return { type: 'files', ...tls };
    return { type: 'text', ...(await ownCertificate(stateFolder, [url.host])) };
  }

  #heard(event: RelayEvent): void {
    const { health, settings } = this.#options;
    switch (event.type) {
      case 'listening':
      case 'certificate':
        // A certificate from files is vouched for by its authority.
        this.#pin = settings.tls === undefined ? event.certificateSha256 : undefined;
        return;
      case 'fault':
        // Without a port there is no relay; whoever starts it says so.
        if (event.what === 'relay-listen') return;
        health.raise({
          code: event.what,
          severity: 'error',
          text: event.text,
          remedy: REMEDIES[event.what],
        });
        return;
      case 'over':
        health.lower(event.what);
        return;
      default:
        return;
    }
  }

  /** From now on the worker knows the same node keys as the registry. */
  #admitAll(coordinator: Coordinator): void {
    const admitted = new Map<NodeId, NodePublic>();
    const sync = (id: NodeId): void => {
      const node = coordinator.network.model.nodes.get(id);
      const key = node && parseNodePublic(node.nodeKey);
      const before = admitted.get(id);
      if (before !== undefined && (key === undefined || !same(before, key))) {
        this.relay.forget([before]);
        admitted.delete(id);
      }
      if (key === undefined || admitted.has(id)) return;
      this.relay.admit([key]);
      admitted.set(id, key);
    };
    for (const { id } of coordinator.network.model.nodes.values()) sync(id);
    this.#unsubscribe = coordinator.subscribe((_network, news) => {
      for (const one of news) if ('node' in one && one.type !== 'node live') sync(one.node);
    });
  }

  #arm(): void {
    const { env, settings } = this.#options;
    if (settings.derpMaps.length === 0) return;
    this.#cancel = env.setTimer(after(env.now(), LOOK), () => {
      void this.look().then(() => this.#arm());
    });
  }
}

const startRelay: typeof Relay.start = async (...parameters) => {
  try {
    return await Relay.start(...parameters);
  } catch (error) {
    if (!(error instanceof NetError)) throw error;
    const remedy = 'end what has the port, or choose another with --listen';
    throw new NetError(`control: ${error.message}; ${remedy}`, { cause: error });
  }
};

const same = (a: Uint8Array, b: Uint8Array): boolean => Buffer.compare(a, b) === 0;

function listening(server: Server, path: string): Promise<void> {
  return new Promise((done, fail) => {
    server.once('error', (error) => fail(new NetError(`control: ${path}: ${error.message}`)));
    server.listen(path, done);
    // Running out of descriptors is no reason to stop serving those who are here.
    server.on('error', () => {});
  });
}
