/**
 * Work `clients`: what a person with a stock client waits for.
 *
 *     up      from the start of `tailscale up` with a key to its end, which is Running; a new client each time
 *     seen    from the request to rename a node, at the server's own socket, to the new name in what the
 *             daemon of another one says on its socket; several times
 *
 * `seen` has in it the commit to the disk, the map, the stream and the client's own work.
 */

import { request } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { askControl } from '../../../src/cli/ask-control.ts';
import { median } from '../median.ts';
import { withMesh } from './mesh.ts';
import type { Figures } from './rows.ts';

const UPS = 5;
const CHANGES = 10;
const PAUSE_MS = 300;
const PATIENCE_MS = 5000;

export function measureClients(): Promise<Figures> {
  return withMesh(
    async () => undefined,
    async ({ network, server, authKey, client }) => {
      const ups: number[] = [];
      for (let i = 0; i < UPS; i++) {
        const one = await client(`n${i}`);
        const words = [`--login-server=${server.url}`, `--auth-key=${authKey}`, '--timeout=20s'];
        const began = performance.now();
        await one.cli(['up', `--hostname=n${i}`, ...words], 25_000);
        ups.push(performance.now() - began);
        await one.running();
      }
      const viewer = join(network.folder, 'n0', 'socket');
      const control = join(network.folder, 'control.sock');
      const seen: number[] = [];
      let name = 'n1';
      for (let i = 0; i < CHANGES; i++) {
        await sleep(PAUSE_MS);
        const next = `renamed${i}`;
        const began = performance.now();
        const asked = askControl(control, 'nodes.rename', { node: name, name: next });
        await untilSaid(viewer, `"${next}.mesh.internal."`);
        seen.push(performance.now() - began);
        await asked;
        name = next;
      }
      return {
        upMs: median(ups),
        upMostMs: Math.max(...ups),
        seenMs: median(seen),
        seenMostMs: Math.max(...seen),
      };
    },
  );
}

/** Asks the daemon again and again, about every 2 ms, so that the figure is of what it knows. */
async function untilSaid(socketPath: string, words: string): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!(await status(socketPath)).includes(words))
    if (performance.now() > deadline)
      throw new Error(`not seen within ${PATIENCE_MS} ms: ${words}`);
}

function status(socketPath: string): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const headers = { host: 'local-tailscaled.sock' };
  request({ socketPath, path: '/localapi/v0/status', headers }, (response) => {
    let text = '';
    response.setEncoding('utf8').on('data', (part: string) => {
      text += part;
    });
    response.on('end', () => resolve(text)).on('error', reject);
  })
    .on('error', reject)
    .end();
  return promise;
}
