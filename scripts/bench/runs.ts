/**
 * Runs: the measurements of one contender's pair, in one go. A round is one run of each contender, so that
 * whatever else happens on the machine meets all of them: ours, current, debian, ours, current, ...
 *
 *     start pair -> hash bytes -> ping -> tcp1 -> tcp4 -> udp -> memory -> stop
 *
 * The hashed transfer comes first and warms the program up. A measurement that fails is kept with its reason
 * and the others go on; the rows that need it then fail.
 */

import { loadavg } from 'node:os';
import type { Pair } from '../../test/netns/pair.ts';
import type { ContenderName } from './contenders.ts';
import { startPair } from './contenders.ts';
import type { Handshakes } from './handshakes.ts';
import type { Memory, Tcp, Udp } from './measure.ts';
import { bytesArrive, idlePercent, memory, roundTripMs, serveIperf, tcp, udp } from './measure.ts';

/** What has been measured; what was not asked for, or failed, is absent. */
export interface Run {
  /** Of the machine over the last minute, as the run began. */
  readonly load: number;
  readonly asked: readonly Measure[];
  /** All of it, start and stop included. */
  readonly seconds?: number;
  readonly bytes?: boolean;
  readonly ping?: number;
  readonly tcp1?: Tcp;
  readonly tcp4?: Tcp;
  readonly udp?: Udp;
  readonly memory?: Memory;
  readonly idle?: number;
  readonly handshakes?: Handshakes;
  /** MB over ten minutes. */
  readonly growth?: number;
  /** Why something asked for is absent. */
  readonly failures: readonly string[];
}

export type Measure = Exclude<keyof Run, 'load' | 'asked' | 'seconds' | 'failures'>;

/** In the order of the runs. */
export type Runs = Partial<Record<ContenderName, readonly Run[]>>;

export type Plan = ReadonlyMap<ContenderName, ReadonlySet<Measure>>;

export interface Durations {
  readonly rounds: number;
  readonly tcpSeconds: number;
  readonly udpSeconds: number;
  readonly idleSeconds: number;
  /** Initiations of each peer. */
  readonly initiations: number;
}

export const FULL: Durations = {
  rounds: 3,
  tcpSeconds: 4,
  udpSeconds: 3,
  idleSeconds: 30,
  initiations: 10,
};

export const QUICK: Durations = {
  rounds: 3,
  tcpSeconds: 1,
  udpSeconds: 1,
  idleSeconds: 10,
  initiations: 4,
};

type Report = (contender: ContenderName, run: Run) => void;

/** Takes the measurements in the order above. */
const MEASURERS: readonly (readonly [
  Measure,
  (pair: Pair, durations: Durations) => Promise<unknown> | unknown,
])[] = [
  ['bytes', bytesArrive],
  ['ping', roundTripMs],
  ['tcp1', (pair, { tcpSeconds }) => tcp(pair, 1, tcpSeconds)],
  ['tcp4', (pair, { tcpSeconds }) => tcp(pair, 4, tcpSeconds)],
  ['udp', (pair, { udpSeconds }) => udp(pair, udpSeconds)],
  ['memory', memory],
];

/** All rounds of `plan`. @param report called after each run */
export async function runRounds(plan: Plan, durations: Durations, report: Report): Promise<Runs> {
  const runs: Partial<Record<ContenderName, Run[]>> = {};
  for (let round = 0; round < durations.rounds; round++)
    for (const [contender, measures] of plan) {
      const run = await runOnce(contender, measures, durations);
      report(contender, run);
      runs[contender] = [...(runs[contender] ?? []), run];
    }
  return runs;
}

async function runOnce(
  contender: ContenderName,
  measures: ReadonlySet<Measure>,
  durations: Durations,
): Promise<Run> {
  const load = loadNow();
  const began = performance.now();
  const results: Partial<Record<Measure, unknown>> = {};
  const failures: string[] = [];
  await attempt(contender, failures, async () => {
    const pair = await startPair(contender);
    await using _ = pair.lab;
    await serveIperf(pair);
    for (const [measure, take] of MEASURERS)
      if (measures.has(measure))
        await attempt(measure, failures, async () => {
          results[measure] = await take(pair, durations);
        });
  });
  const seconds = (performance.now() - began) / 1000;
  return { load, asked: [...measures], seconds, ...(results as Partial<Run>), failures };
}

/** One run without traffic of each contender, all at the same time, while `meanwhile` is done. */
export async function runIdle(
  contenders: readonly ContenderName[],
  { idleSeconds }: Durations,
  meanwhile: () => void,
): Promise<Runs> {
  const load = loadNow();
  const started = await Promise.allSettled(contenders.map(startPair));
  try {
    const measured = contenders.map(async (name, i) => {
      const failures: string[] = [];
      let idle: number | undefined;
      await attempt('idle', failures, async () => {
        const result = started[i];
        if (result?.status !== 'fulfilled') throw result?.reason;
        idle = await idlePercent(result.value, idleSeconds);
      });
      const run: Run = { load, asked: ['idle'], ...(idle !== undefined && { idle }), failures };
      return [name, [run]] as const;
    });
    meanwhile();
    return Object.fromEntries(await Promise.all(measured));
  } finally {
    for (const result of started) if (result.status === 'fulfilled') await result.value.lab.close();
  }
}

/** Puts `more` behind the runs that are there. */
export function joinRuns(runs: Runs, more: Runs): Runs {
  const joined: Partial<Record<ContenderName, readonly Run[]>> = { ...runs };
  for (const [name, list] of Object.entries(more) as [ContenderName, readonly Run[]][])
    joined[name] = [...(joined[name] ?? []), ...list];
  return joined;
}

/** Does it, or notes why it failed: the first line, since the rest is a program's whole output. */
export async function attempt(
  what: string,
  failures: string[],
  action: () => Promise<void>,
): Promise<void> {
  try {
    await action();
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    failures.push(`${what}: ${text.split('\n').slice(0, 3).join(' | ')}`);
  }
}

export const loadNow = (): number => Number((loadavg()[0] ?? 0).toFixed(2));
