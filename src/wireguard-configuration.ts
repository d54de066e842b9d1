/**
 * A wg.conf as the configuration of a running interface: applied once, and again when a person has changed it.
 *
 *     start    configure the tunnel -> addresses, MTU, up, routes -> ask for host names
 *     reload   read the file -> what differs (node/uapi/sync.ts) -> the same
 *              a file that is wrong changes nothing, and is said in one line
 *
 * Reloads happen one after another. All that is set on the device ends with it.
 */

import { readFileSync, statSync } from 'node:fs';
import type { Env } from './base/env.ts';
import { ConfigError } from './base/errors.ts';
import type { Log } from './base/log.ts';
import { formatPrefix } from './base/prefix.ts';
import { resolveEndpoints } from './node/uapi/resolve-endpoints.ts';
import { routesFor } from './node/uapi/routes.ts';
import { differences, toResolve } from './node/uapi/sync.ts';
import type { UnresolvedEndpoint, WgConf } from './node/uapi/wg-conf.ts';
import { parseWgConf } from './node/uapi/wg-conf.ts';
import type { RunningTunnel } from './wireguard.ts';

/** 1,500 less an IPv6 and a UDP header and WireGuard's own 32 bytes: what wg-quick sets too. */
export const DEFAULT_MTU_BYTES = 1420;

export interface ConfigurationPorts {
  readonly env: Env;
  readonly tunnel: Pick<RunningTunnel, 'target' | 'setNetwork'>;
  readonly file: string;
  /** Of the command line, before that of the file. */
  readonly mtuBytes: number | undefined;
  lookup(host: string): Promise<Uint8Array>;
}

export class Configuration {
  readonly #ports: ConfigurationPorts;
  #applied: WgConf | undefined;
  #stopResolving: () => void = () => {};
  #reloads: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(ports: ConfigurationPorts) {
    this.#ports = ports;
  }

  /** @throws ConfigError, NetError */
  async start(conf: WgConf): Promise<void> {
    const { target } = this.#ports.tunnel;
    this.#applied = conf;
    target.configure(conf.change);
    await this.#setNetwork(conf);
    this.#resolve(conf.unresolved);
  }

  /** Reads the file again. Never rejects; resolves when it is applied. */
  reload(): Promise<void> {
    this.#reloads = this.#reloads.then(() => this.#reload());
    return this.#reloads;
  }

  close(): void {
    this.#closed = true;
    this.#stopResolving();
  }

  async #reload(): Promise<void> {
    const { env, tunnel, file } = this.#ports;
    const before = this.#applied;
    if (this.#closed || before === undefined) return;
    try {
      const conf = readConf(file, env.log);
      const running = tunnel.target.status();
      const resolve = toResolve(running, before.unresolved, conf.unresolved);
      tunnel.target.configure(differences(running, before.change, conf.change));
      this.#applied = conf;
      this.#resolve(resolve);
      await this.#setNetwork(conf);
      env.log.info('wireguard: file read again', { file });
    } catch (error) {
      env.log.error('wireguard: file not applied as a whole', {
        file,
        reason: (error as Error).message,
      });
    }
  }

  async #setNetwork(conf: WgConf): Promise<void> {
    const { env, tunnel, mtuBytes } = this.#ports;
    const { routes, leftOut } = routesFor(conf);
    if (leftOut.length > 0)
      env.log.warn('wireguard: no default route is set', {
        allowedIps: leftOut.map(formatPrefix).join(', '),
        remedy: 'it needs policy routing, which wg-quick(8) does; or Table = off, or a number',
      });
    await tunnel.setNetwork({
      mtuBytes: mtuBytes ?? conf.mtuBytes ?? DEFAULT_MTU_BYTES,
      addresses: conf.addresses,
      routes,
    });
  }

  #resolve(unresolved: readonly UnresolvedEndpoint[]): void {
    const { env, tunnel, lookup } = this.#ports;
    this.#stopResolving();
    this.#stopResolving = resolveEndpoints(unresolved, { env, target: tunnel.target, lookup });
  }
}

/** @throws ConfigError */
export function readConf(file: string, log: Log): WgConf {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
    if ((statSync(file).mode & 0o077) !== 0)
      log.warn('wireguard: other users may read this file, which holds the private key', {
        file,
        remedy: `chmod 600 ${file}`,
      });
  } catch (error) {
    throw new ConfigError(`cannot read ${file}: ${(error as Error).message}`, { cause: error });
  }
  const conf = parseWgConf(text, file);
  for (const { line, key } of conf.ignored)
    log.warn('wireguard: this key of wg-quick is not honoured here', { file, line, key });
  return conf;
}
