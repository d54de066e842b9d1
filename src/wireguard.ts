/**
 * `postern wireguard`: joins a tunnel, its UAPI socket, its wg.conf and its state file, and ends them.
 *
 *     read wg.conf -> open state -> start tunnel -> configure, bring up -> open socket -> ready
 *                                                                                           |
 *     close socket, tunnel <- interface deleted, socket removed, or stop <------------------+
 *
 * The configuration is applied before the socket opens, so that wg(8) never sees half of it.
 */

import { fromHex } from './base/bytes.ts';
import type { Env } from './base/env.ts';
import type { NodePrivate, NodePublic } from './base/keys.ts';
import type { Prefix } from './base/prefix.ts';
import type { WireguardOptions } from './cli/wireguard.ts';
import type { ConfigurableInterface } from './node/tunnel/configuration.ts';
import type { WantedRoute } from './node/uapi/routes.ts';
import { openUapi } from './node/uapi/server.ts';
import type { InterfaceAddress, WgConf } from './node/uapi/wg-conf.ts';
import type { InterfaceReport } from './protocol/localapi/status.ts';
import { TIMESTAMP_BYTES } from './protocol/wireguard/messages.ts';
import type { FilePort } from './store/safe-file.ts';
import { SafeFile } from './store/safe-file.ts';
import { Configuration, DEFAULT_MTU_BYTES, readConf } from './wireguard-configuration.ts';

const BOUND_VERSION = 1;

/** What a tunnel is started with. */
export interface TunnelSetup {
  readonly name: string;
  readonly mtuBytes: number;
  readonly aead: WireguardOptions['aead'];
  readonly offload: boolean;
  readonly gso: boolean;
  readonly activePeers: number | undefined;
  readonly flows: number | undefined;
  /** No initiation has gone out with a time stamp past this one: 12 bytes of TAI64N in hexadecimal. */
  readonly timestampBound: SafeFile<string>;
}

export interface WireguardSetup extends TunnelSetup {
  /** What is forwarded to from the tunnel (route-lan.ts). */
  readonly routeLan: readonly Prefix[];
}

/** What wg-quick sets of an interface where there is no `--config`. */
export interface NetworkSetting {
  readonly mtuBytes: number;
  readonly addresses: readonly InterfaceAddress[];
  readonly routes: readonly WantedRoute[];
}

export interface RunningTunnel {
  readonly target: ConfigurableInterface;
  report(): Promise<InterfaceReport>;
  /** Brings the interface up with these; what an earlier call set and this one does not name goes. */
  setNetwork(setting: NetworkSetting): Promise<void>;
  publicKeyOf(key: NodePrivate): NodePublic;
  /** The interface was deleted, or the tunnel can no longer work; rejects with the reason for that. */
  readonly gone: Promise<void>;
  /** Gives back what lies unused after the start, or after a change that named many peers. */
  releaseMemory(code: 'kept' | 'given back'): void;
  /** Removes the interface. May be called after `gone`. */
  close(): Promise<void>;
}

export type StartTunnel = (setup: WireguardSetup, env: Env) => Promise<RunningTunnel>;

export interface WireguardPorts {
  readonly env: Env;
  readonly start: StartTunnel;
  readonly files: FilePort;
  /** POSTERN_STATE. */
  readonly stateFolder: string;
  readonly uapiFolder: string;
  lookup(host: string): Promise<Uint8Array>;
  /** Interface and socket are there. */
  ready(): void;
  /** Calls `action` whenever the configuration file shall be read again. */
  onReload(action: () => void): void;
  /** Resolves, with its reason, when this shall end. */
  readonly stop: Promise<string>;
}

/** Runs until the interface is deleted or `stop` says so. @throws ConfigError, NetError */
export async function runWireguard(
  options: WireguardOptions,
  ports: WireguardPorts,
): Promise<void> {
  const { env } = ports;
  const conf = options.config === undefined ? undefined : readConf(options.config, env.log);
  const tunnel = await ports.start(await setupOf(options, conf, ports), env);
  const gone = tunnel.gone.then(() => 'interface deleted');
  // It may fail before anybody waits for it.
  gone.catch(() => {});
  let configuration: Configuration | undefined;
  try {
    if (options.config !== undefined && conf !== undefined) {
      const { config: file, mtuBytes } = options;
      configuration = new Configuration({ env, tunnel, lookup: ports.lookup, file, mtuBytes });
      await configuration.start(conf);
      ports.onReload(() => void configuration?.reload());
    }
    const uapi = await openUapi({
      name: options.name,
      folder: ports.uapiFolder,
      target: tunnel.target,
      report: () => tunnel.report(),
      publicKeyOf: tunnel.publicKeyOf,
      releaseMemory: () => tunnel.releaseMemory('kept'),
      env,
    });
    try {
      env.log.info('wireguard: ready', { interface: options.name, socket: uapi.path });
      // Before: a tunnel that is ready is at rest.
      tunnel.releaseMemory('given back');
      ports.ready();
      const removed = uapi.removed.then(() => 'socket removed');
      const reason = await Promise.race([gone, removed, ports.stop]);
      env.log.info('wireguard: ending', { interface: options.name, reason });
    } finally {
      await uapi.close();
    }
  } finally {
    configuration?.close();
    await tunnel.close();
  }
}

async function setupOf(
  options: WireguardOptions,
  conf: WgConf | undefined,
  { env, files, stateFolder }: WireguardPorts,
): Promise<WireguardSetup> {
  const timestampBound = await SafeFile.open<string>({
    path: `${stateFolder}/wireguard/${options.name}`,
    version: BOUND_VERSION,
    read: readBound,
    files,
  });
  for (const problem of timestampBound.problems) env.log.warn(problem);
  const { name, aead, offload, gso, activePeers, flows, routeLan } = options;
  const mtuBytes = options.mtuBytes ?? conf?.mtuBytes ?? DEFAULT_MTU_BYTES;
  return { name, mtuBytes, aead, offload, gso, activePeers, flows, routeLan, timestampBound };
}

function readBound(body: unknown, version: number): string {
  if (version !== BOUND_VERSION) throw new Error(`version ${version} is not known here`);
  if (typeof body !== 'string' || fromHex(body, TIMESTAMP_BYTES) === undefined)
    throw new Error('it holds no time stamp');
  return body;
}
