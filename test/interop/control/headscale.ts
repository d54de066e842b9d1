/**
 * headscale in the place of our server, to judge the tests: HEADSCALE_BIN names one built from its public
 * source. Its embedded relay wants TLS, so it gets a certificate that the clients are told to trust.
 */

import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { must } from '../../must.ts';
import type { Child } from '../../netns/child.ts';
import { run, until } from '../../netns/child.ts';
import type { Network } from './network.ts';
import { HUB } from './network.ts';
import type { KeyOptions, NodeRow, Server, ServerOptions } from './server.ts';
import type { TlsFiles } from './tls-files.ts';
import { tlsFiles } from './tls-files.ts';

const READY_MS = 15_000;
const DOMAIN = 'mesh.internal';
const RECORDS = 'records.json';

/** The nearest to our own default: a user reaches that user's devices, and what lies behind them. */
const POLICY = {
  tagOwners: { 'tag:server': ['alice@'] },
  acls: [
    { action: 'accept', src: ['autogroup:member'], dst: ['autogroup:self:*'] },
    { action: 'accept', src: ['autogroup:member'], dst: ['192.168.0.0/16:*'] },
    { action: 'accept', src: ['autogroup:member'], dst: ['autogroup:internet:*'] },
  ],
};

interface RawNode {
  readonly id: string;
  readonly given_name: string;
  readonly ip_addresses: readonly string[];
  readonly online?: boolean;
  readonly approved_routes?: readonly string[];
}

export async function startHeadscale(network: Network, options: ServerOptions): Promise<Server> {
  const program = must(process.env['HEADSCALE_BIN'], 'HEADSCALE_BIN');
  const folder = join(network.folder, 'headscale');
  mkdirSync(folder);
  const tls = await tlsFiles(network.folder);
  writeFileSync(join(folder, 'policy.json'), JSON.stringify(options.policy ?? POLICY));
  const config = join(folder, 'config.json');
  writeFileSync(config, JSON.stringify(settings(folder, tls, options)));
  const server = new Headscale(network, program, config, tls.certificate);
  await server.ready();
  return server;
}

class Headscale implements Server {
  readonly url: string = `https://${HUB}`;
  readonly clientEnv: Readonly<Record<string, string>>;
  child: Child;
  readonly #network: Network;
  readonly #argv: readonly string[];

  constructor(network: Network, program: string, config: string, certificate: string) {
    this.#network = network;
    this.#argv = [program, '--config', config];
    this.clientEnv = { SSL_CERT_FILE: certificate };
    this.child = this.#run();
  }

  async again(): Promise<void> {
    this.child = this.#run();
    await this.ready();
  }

  async ready(): Promise<void> {
    await until(
      'headscale answers',
      async () => this.child.ending !== undefined || (await this.nodes()),
      READY_MS,
    );
    if (this.child.ending) throw new Error(`headscale ended\n${this.child.output}`);
  }

  async createUser(name: string): Promise<void> {
    await this.#verb('users', 'create', name);
  }

  async createKey(options: KeyOptions): Promise<string> {
    const words = ['preauthkeys', 'create'];
    if (options.user) words.push('--user', String(await this.#userId(options.user)));
    if (options.reusable) words.push('--reusable');
    if (options.ephemeral) words.push('--ephemeral');
    if (options.tags) words.push('--tags', options.tags.join(','));
    if (options.expiry) words.push('--expiration', options.expiry);
    return ((await this.#verb(...words)) as { key: string }).key;
  }

  async nodes(): Promise<readonly NodeRow[]> {
    return (await this.#nodes()).map((node) => ({
      id: Number(node.id),
      name: node.given_name,
      addresses: node.ip_addresses,
      online: node.online ?? false,
    }));
  }

  async approve(url: string, user: string): Promise<void> {
    const id = url.split('/').at(-1) ?? '';
    await this.#verb('auth', 'register', '--auth-id', id, '--user', user);
  }

  async expire(node: string, when?: string): Promise<void> {
    const expiry = when === undefined ? [] : ['--expiry', when];
    await this.#verb('nodes', 'expire', ...expiry, '--identifier', await this.#id(node));
  }

  async rename(node: string, name: string): Promise<void> {
    await this.#verb('nodes', 'rename', name, '--identifier', await this.#id(node));
  }

  async remove(node: string): Promise<void> {
    await this.#verb('nodes', 'delete', '--force', '--identifier', await this.#id(node));
  }

  async tag(node: string, ...tags: readonly string[]): Promise<void> {
    await this.#verb(
      'nodes',
      'tag',
      '--tags',
      tags.join(','),
      '--identifier',
      await this.#id(node),
    );
  }

  async approveRoutes(node: string, ...prefixes: readonly string[]): Promise<void> {
    const approved = must((await this.#nodes()).find(({ given_name }) => given_name === node));
    await this.#routes(node, [...(approved.approved_routes ?? []), ...prefixes]);
  }

  async withdrawRoutes(node: string, ...prefixes: readonly string[]): Promise<void> {
    const approved = must((await this.#nodes()).find(({ given_name }) => given_name === node));
    const left = (approved.approved_routes ?? []).filter((one) => !prefixes.includes(one));
    await this.#routes(node, left);
  }

  /** It watches the file. */
  async addRecord(name: string, value: string): Promise<void> {
    const records = [{ name: `${name}.${DOMAIN}`, type: 'A', value }];
    writeFileSync(join(this.#network.folder, 'headscale', RECORDS), JSON.stringify(records));
  }

  async #routes(node: string, prefixes: readonly string[]): Promise<void> {
    const routes = ['--routes', prefixes.join(',')];
    await this.#verb('nodes', 'approve-routes', ...routes, '--identifier', await this.#id(node));
  }

  async #id(name: string): Promise<string> {
    return must((await this.#nodes()).find(({ given_name }) => given_name === name)).id;
  }

  async #userId(name: string): Promise<number> {
    const users = (await this.#verb('users', 'list')) as { id: string; name: string }[];
    return Number(must(users.find((user) => user.name === name)).id);
  }

  async #nodes(): Promise<readonly RawNode[]> {
    return ((await this.#verb('nodes', 'list')) as RawNode[] | null) ?? [];
  }

  async #verb(...words: readonly string[]): Promise<unknown> {
    const { stdout } = await run([...this.#argv, ...words, '--output', 'json']);
    return JSON.parse(stdout || 'null');
  }

  #run(): Child {
    return this.#network.hub.start([...this.#argv, 'serve'], { name: 'headscale' });
  }
}

function settings(folder: string, tls: TlsFiles, options: ServerOptions): object {
  const embedded = options.derpMap === undefined;
  writeFileSync(join(folder, RECORDS), '[]');
  // All of its host's, where there is a second one.
  const host = options.also === undefined ? HUB : '';
  return {
    server_url: `https://${HUB}`,
    listen_addr: `${host}:443`,
    metrics_listen_addr: '127.0.0.1:9090',
    grpc_listen_addr: '127.0.0.1:50443',
    noise: { private_key_path: join(folder, 'noise.key') },
    prefixes: { v4: '100.64.0.0/10', v6: 'fd7a:115c:a1e0::/48', allocation: 'sequential' },
    derp: {
      server: {
        enabled: true,
        region_id: 900,
        region_code: 'home',
        region_name: 'Home',
        verify_clients: true,
        stun_listen_addr: `${host}:3478`,
        private_key_path: join(folder, 'derp.key'),
        automatically_add_embedded_derp_region: embedded,
        ipv4: HUB,
        ipv6: options.also ?? '',
      },
      urls: [],
      paths: options.derpMap === undefined ? [] : [derpFile(folder, options.derpMap)],
    },
    disable_check_updates: true,
    node: {
      ephemeral: { inactivity_timeout: options.ephemeralAfter ?? '30m' },
      routes: { ha: { probe_interval: '10s', probe_timeout: '5s' } },
    },
    database: { type: 'sqlite', sqlite: { path: join(folder, 'db.sqlite') } },
    tls_cert_path: tls.certificate,
    tls_key_path: tls.key,
    log: { level: 'info' },
    policy: { mode: 'file', path: join(folder, 'policy.json') },
    dns: {
      magic_dns: true,
      base_domain: DOMAIN,
      override_local_dns: false,
      nameservers: { global: [] },
      extra_records_path: join(folder, RECORDS),
    },
    unix_socket: join(folder, 'headscale.sock'),
    logtail: { enabled: false },
  };
}

/** The map at `path` in a file as it wants it: its YAML has names of fields in lower case, and numbers of regions. */
function derpFile(folder: string, path: string): string {
  const lower = (_key: string, value: unknown): unknown =>
    value === null || typeof value !== 'object' || Array.isArray(value)
      ? value
      : Object.fromEntries(
          Object.entries(value).map(([name, field]) => [name.toLowerCase(), field]),
        );
  const file = join(folder, 'derp-map.json');
  const text = JSON.stringify(JSON.parse(readFileSync(path, 'utf8'), lower));
  writeFileSync(file, text.replaceAll(/"(\d+)":/g, '$1: '));
  return file;
}

/** Why it cannot take the place of ours, or false. */
export function noHeadscale(): string | false {
  const program = process.env['HEADSCALE_BIN'];
  return (program === undefined || !existsSync(program)) && 'HEADSCALE_BIN names no program';
}
