/**
 * How many initiations a responder answers with one second of CPU time.
 *
 *     core 0   flood.ts, in host a      1,000 peers, known to the responder by `wg setconf`
 *     core 1   the responder, in b      all its threads
 *
 * The same initiations go to each responder: each has just been started, and knows no time stamp yet.
 */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { Lab } from '../../test/netns/lab.ts';
import { NODE } from '../../test/netns/pair.ts';
import type { ContenderName } from './contenders.ts';
import { startAlone } from './contenders.ts';
import type { Flooded } from './flood.ts';
import type { Initiations } from './initiations.ts';
import { cpuSeconds } from './measure.ts';
import type { Run, Runs } from './runs.ts';
import { attempt, loadNow } from './runs.ts';

export interface Handshakes {
  readonly perCpuSecond: number;
  /** By the clock. */
  readonly perSecond: number;
  readonly answered: number;
  readonly cpuSeconds: number;
}

export const LISTEN_PORT = 51_002;

const ADDRESS = '10.77.0.2';
/** Less answered than this, and the figure is about losses. */
const ANSWERED_AT_LEAST = 0.98;
const FLOOD: string = join(import.meta.dirname, 'flood.ts');

/** Rounds of one run of each contender. @param report called after each run */
export async function runHandshakes(
  contenders: readonly ContenderName[],
  rounds: number,
  initiations: Initiations,
  report: (contender: ContenderName, run: Run) => void,
): Promise<Runs> {
  const folder = mkdtempSync(join(tmpdir(), 'postern-bench-'));
  const file = join(folder, 'initiations');
  const runs: Partial<Record<ContenderName, Run[]>> = {};
  try {
    writeFileSync(file, initiations.datagrams);
    for (let round = 0; round < rounds; round++)
      for (const name of contenders) {
        const load = loadNow();
        const failures: string[] = [];
        let handshakes: Handshakes | undefined;
        await attempt('handshakes', failures, async () => {
          handshakes = await flooded(name, initiations, file);
        });
        const run: Run = {
          load,
          asked: ['handshakes'],
          ...(handshakes && { handshakes }),
          failures,
        };
        report(name, run);
        runs[name] = [...(runs[name] ?? []), run];
      }
  } finally {
    rmSync(folder, { recursive: true });
  }
  return runs;
}

async function flooded(
  name: ContenderName,
  initiations: Initiations,
  file: string,
): Promise<Handshakes> {
  if (availableParallelism() < 2) throw new Error('needs two cores, one for the sender');
  await using lab = await Lab.create(`bench-flood-${name}`);
  const [a, b] = [await lab.host('a'), await lab.host('b')];
  await lab.link(a, b, { a: ['10.77.0.1/24'], b: [`${ADDRESS}/24`] });
  const tunnel = await startAlone(name, b);
  await b.run(['wg', 'setconf', tunnel.interface, '/dev/stdin'], {
    input: initiations.configuration,
  });
  await b.ip(`link set ${tunnel.interface} up`);
  // Threads that it makes later come onto the same core.
  await b.run(['taskset', '--all-tasks', '--cpu-list', '--pid', '1', `${tunnel.pid}`]);
  const before = cpuSeconds(tunnel.pid);
  const { stdout } = await a.run(
    ['taskset', '--cpu-list', '0', NODE, FLOOD, file, ADDRESS, `${LISTEN_PORT}`],
    { timeoutMs: 120_000 },
  );
  const used = cpuSeconds(tunnel.pid) - before;
  const { answered, cookies, lost, seconds, firstHex } = JSON.parse(stdout) as Flooded;
  if (answered < initiations.count * ANSWERED_AT_LEAST)
    throw new Error(
      `of ${initiations.count} ${answered} answered, ${cookies} by cookies, ${lost} lost`,
    );
  if (!initiations.answersTheFirst(Buffer.from(firstHex, 'hex')))
    throw new Error('the first answer does not end its handshake');
  return {
    perCpuSecond: answered / used,
    perSecond: answered / seconds,
    answered,
    cpuSeconds: used,
  };
}
