/**
 * Works `rest` and `carried`: what a member costs when nothing happens, and what it keeps of what has happened.
 *
 *     rest      ours and stock in one network with simulated members, so that each has as many peers; both at
 *               the same time, since nobody talks with anybody
 *     carried   two members and a stream of so many bytes; the larger of the two
 */

import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '../../../test/interop/control/client.ts';
import type { Usage } from '../../../test/load/process.ts';
import { usage } from '../../../test/load/process.ts';
import { until } from '../../../test/netns/child.ts';
import type { Figures } from '../control/rows.ts';
import { runSeconds } from '../measure.ts';
import type { Bench } from './members.ts';
import { directPair, KINDS, withBench } from './members.ts';
import type { Contender, Sizes } from './rows.ts';
import { serveIperf } from './streams.ts';

const LOAD = join(import.meta.dirname, '../../../test/load/main.ts');
/** What follows a join is over: netcheck, first garbage collections, the clients' own start. */
const SETTLED_SECONDS = 20;
const JOINED_MS = 30_000;
const LEAST_BYTES_A_SECOND = 25e6;
const MARGIN_MS = 20_000;

export function measureRest(
  contenders: readonly Contender[],
  sizes: Sizes,
): Promise<Readonly<Partial<Record<Contender, Figures>>>> {
  return withBench(async (bench) => {
    const clients = await Promise.all(
      contenders.map((name, i) => bench.joined(KINDS[name][0], `rest${i}`)),
    );
    await startCrowd(bench, sizes.peers - (clients.length - 1), sizes);
    await Promise.all(
      clients.map((client) => until('all are seen', () => sees(client, sizes.peers), JOINED_MS)),
    );
    await sleep(SETTLED_SECONDS * 1000);
    const before = clients.map(({ child }) => usage(child.pid).writtenBytes);
    // The CPU of the last part: a heap that has grown at the join is still being tidied in the first. In half a minute
    // of it, the node's look around itself every ten minutes (25 ms) would be all or nothing.
    await sleep(Math.max(0, sizes.restSeconds - sizes.idleSeconds) * 1000);
    const idle = await idlePercents(clients, sizes.idleSeconds);
    const figures = clients.map(({ child }, i): Figures => {
      const now = usage(child.pid);
      const written = now.writtenBytes - (before[i] ?? 0);
      return { ...memoryOf(now), idlePercent: idle[i] ?? Number.NaN, written };
    });
    return Object.fromEntries(contenders.map((name, i) => [name, figures[i] ?? {}]));
  });
}

export function measureCarried(contender: Contender, sizes: Sizes): Promise<Figures> {
  return withBench(async (bench) => {
    const { a, b, line } = await directPair(bench, contender);
    await serveIperf(line, b.host);
    await a.host.run(['iperf3', '-4', '-c', line.address, '-n', String(sizes.carriedBytes)], {
      timeoutMs: MARGIN_MS + (sizes.carriedBytes / LEAST_BYTES_A_SECOND) * 1000,
    });
    const found = [a, b].map(({ child }) => memoryOf(usage(child.pid)));
    const most = (name: string): number => Math.max(...found.map((of) => of[name] ?? 0));
    return { anonymousMb: most('anonymousMb'), pssMb: most('pssMb'), rssMb: most('rssMb') };
  });
}

/** Simulated members, online for as long as anything is measured. */
async function startCrowd({ mesh, authKey }: Bench, nodes: number, sizes: Sizes): Promise<void> {
  const seconds = 10 * sizes.restSeconds;
  const crowd = mesh.network.hub.start(
    [
      ...[process.execPath, LOAD, '--url', mesh.server.url, '--key', authKey],
      ...['--nodes', String(nodes), '--scenario', 'join,idle', '--seconds', String(seconds)],
    ],
    { name: 'crowd' },
  );
  await crowd.says(/load: idle/, JOINED_MS);
}

async function sees(client: Client, peers: number): Promise<boolean> {
  const { Peer } = await client.status();
  return Object.values(Peer ?? {}).filter(({ Online }) => Online).length === peers;
}

async function idlePercents(clients: readonly Client[], seconds: number): Promise<number[]> {
  const pids = clients.map(({ child }) => child.pid);
  const before = pids.map(runSeconds);
  const began = performance.now();
  await sleep(seconds * 1000);
  const elapsed = (performance.now() - began) / 1000;
  return pids.map((pid, i) => ((runSeconds(pid) - (before[i] ?? 0)) * 100) / elapsed);
}

function memoryOf({ anonymousMb, pssMb, rssMb }: Usage): Figures {
  return { anonymousMb, pssMb, rssMb };
}
