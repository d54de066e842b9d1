/**
 * A test with a network: hub and server, stock clients, and traffic between them.
 *
 *     meshTest('join: by key', {}, async (t, mesh) => {
 *       const [a, b] = await mesh.joined('alice', 'a', 'b');
 *       t.equal(await mesh.talk(a.host, await b.ip4()), 'whole');
 *     });
 *
 * A failure shows the last words of every process. `joined` makes the user and one key for all that it is given.
 */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Test } from 'tap';
import t from 'tap';
import { PEERS_BIN } from '../../../scripts/debian.ts';
import { cannotRun } from '../../netns/implementations.ts';
import type { Host } from '../../netns/lab.ts';
import { Lab } from '../../netns/lab.ts';
import type { ClientOptions } from './client.ts';
import { Client } from './client.ts';
import { noHeadscale } from './headscale.ts';
import { Network } from './network.ts';
import type { Server, ServerOptions } from './server.ts';
import { startServer, UNDER_TEST } from './server.ts';

export interface MeshOptions extends ServerOptions {
  readonly skip?: string | false;
  /** What has to be there before the server, and what that then is to know of it. */
  readonly prepare?: (network: Network) => Promise<ServerOptions>;
  /** Default 60,000. */
  readonly timeoutMs?: number;
}

const TIMEOUT_MS = 60_000;
const PROGRAMS = ['tailscaled', 'tailscale', 'derper', 'tailscaled-1.80', 'tailscale-1.80'];
/** The pinned one. */
export const NODE: string = join(import.meta.dirname, '../../../node_modules/.bin/node');
const TALK = join(import.meta.dirname, 'talk.ts');
/** Of each process, in what a failed test shows. */
const SHOWN_CHARACTERS = 3000;

export const PORT = 7007;
const TALK_BYTES = 200_000;

export class Mesh {
  readonly network: Network;
  readonly server: Server;
  readonly #serving = new Set<Host>();

  constructor(network: Network, server: Server) {
    this.network = network;
    this.server = server;
  }

  /** A client with its daemon, not logged in. */
  async client(name: string, options: ClientOptions = {}): Promise<Client> {
    const station = await this.network.station(name);
    return await new Client(this.network, this.server, station, name, options).start();
  }

  /** Clients of a new user, Running. */
  async joined<const Names extends readonly string[]>(
    user: string,
    ...names: Names
  ): Promise<{ readonly [I in keyof Names]: Client }> {
    await this.server.createUser(user);
    const key = await this.server.createKey({ user, reusable: true });
    const clients = await Promise.all(
      names.map(async (name) => {
        const client = await this.client(name);
        await client.up(key);
        return client;
      }),
    );
    return clients as unknown as { readonly [I in keyof Names]: Client };
  }

  /** Answers conversations on a port from now on. */
  async serve(host: Host, port: number = PORT): Promise<void> {
    if (this.#serving.has(host)) return;
    this.#serving.add(host);
    const child = host.start([NODE, TALK, 'serve', String(port)], { name: 'talk' });
    await child.says(/serving/);
  }

  /** `whole` where a TCP conversation comes through, by its checksums in both directions; else how it went. */
  async talk(from: Host, to: string, bytes: number = TALK_BYTES): Promise<string> {
    const argv = [NODE, TALK, 'ask', to, String(PORT), String(bytes)];
    const { stdout, stderr } = await from.run(argv, { check: false, timeoutMs: 20_000 });
    return stdout.trim() || stderr;
  }
}

/** @param name a sentence; its first words become the lab's name */
export function meshTest(
  name: string,
  options: MeshOptions,
  body: (t: Test, mesh: Mesh) => Promise<void>,
): void {
  const skip = options.skip || cannotRun() || unbuilt();
  void t.test(name, { skip, timeout: options.timeoutMs ?? TIMEOUT_MS }, async (t) => {
    const lab = await Lab.create('mesh');
    const network = await Network.create(lab);
    let fault: unknown;
    try {
      const more = await options.prepare?.(network);
      const server = await startServer(network, { ...options, ...more });
      await body(t, new Mesh(network, server));
    } catch (error) {
      fault = error;
    }
    if (fault !== undefined || !t.passing()) t.comment(lastWords(lab));
    await lab.close();
    network.close();
    if (fault !== undefined) throw fault;
  });
}

function unbuilt(): string | false {
  if (process.env['CI'] === 'true') return false;
  if (UNDER_TEST === 'headscale') return noHeadscale();
  const missing = PROGRAMS.filter((name) => !existsSync(join(PEERS_BIN, name)));
  return missing.length > 0 && `scripts/test-peers ${missing.join(' ')}`;
}

function lastWords(lab: Lab): string {
  return lab.hosts
    .flatMap((host) => host.children)
    .map(({ name, ending, output }) => {
      const state = ending ? `ended with ${ending.signal ?? ending.code}` : 'running';
      return `--- ${name} (${state})\n${output.slice(-SHOWN_CHARACTERS)}`;
    })
    .join('\n');
}
