/** Measures the rows wanted, judges them, once more where they are void, and tells. */

import { writeFileSync } from 'node:fs';
import { UNDER_TEST } from '../../test/netns/implementations.ts';
import type { ContenderName } from './contenders.ts';
import { machineFacts, versions } from './facts.ts';
import type { Row } from './judge.ts';
import { judge, notRun } from './judge.ts';
import type { RowName } from './rows.ts';
import { ROWS } from './rows.ts';
import type { Runs } from './runs.ts';
import { joinRuns } from './runs.ts';
import { isTraffic, Session } from './session.ts';
import { printTable } from './table.ts';
import { buildVariants } from './variants.ts';

export interface BenchOptions {
  readonly quick: boolean;
  /** Where the JSON goes. */
  readonly json: string | undefined;
  readonly rows: readonly RowName[];
}

/** Whether all that must be reached is. */
export async function bench(options: BenchOptions): Promise<boolean> {
  const began = performance.now();
  const facts = { machine: machineFacts(), versions: await versions(), underTest: UNDER_TEST };
  const session = new Session(options.quick, say);
  const rows = await judged(session, withBytes(options.rows));
  const ok = Object.values(rows).every((row) => row.ok);
  const seconds = Math.round((performance.now() - began) / 1000);
  if (options.json !== undefined) {
    const { quick } = options;
    const { durations } = session;
    const at = new Date().toISOString();
    const document = { at, ...facts, quick, durations, seconds, ok, rows };
    writeFileSync(options.json, `${JSON.stringify(document, null, 2)}\n`);
  }
  printTable(rows);
  const { processor, cores, kernel, load } = facts.machine;
  console.log(`\n${processor}, ${cores} cores, Linux ${kernel}; load ${load} at the start`);
  console.log(`${ok ? 'all' : 'NOT all'} that must be reached is; ${seconds} s`);
  return ok;
}

async function judged(
  session: Session,
  wanted: readonly RowName[],
): Promise<Partial<Record<RowName, Row>>> {
  if (wanted.includes('filter') && UNDER_TEST === 'ours') await buildVariants();
  // Another's program has no filter stage to be measured.
  const possible = wanted.filter((name) => name !== 'filter' || UNDER_TEST === 'ours');
  const rows: Partial<Record<RowName, Row>> = {};
  // Entered in the order of the table.
  for (const name of wanted) rows[name] = notRun(ROWS[name], 'not run for this program');
  let all: Runs = {};
  const judgeAll = (names: readonly RowName[], runs: Runs): void => {
    all = joinRuns(all, runs);
    for (const name of names)
      rows[name] = judge(ROWS[name], session.contendersOf(ROWS[name]), runs);
    // Whoever it was and whenever: no later transfer makes a broken one good.
    if (rows.bytes) rows.bytes = judge(ROWS.bytes, hashed(all), all);
  };
  judgeAll(possible, await session.measure(possible));
  const again = possible.filter((name) => rows[name]?.void);
  for (const name of again) say(`${name}: ${rows[name]?.void}`);
  if (again.length > 0) {
    say(`once more: ${again.join(', ')}`);
    judgeAll(again, await session.measure(again));
  }
  return rows;
}

/** Traffic is never measured without a look at what arrives. */
function withBytes(rows: readonly RowName[]): readonly RowName[] {
  return rows.some(isTraffic) ? [...new Set<RowName>(['bytes', ...rows])] : rows;
}

/** Whose bytes have been hashed, ours first. */
function hashed(runs: Runs): ContenderName[] {
  const names = Object.keys(runs) as ContenderName[];
  const others = names.filter((name) => runs[name]?.some(({ asked }) => asked.includes('bytes')));
  return [...new Set<ContenderName>(['ours', ...others])];
}

function say(line: string): void {
  console.error(line);
}
