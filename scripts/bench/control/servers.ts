/**
 * Servers for the load program, on loopback, each with a state of its own that goes with it.
 *
 *     ours         `postern control`, as it is started by anybody, and not for the first time: the first start
 *                  makes a certificate, and what makes it stays in memory
 *     headscale    HEADSCALE_BIN, one built from its public source; SQLite, no relay of its own (over plain
 *                  HTTP it has none), everything else as its example has it
 *
 * Both have one user and one reusable key. Neither is asked for logs beyond warnings.
 */

import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Child, run, until } from '../../../test/netns/child.ts';
import { OURS } from '../../../test/netns/implementations.ts';
import { freePort } from './free-port.ts';

export interface LoadServer {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  readonly authKey: string;
  readonly stop: () => Promise<void>;
}

const READY_MS = 20_000;
const USER = 'load';

export async function startOurs(): Promise<LoadServer> {
  const folder = mkdtempSync(join(tmpdir(), 'pb-ours-'));
  const [port, stun] = [await freePort(), await freePort()];
  const url = `http://127.0.0.1:${port}`;
  const socket = join(folder, 'socket');
  const argv = [
    ...[...OURS, 'control', '--state', join(folder, 'state')],
    ...['--listen', `127.0.0.1:${port}`, '--stun', `127.0.0.1:${stun}`],
    ...['--url', url, '--socket', socket],
  ];
  const options = { name: 'postern control', env: { POSTERN_LOG: 'info' } };
  const first = new Child(argv, options);
  await first.says(/control: ready/, READY_MS);
  await first.stop();
  const child = new Child(argv, options);
  const stop = stopper(child, folder);
  const verb = async (...words: readonly string[]): Promise<string> =>
    (await run([...OURS, ...words, '--socket', socket])).stdout.trim();
  try {
    await ready(child, url);
    await verb('users', 'create', USER);
    const authKey = await verb('keys', 'create', '--user', USER, '--reusable');
    return { url, port, pid: child.pid, authKey, stop };
  } catch (error) {
    await stop();
    throw new Error(`postern control: ${(error as Error).message}\n${child.output}`);
  }
}

export async function startHeadscale(program: string): Promise<LoadServer> {
  const folder = mkdtempSync(join(tmpdir(), 'pb-headscale-'));
  mkdirSync(join(folder, 'state'));
  const [port, grpc] = [await freePort(), await freePort()];
  const url = `http://127.0.0.1:${port}`;
  const config = join(folder, 'config.json');
  writeFileSync(join(folder, 'derp.yaml'), DERP);
  writeFileSync(config, JSON.stringify(headscaleSettings(folder, url, port, grpc)));
  const argv = [program, '--config', config];
  const child = new Child([...argv, 'serve'], { name: 'headscale' });
  const stop = stopper(child, folder);
  const verb = async (...words: readonly string[]): Promise<string> =>
    (await run([...argv, ...words, '--output', 'json'])).stdout;
  try {
    await ready(child, url);
    // Its socket for verbs is there a little later than its port.
    await until('its verbs are answered', () => verb('users', 'list'), READY_MS);
    const user = JSON.parse(await verb('users', 'create', USER)) as { id: number };
    const words = ['preauthkeys', 'create', '--user', String(user.id), '--reusable'];
    const { key } = JSON.parse(await verb(...words)) as { key: string };
    return { url, port, pid: child.pid, authKey: key, stop };
  } catch (error) {
    await stop();
    throw new Error(`headscale: ${(error as Error).message}\n${child.output}`);
  }
}

/**
 * Nobody is there: simulated nodes have no use for a relay, but a server wants to name one. YAML and not JSON,
 * whose names are texts, where a number is wanted.
 */
const DERP = `regions:
  900:
    regionid: 900
    regioncode: none
    regionname: None
    nodes: [{ name: 900a, regionid: 900, hostname: 127.0.0.1, ipv4: 127.0.0.1 }]
`;

function headscaleSettings(folder: string, url: string, port: number, grpc: number): object {
  const state = join(folder, 'state');
  return {
    server_url: url,
    listen_addr: `127.0.0.1:${port}`,
    metrics_listen_addr: '',
    grpc_listen_addr: `127.0.0.1:${grpc}`,
    noise: { private_key_path: join(state, 'noise.key') },
    prefixes: { v4: '100.64.0.0/10', v6: 'fd7a:115c:a1e0::/48', allocation: 'sequential' },
    derp: {
      server: { enabled: false },
      urls: [],
      paths: [join(folder, 'derp.yaml')],
      auto_update_enabled: false,
    },
    disable_check_updates: true,
    database: {
      type: 'sqlite',
      sqlite: { path: join(state, 'db.sqlite'), write_ahead_log: true },
    },
    log: { level: 'warn', format: 'text' },
    policy: { mode: 'file', path: '' },
    dns: {
      magic_dns: true,
      base_domain: 'mesh.internal',
      override_local_dns: false,
      nameservers: { global: [], split: {} },
    },
    unix_socket: join(folder, 'socket'),
    unix_socket_permission: '0700',
    logtail: { enabled: false },
  };
}

async function ready(child: Child, url: string): Promise<void> {
  const answers = async (): Promise<boolean> => (await fetch(`${url}/key?v=142`)).ok;
  await until(`${child.name} answers`, () => child.ending !== undefined || answers(), READY_MS);
  if (child.ending) throw new Error('it has ended');
}

const stopper =
  (child: Child, folder: string): (() => Promise<void>) =>
  async () => {
    await child.stop();
    rmSync(folder, { recursive: true, force: true });
  };
