/** `postern control` as the server of a test. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Child } from '../../netns/child.ts';
import { run, until } from '../../netns/child.ts';
import { OURS } from '../../netns/implementations.ts';
import type { Network } from './network.ts';
import { HUB } from './network.ts';
import type { KeyOptions, NodeRow, Server, ServerOptions } from './server.ts';
import type { TlsFiles } from './tls-files.ts';
import { tlsFiles } from './tls-files.ts';

const PORTS = { plain: 8080, secure: 443 } as const;
const READY_MS = 10_000;

export async function startPostern(network: Network, options: ServerOptions): Promise<Server> {
  const tls = options.secure ? await tlsFiles(network.folder) : undefined;
  const server = new Postern(network, options, tls);
  await server.ready();
  return server;
}

class Postern implements Server {
  readonly url: string;
  readonly clientEnv: Readonly<Record<string, string>>;
  child: Child;
  readonly #network: Network;
  readonly #argv: readonly string[];
  readonly #socket: string;

  /** @param tls paths of certificate and key */
  constructor(network: Network, options: ServerOptions, tls: TlsFiles | undefined) {
    this.#network = network;
    this.url = tls === undefined ? `http://${HUB}:${PORTS.plain}` : `https://${HUB}`;
    this.clientEnv = tls === undefined ? {} : { SSL_CERT_FILE: tls.certificate };
    const port = tls === undefined ? PORTS.plain : PORTS.secure;
    this.#socket = join(network.folder, 'control.sock');
    const config = join(network.folder, 'control.json');
    writeFileSync(config, JSON.stringify({ lanOwners: options.lanOwners ?? {} }));
    const hosts = [HUB, ...(options.also ? [options.also] : [])];
    this.#argv = [
      ...OURS,
      'control',
      ...['--config', config],
      ...['--state', join(network.folder, 'control')],
      ...['--listen', ...hosts.map((host) => at(host, port)), '--url', this.url],
      ...['--stun', ...hosts.map((host) => at(host, 3478))],
      ...['--socket', this.#socket],
      ...(tls ? ['--tls-cert', tls.certificate, '--tls-key', tls.key] : []),
      ...(options.ephemeralAfter ? ['--ephemeral-after', options.ephemeralAfter] : []),
      ...(options.derpMap ? ['--derp-map', options.derpMap, '--no-relay'] : []),
    ];
    this.child = this.#run();
  }

  async again(): Promise<void> {
    this.child = this.#run();
    await this.ready();
  }

  async createUser(name: string): Promise<void> {
    await this.#verb('users', 'create', name);
  }

  async createKey(options: KeyOptions): Promise<string> {
    const key = await this.#verb(
      ...['keys', 'create'],
      ...(options.user ? ['--user', options.user] : []),
      ...(options.reusable ? ['--reusable'] : []),
      ...(options.ephemeral ? ['--ephemeral'] : []),
      ...(options.tags ? ['--tags', options.tags.join(',')] : []),
      ...(options.expiry ? ['--expiry', options.expiry] : []),
    );
    return key.trim();
  }

  async nodes(): Promise<readonly NodeRow[]> {
    return JSON.parse(await this.#verb('nodes', 'list', '--json')).nodes;
  }

  async approve(url: string, user: string): Promise<void> {
    await this.#verb('nodes', 'approve', url, '--user', user);
  }

  async expire(node: string, when = 'now'): Promise<void> {
    await this.#verb('nodes', 'expire', node, when);
  }

  async rename(node: string, name: string): Promise<void> {
    await this.#verb('nodes', 'rename', node, name);
  }

  async remove(node: string): Promise<void> {
    await this.#verb('nodes', 'delete', node);
  }

  async tag(node: string, ...tags: readonly string[]): Promise<void> {
    await this.#verb('nodes', 'tag', node, tags.join(','));
  }

  async approveRoutes(node: string, ...prefixes: readonly string[]): Promise<void> {
    await this.#verb('routes', 'approve', node, ...prefixes);
  }

  async withdrawRoutes(node: string, ...prefixes: readonly string[]): Promise<void> {
    await this.#verb('routes', 'withdraw', node, ...prefixes);
  }

  async addRecord(name: string, address: string): Promise<void> {
    await this.#verb('dns', 'record', 'add', name, address);
  }

  #run(): Child {
    return this.#network.hub.start(this.#argv, { name: 'postern control' });
  }

  async ready(): Promise<void> {
    await until(
      'postern control answers',
      async () => this.child.ending !== undefined || (await this.nodes()),
      READY_MS,
    );
    if (this.child.ending) throw new Error(`postern control ended\n${this.child.output}`);
  }

  async #verb(...words: readonly string[]): Promise<string> {
    return (await run([...OURS, ...words, '--socket', this.#socket])).stdout;
  }
}

function at(host: string, port: number): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
