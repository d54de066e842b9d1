/**
 * `postern wireguard`: joins a tunnel, its UAPI socket, its wg.conf and its state file, and ends them.
 *
 *     read wg.conf -> open state -> start tunnel -> configure -> open socket -> ready
 *                                                                                 |
 *     close socket, tunnel <- the interface was deleted, or stop <----------------+
 *
 * The configuration is applied before the socket opens, so that wg(8) never sees half of it.
 */

import { readFileSync, statSync } from 'node:fs';
import { fromHex } from './base/bytes.ts';
import type { Env } from './base/env.ts';
import { ConfigError } from './base/errors.ts';
import type { NodePrivate, NodePublic } from './base/keys.ts';
import type { WireguardOptions } from './cli/wireguard.ts';
import type { ConfigurableInterface } from './node/tunnel/configuration.ts';
import { resolveEndpoints } from './node/uapi/resolve-endpoints.ts';
import { openUapi } from './node/uapi/server.ts';
import type { InterfaceAddress, WgConf } from './node/uapi/wg-conf.ts';
import { parseWgConf } from './node/uapi/wg-conf.ts';
import { TIMESTAMP_BYTES } from './protocol/wireguard/messages.ts';
import type { FilePort } from './store/safe-file.ts';
import { SafeFile } from './store/safe-file.ts';

/** 1,500 less an IPv6 and a UDP header and WireGuard's own 32 bytes: what wg-quick sets too. */
const DEFAULT_MTU_BYTES = 1420;

const BOUND_VERSION = 1;

/** What a tunnel is started with. */
export interface TunnelSetup {
  readonly name: string;
  readonly mtuBytes: number;
  /** To be set on the device; none where wg-quick does that. */
  readonly addresses: readonly InterfaceAddress[];
  readonly aead: WireguardOptions['aead'];
  readonly offload: boolean;
  readonly gso: boolean;
  readonly activePeers: number | undefined;
  readonly flows: number | undefined;
  /** No initiation has gone out with a time stamp past this one: 12 bytes of TAI64N in hexadecimal. */
  readonly timestampBound: SafeFile<string>;
}

export interface RunningTunnel {
  readonly target: ConfigurableInterface;
  publicKeyOf(key: NodePrivate): NodePublic;
  /** The interface was deleted, or the tunnel can no longer work; rejects with the reason for that. */
  readonly gone: Promise<void>;
  /** Removes the interface. May be called after `gone`. */
  close(): Promise<void>;
}

export type StartTunnel = (setup: TunnelSetup, env: Env) => Promise<RunningTunnel>;

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
  /** Resolves, with its reason, when this shall end. */
  readonly stop: Promise<string>;
}

/** Runs until the interface is deleted or `stop` says so. @throws ConfigError, NetError */
export async function runWireguard(
  options: WireguardOptions,
  ports: WireguardPorts,
): Promise<void> {
  const { env } = ports;
  const conf = options.config === undefined ? undefined : readConf(options.config, env);
  const tunnel = await ports.start(await setupOf(options, conf, ports), env);
  const gone = tunnel.gone.then(() => 'interface deleted');
  // It may fail before anybody waits for it.
  gone.catch(() => {});
  try {
    if (conf !== undefined) tunnel.target.configure(conf.change);
    const uapi = await openUapi({
      name: options.name,
      folder: ports.uapiFolder,
      target: tunnel.target,
      publicKeyOf: tunnel.publicKeyOf,
      env,
    });
    const stopResolving = resolveEndpoints(conf?.unresolved ?? [], {
      env,
      target: tunnel.target,
      lookup: ports.lookup,
    });
    try {
      env.log.info('wireguard: ready', { interface: options.name, socket: uapi.path });
      ports.ready();
      const reason = await Promise.race([gone, ports.stop]);
      env.log.info('wireguard: ending', { interface: options.name, reason });
    } finally {
      stopResolving();
      await uapi.close();
    }
  } finally {
    await tunnel.close();
  }
}

async function setupOf(
  options: WireguardOptions,
  conf: WgConf | undefined,
  { env, files, stateFolder }: WireguardPorts,
): Promise<TunnelSetup> {
  const timestampBound = await SafeFile.open<string>({
    path: `${stateFolder}/wireguard/${options.name}`,
    version: BOUND_VERSION,
    read: readBound,
    files,
  });
  for (const problem of timestampBound.problems) env.log.warn(problem);
  const { name, aead, offload, gso, activePeers, flows } = options;
  const mtuBytes = options.mtuBytes ?? conf?.mtuBytes ?? DEFAULT_MTU_BYTES;
  const addresses = conf?.addresses ?? [];
  return { name, mtuBytes, addresses, aead, offload, gso, activePeers, flows, timestampBound };
}

function readBound(body: unknown, version: number): string {
  if (version !== BOUND_VERSION) throw new Error(`version ${version} is not known here`);
  if (typeof body !== 'string' || fromHex(body, TIMESTAMP_BYTES) === undefined)
    throw new Error('it holds no time stamp');
  return body;
}

function readConf(file: string, env: Env): WgConf {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
    if ((statSync(file).mode & 0o077) !== 0)
      env.log.warn('wireguard: other users may read this file, which holds the private key', {
        file,
        remedy: `chmod 600 ${file}`,
      });
  } catch (error) {
    throw new ConfigError(`cannot read ${file}: ${(error as Error).message}`, { cause: error });
  }
  const conf = parseWgConf(text, file);
  for (const { line, key } of conf.ignored)
    env.log.warn('wireguard: this key of wg-quick is not honoured here', { file, line, key });
  return conf;
}
