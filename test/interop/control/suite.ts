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
import { Lab } from '../../netns/lab.ts';
import { noHeadscale } from './headscale.ts';
import { Mesh } from './mesh.ts';
import { Network } from './network.ts';
import type { ServerOptions } from './server.ts';
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
/** Of each process, in what a failed test shows. */
const SHOWN_CHARACTERS = 3000;

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
