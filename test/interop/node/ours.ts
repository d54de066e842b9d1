/**
 * Our own node on a station, with the surface of a stock client, so that a scenario takes either at each end.
 *
 *     kind     daemon                                                   verbs
 *     ours     postern node --state DIR --socket PATH --tun NAME ...    postern --socket PATH up ...
 *     stock    tailscaled --statedir=DIR ...                            tailscale --socket=PATH up ...
 *
 * POSTERN_NODE_UNDER_TEST=stock puts a stock client in the place of ours: a scenario that fails with both of
 * them is wrong itself.
 */

import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { OURS } from '../../netns/implementations.ts';
import type { ClientOptions, Daemon } from '../control/client.ts';
import { Client, PORT } from '../control/client.ts';
import type { Network, Station } from '../control/network.ts';
import type { Server } from '../control/server.ts';

export type Kind = 'ours' | 'stock';

/** What stands in the place of our node. */
export const UNDER_TEST: Kind = kindOf(process.env['POSTERN_NODE_UNDER_TEST'] ?? 'ours');

/** The name of its TUN device; each has a namespace of its own. */
export const TUN: Readonly<Record<Kind, string>> = { ours: 'postern0', stock: 'tailscale0' };

export class Ours extends Client {
  override get stateFile(): string {
    throw new Error(`${this.name}: the state of our own node is no business of a test`);
  }

  protected override daemon(): Daemon {
    const certificate = this.server.clientEnv['SSL_CERT_FILE'];
    const state = join(this.folder, 'state');
    mkdirSync(state, { recursive: true, mode: 0o700 });
    return {
      name: 'postern node',
      argv: [
        ...[...OURS, 'node', '--state', state, '--socket', this.socket],
        ...['--tun', TUN.ours, '--port', String(PORT)],
      ],
      env: {
        POSTERN_LOG: 'debug',
        ...(certificate === undefined ? {} : { NODE_EXTRA_CA_CERTS: certificate }),
      },
    };
  }

  protected override command(words: readonly string[]): string[] {
    return [...OURS, '--socket', this.socket, ...words];
  }

  protected override upWords(more: readonly string[]): readonly string[] {
    return ['up', '--login-server', this.loginServer, '--hostname', this.name, ...more];
  }

  protected override pingWords(address: string, count: number): readonly string[] {
    return ['ping', '--c', String(count), '--until-direct', address];
  }
}

/** One of either kind, not started. */
export function makeClient(
  kind: Kind,
  network: Network,
  server: Server,
  station: Station,
  name: string,
  options: ClientOptions = {},
): Client {
  const Made = kind === 'ours' ? Ours : Client;
  return new Made(network, server, station, name, options);
}

function kindOf(text: string): Kind {
  if (text === 'ours' || text === 'stock') return text;
  throw new Error(`POSTERN_NODE_UNDER_TEST: wanted ours or stock, found ${text}`);
}
