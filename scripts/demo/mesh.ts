/**
 * The three programs that make the mesh, each on a machine of its own:
 *
 *     server   postern control   coordination, relay and STUN, at https://mesh.example.org
 *     laptop   tailscaled        as its maker builds it, a real TUN device
 *     box      postern node      the same protocol, and the way to the LAN behind it
 *
 * The certificate of the server stands in for one of a public authority: client and node are told to trust it.
 */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeCertificate } from '../../src/control/relay/own-certificate.ts';
import type { Child } from '../../test/netns/child.ts';
import { until } from '../../test/netns/child.ts';
import { OURS } from '../../test/netns/implementations.ts';
import { PEERS_BIN } from '../debian.ts';
import { Machine } from './machine.ts';
import type { Network } from './network.ts';
import { SERVER } from './network.ts';

const SERVER_NAME = 'mesh.example.org';
export const URL: string = `https://${SERVER_NAME}`;

const TAILSCALE = join(PEERS_BIN, 'tailscale');
const CLIENT_ENV: Readonly<Record<string, string>> = {
  // Where its log would be; otherwise in a home that is not the demo's.
  TS_LOGS_DIR: '/run/root',
  TS_NO_LOGS_NO_SUPPORT: 'true',
  // A guard: it ends where it would speak with the vendor's server.
  TS_PANIC_IF_HIT_MAIN_CONTROL: '1',
};
const READY_MS = 20_000;

export interface Mesh {
  readonly server: Machine;
  readonly laptop: Machine;
  readonly box: Machine;
  /** The daemon on each of them. */
  readonly daemons: ReadonlyMap<Machine, Child>;
}

/** All three run when this returns; nobody has joined. */
export async function startMesh(network: Network, folder: string): Promise<Mesh> {
  const { certificate, key } = await makeCertificate([SERVER_NAME]);
  const machine = (name: 'server' | 'laptop' | 'box'): Machine =>
    new Machine(network[name], join(folder, name), {
      hosts: [`${SERVER} ${SERVER_NAME}`],
      programs: name === 'laptop' ? { tailscale: [TAILSCALE] } : { postern: OURS },
      trusted: certificate,
      env: name === 'laptop' ? CLIENT_ENV : {},
    });
  const [server, laptop, box] = [machine('server'), machine('laptop'), machine('box')];
  writeFileSync(server.path('server.crt'), certificate);
  writeFileSync(server.path('server.key'), key, { mode: 0o600 });
  const daemons = new Map([
    [server, startServer(server)],
    [laptop, startClient(laptop)],
    [box, box.start('postern node', [...OURS, 'node', '--state', box.path('lib')])],
  ]);
  await Promise.all([
    answers(server, daemons, ['postern', 'users', 'list']),
    answers(laptop, daemons, ['tailscale', 'status', '--json']),
    answers(box, daemons, ['postern', 'status', '--json']),
  ]);
  return { server, laptop, box, daemons };
}

/** What the stock client calls itself, for instance `1.102.3`. */
export async function clientVersion(laptop: Machine): Promise<string> {
  return /^[\d.]+/.exec((await laptop.run(['tailscale', 'version'])).stdout)?.[0] ?? '';
}

function startServer(server: Machine): Child {
  const tls = ['--tls-cert', server.path('server.crt'), '--tls-key', server.path('server.key')];
  const words = ['control', '--url', URL, '--state', server.path('lib'), ...tls];
  return server.start('postern control', [...OURS, ...words]);
}

function startClient(laptop: Machine): Child {
  const words = ['--statedir', laptop.path('lib'), '--port', '41641'];
  return laptop.start('tailscaled', [join(PEERS_BIN, 'tailscaled'), ...words]);
}

/** @throws Error with its output, where the daemon ends before it answers */
async function answers(
  machine: Machine,
  daemons: ReadonlyMap<Machine, Child>,
  argv: readonly string[],
): Promise<void> {
  const daemon = daemons.get(machine);
  await until(
    `${daemon?.name} answers ${argv.join(' ')}`,
    async () => daemon?.ending !== undefined || (await machine.run(argv)),
    READY_MS,
  );
  if (daemon?.ending) throw new Error(`${daemon.name} ended\n${daemon.output}`);
}
