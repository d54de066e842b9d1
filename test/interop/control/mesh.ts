/** A network with its server, the stock clients that join it, and traffic between them. */

import { join } from 'node:path';
import type { Host } from '../../netns/lab.ts';
import type { ClientOptions } from './client.ts';
import { Client } from './client.ts';
import type { Network } from './network.ts';
import type { Server } from './server.ts';

/** The pinned one. */
export const NODE: string = join(import.meta.dirname, '../../../node_modules/.bin/node');
const TALK = join(import.meta.dirname, 'talk.ts');

/** Of conversations. */
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

  /** Answers conversations on these ports from now on. */
  async serve(host: Host, ...ports: readonly number[]): Promise<void> {
    if (this.#serving.has(host)) return;
    this.#serving.add(host);
    const words = (ports.length > 0 ? ports : [PORT]).map(String);
    const child = host.start([NODE, TALK, 'serve', ...words], { name: 'talk' });
    await child.says(/serving/);
  }

  /** `whole` where a TCP conversation comes through, by its checksums in both directions; else how it went. */
  async talk(
    from: Host,
    to: string,
    bytes: number = TALK_BYTES,
    port: number = PORT,
  ): Promise<string> {
    const argv = [NODE, TALK, 'ask', to, String(port), String(bytes)];
    const { stdout, stderr } = await from.run(argv, { check: false, timeoutMs: 20_000 });
    return stdout.trim() || stderr;
  }
}
