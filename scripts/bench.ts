/**
 * `npm run bench [-- --quick | --long] [--json FILE] [--only ROW,ROW]`: is it as fast, as small and as quiet
 * as we say, against today's wireguard-go and Debian's, on this machine, now?
 *
 *     idle, all at once  ->  rounds: ours, current, debian, ours, ...  ->  handshakes  ->  table, JSON
 *
 * Medians of three, ratios of medians. --quick makes each run shorter and leaves out what no bound asks for;
 * --long adds ten minutes that look for growing memory. A void row (bench/judge.ts) is measured once more.
 * The machine should have nothing else to do: CPU figures bear some company, throughput and pings do not.
 *
 * Exit: 0 all that must be reached is, 1 something is not, 2 not understood.
 */

import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { UNDER_TEST } from '../test/netns/implementations.ts';
import type { ContenderName } from './bench/contenders.ts';
import { filterCannotBeMeasured } from './bench/contenders.ts';
import { machineFacts, versions } from './bench/facts.ts';
import { runGrowth } from './bench/growth.ts';
import { LISTEN_PORT, runHandshakes } from './bench/handshakes.ts';
import { type Initiations, makeInitiations } from './bench/initiations.ts';
import { judge, notRun, type Row } from './bench/judge.ts';
import { ROWS, type RowName, type RowSpec } from './bench/rows.ts';
import type { Durations, Measure, Plan, Run, Runs } from './bench/runs.ts';
import { FULL, joinRuns, QUICK, runIdle, runRounds } from './bench/runs.ts';
import { printTable, progress } from './bench/table.ts';
import { setUp } from './debian.ts';
import { kernelsWasm } from './kernels.ts';

interface Options {
  readonly quick: boolean;
  readonly json: string | undefined;
  readonly rows: readonly RowName[];
}

/** Measured by themselves, not in the rounds of traffic. */
const APART: readonly Measure[] = ['idle', 'handshakes', 'growth'];

const report = (contender: ContenderName, run: Run): void => say(progress(contender, run));

function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean', default: false },
      long: { type: 'boolean', default: false },
      json: { type: 'string' },
      only: { type: 'string' },
    },
  });
  const known = Object.keys(ROWS) as RowName[];
  const wanted = values.only?.split(',');
  const unknown = wanted?.find((name) => !known.includes(name as RowName));
  if (unknown !== undefined)
    throw new TypeError(`--only: wanted some of ${known.join(', ')}, found '${unknown}'`);
  const rows = known.filter((name) => wanted?.includes(name) ?? (name !== 'growth' || values.long));
  return { quick: values.quick, json: values.json, rows };
}

/** Who is measured for a row, its subject first. */
function contendersOf({ subject, others, bounds }: RowSpec, quick: boolean): ContenderName[] {
  const needed = (name: ContenderName): boolean =>
    !quick || bounds.length === 0 || bounds.some(({ against }) => against === name);
  return [subject, ...others.filter(needed)];
}

/** Whose bytes have been hashed, ours first. */
function hashed(runs: Runs): ContenderName[] {
  const names = Object.keys(runs) as ContenderName[];
  const others = names.filter((name) => runs[name]?.some(({ asked }) => asked.includes('bytes')));
  return [...new Set<ContenderName>(['ours', ...others])];
}

/** The rounds that `rows` need; whoever sends TCP has its bytes hashed too. */
function planOf(rows: readonly RowName[], quick: boolean): Plan {
  const plan = new Map<ContenderName, Set<Measure>>();
  for (const { needs, ...spec } of rows.map((name) => ({ ...ROWS[name], name }))) {
    if (needs.some((measure) => APART.includes(measure))) continue;
    for (const contender of contendersOf({ needs, ...spec }, quick)) {
      const measures = plan.get(contender) ?? new Set(['bytes']);
      plan.set(contender, measures);
      for (const measure of needs) measures.add(measure);
    }
  }
  return plan;
}

/** Takes all runs that `rows` need. */
async function measure(
  rows: readonly RowName[],
  quick: boolean,
  durations: Durations,
  initiations: () => Initiations,
): Promise<Runs> {
  const wants = (name: RowName): boolean => rows.includes(name);
  let runs: Runs = {};
  if (wants('idle')) {
    const contenders = contendersOf(ROWS.idle, quick);
    say(`idle: ${durations.idleSeconds} s without traffic`);
    // The initiations are computed here meanwhile: a sleeping process does not mind a busy one.
    const meanwhile = (): void => void (wants('handshakes') && initiations());
    runs = joinRuns(runs, await runIdle(contenders, durations, meanwhile));
  }
  const plan = planOf(rows, quick);
  if (plan.size > 0) say(`traffic: ${durations.rounds} rounds`);
  runs = joinRuns(runs, await runRounds(plan, durations, report));
  if (wants('handshakes')) {
    say('handshakes: as fast as they are answered, on one core');
    const contenders = contendersOf(ROWS.handshakes, quick);
    const made = initiations();
    runs = joinRuns(runs, await runHandshakes(contenders, durations.rounds, made, report));
  }
  if (wants('growth')) {
    say('growth: ten minutes of traffic');
    const grown = (minute: number, megabytes: number): void =>
      say(`  minute ${minute.toFixed(2)}  ${megabytes.toFixed(1)} MB`);
    runs = joinRuns(runs, await runGrowth(grown));
  }
  return runs;
}

async function bench({ quick, json, rows: wanted }: Options): Promise<boolean> {
  const durations = quick ? QUICK : FULL;
  const began = performance.now();
  let made: Initiations | undefined;
  const initiations = (): Initiations => {
    made ??= makeInitiations(durations.initiations, LISTEN_PORT);
    return made;
  };
  const rows: Partial<Record<RowName, Row>> = {};
  const noFilter = filterCannotBeMeasured();
  const possible = wanted.filter((name) => name !== 'filter' || noFilter === false);
  const judgeAll = (names: readonly RowName[], runs: Runs): void => {
    for (const name of names) rows[name] = judge(ROWS[name], contendersOf(ROWS[name], quick), runs);
  };
  // Entered in the order of the table.
  for (const name of wanted) rows[name] = notRun(ROWS[name], noFilter || 'the bench was cut short');
  judgeAll(possible, await measure(possible, quick, durations, initiations));
  const again = possible.filter((name) => rows[name]?.void);
  if (again.length > 0) {
    for (const name of again) say(`${name}: ${rows[name]?.void}`);
    say(`once more: ${again.join(', ')}`);
    judgeAll(again, await measure(again, quick, durations, initiations));
  }
  printTable(rows);
  const ok = Object.values(rows).every((row) => row.ok);
  const facts = { machine: machineFacts(), versions: await versions(), underTest: UNDER_TEST };
  const seconds = (performance.now() - began) / 1000;
  const document = { at: new Date().toISOString(), ...facts, quick, durations, seconds, ok, rows };
  if (json !== undefined) writeFileSync(json, `${JSON.stringify(document, null, 2)}\n`);
  const end = ok ? 'all that must be reached is' : 'NOT all that must be reached is';
  console.log(`\n${end}; ${Math.round(seconds)} s, load ${facts.machine.load}`);
  return ok;
}

function say(line: string): void {
  console.error(line);
}

async function main(): Promise<number> {
  let options: Options;
  try {
    options = readOptions();
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    say(`bench: ${error.message}`);
    return 2;
  }
  if (process.getuid?.() !== 0) {
    say('bench: needs root, for network namespaces and TUN devices; nothing was changed');
    return 1;
  }
  await setUp();
  await kernelsWasm();
  return (await bench(options)) ? 0 : 1;
}

process.exitCode = await main();
