/**
 * Works of the load program (test/load): it runs in a process of its own, new for each run.
 *
 *     load      a fresh server, many nodes: join, one change to all, rest, reconnect
 *     memory    a fresh server: at rest, then with 100 nodes
 *     idle      a fresh server, 50 nodes, nothing said: what it writes
 */

import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { usage } from '../../../test/load/process.ts';
import type { LoadReport, Storm } from '../../../test/load/reports.ts';
import { run } from '../../../test/netns/child.ts';
import type { Contender, Figures, Sizes } from './rows.ts';
import type { LoadServer } from './servers.ts';
import { startHeadscale, startOurs } from './servers.ts';

const MAIN = join(import.meta.dirname, '../../../test/load/main.ts');
/** headscale had not let in all of 1,000 nodes after 9 minutes, on two cores. */
const MOST_MS = 25 * 60_000;
const REST_SECONDS = 10;

export function measureLoad(contender: Contender, sizes: Sizes): Promise<Figures> {
  return withServer(contender, async (server) => {
    const { join, change, idle, reconnect } = await runLoad(server, sizes.nodes, [
      ...['--scenario', 'join,change,idle,reconnect'],
      ...['--repeats', String(sizes.repeats), '--seconds', String(REST_SECONDS)],
    ]);
    if (!join?.server || !change || !idle?.server || !reconnect)
      throw new Error('the load program left something out');
    return {
      nodes: join.nodes,
      joinSeconds: join.seconds,
      joinCpuSeconds: join.server.cpuSeconds,
      joinConverged: join.convergedSeconds ?? Number.NaN,
      joinMb: join.frameMegabytes,
      lost: join.failed + reconnect.failed + change.missed / change.repeats,
      streamsEnded: join.streamsEnded + reconnect.streamsEnded,
      reconnectSeconds: reconnect.seconds,
      changeMedian: change.milliseconds.median,
      changeP99: change.milliseconds.p99,
      anonymousMb: idle.server.anonymousMb,
      pssMb: idle.server.pssMb,
      rssMb: idle.server.rssMb,
    };
  });
}

export function measureMemory(contender: Contender): Promise<Figures> {
  return withServer(contender, async (server) => {
    await sleep(REST_SECONDS * 1000);
    const atRest = usage(server.pid);
    const seconds = String(REST_SECONDS);
    const report = await runLoad(server, 100, ['--scenario', 'join,idle', '--seconds', seconds]);
    wholeJoin(report.join);
    if (!report.idle?.server) throw new Error('the load program did not rest');
    return { atRestMb: atRest.anonymousMb, with100Mb: report.idle.server.anonymousMb };
  });
}

export function measureIdle(contender: Contender, { idleSeconds }: Sizes): Promise<Figures> {
  return withServer(contender, async (server) => {
    const seconds = String(idleSeconds);
    const { join, idle } = await runLoad(server, 50, [
      '--scenario',
      'join,idle',
      '--seconds',
      seconds,
    ]);
    wholeJoin(join);
    if (!idle?.server) throw new Error('the load program did not rest');
    if (idle.streamsEnded > 0) throw new Error(`${idle.streamsEnded} streams ended at rest`);
    const { writtenBytes, cpuSeconds } = idle.server;
    return { written: writtenBytes, cpuPercent: (100 * cpuSeconds) / idle.seconds };
  });
}

function wholeJoin(join: Storm | undefined): void {
  if (!join || join.failed > 0) throw new Error(`not all joined: ${join?.failures.join('; ')}`);
}

async function withServer(
  contender: Contender,
  measure: (server: LoadServer) => Promise<Figures>,
): Promise<Figures> {
  const headscale = process.env['HEADSCALE_BIN'] ?? '';
  const server = await (contender === 'headscale' ? startHeadscale(headscale) : startOurs());
  try {
    return await measure(server);
  } finally {
    await server.stop();
  }
}

async function runLoad(
  { url, authKey, pid }: LoadServer,
  nodes: number,
  more: readonly string[],
): Promise<LoadReport> {
  const { stdout, stderr } = await run(
    [
      ...[process.execPath, MAIN, '--json', '--url', url, '--key', authKey],
      ...['--nodes', String(nodes), '--server-pid', String(pid), ...more],
    ],
    // It exits with 1 where nodes were lost, which its figures say.
    { timeoutMs: MOST_MS, check: false },
  );
  if (stdout === '') throw new Error(`load program: ${stderr}`);
  return JSON.parse(stdout) as LoadReport;
}
