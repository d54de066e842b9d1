/**
 * Growth of memory: ten minutes of traffic in one pair of ours, anonymous memory of the sender each 15 s. The
 * figure is the median of the last two minutes less that of the second and third, so that neither warming up
 * nor the moment of a collection is taken for a leak.
 */

import { startPair } from './contenders.ts';
import { memory, serveIperf, tcp } from './measure.ts';
import { median } from './median.ts';
import type { Run, Runs } from './runs.ts';
import { attempt, loadNow } from './runs.ts';

const MINUTES = 10;
const SAMPLE_SECONDS = 15;
const A_MINUTE = 60 / SAMPLE_SECONDS;

export async function runGrowth(
  report: (minute: number, megabytes: number) => void,
): Promise<Runs> {
  const load = loadNow();
  const failures: string[] = [];
  let growth: number | undefined;
  await attempt('growth', failures, async () => {
    const pair = await startPair('ours');
    await using _ = pair.lab;
    await serveIperf(pair);
    const samples: number[] = [];
    while (samples.length < MINUTES * A_MINUTE) {
      await tcp(pair, 4, SAMPLE_SECONDS);
      samples.push(memory(pair).anonymousMb);
      report(samples.length / A_MINUTE, samples.at(-1) ?? 0);
    }
    growth = median(samples.slice(-2 * A_MINUTE)) - median(samples.slice(A_MINUTE, 3 * A_MINUTE));
  });
  const run: Run = { load, asked: ['growth'], ...(growth !== undefined && { growth }), failures };
  return { ours: [run] };
}
