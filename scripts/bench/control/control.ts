/**
 * `npm run bench -- control`: the coordination server and its relay, beside stock derper, and beside headscale
 * where HEADSCALE_BIN names one. Rows, bounds and what they mean: rows.ts.
 *
 *     for each work: ours, theirs, ours, theirs, …  ->  judge  ->  once more where void  ->  table, JSON
 */

import { writeFileSync } from 'node:fs';
import { styleText } from 'node:util';
import { run } from '../../run.ts';
import { machineFacts } from '../facts.ts';
import { loadNow } from '../runs.ts';
import type { Row, Run, Runs } from './judge.ts';
import { judge } from './judge.ts';
import type { Contender, RowName, Sizes, Work } from './rows.ts';
import { FULL, QUICK, ROWS } from './rows.ts';
import { printRows } from './table.ts';
import { WORKS } from './works.ts';

export interface ControlBenchOptions {
  readonly quick: boolean;
  /** Where the JSON goes. */
  readonly json: string | undefined;
  readonly rows: readonly RowName[];
}

/** Whether all that must be reached is. */
export async function benchControl({ quick, json, rows }: ControlBenchOptions): Promise<boolean> {
  const began = performance.now();
  const machine = machineFacts();
  const sizes = quick ? QUICK : FULL;
  const names = await versions();
  if (!hasHeadscale()) say('HEADSCALE_BIN names no headscale: rows beside it are only shown');
  if (quick)
    say(
      `quick: one round, ${QUICK.nodes} nodes in place of ${FULL.nodes}, ` +
        `${QUICK.idleSeconds} s at rest in place of ${FULL.idleSeconds}`,
    );
  const runs = new Map<Work, Runs>();
  const judged: Partial<Record<RowName, Row>> = {};
  const works = (Object.keys(WORKS) as Work[]).filter((work) => rowsOf(work, rows).length > 0);
  for (const work of works) {
    const contenders = contendersOf(work);
    for (let time = 0; time < 2; time++) {
      const found = await measure(work, contenders, sizes);
      runs.set(work, found);
      const mine = rowsOf(work, rows);
      for (const name of mine) judged[name] = judge(ROWS[name], contenders, found);
      const voids = mine.map((name) => judged[name]?.void).filter(Boolean);
      if (voids.length === 0) break;
      if (time === 0) say(`once more: ${voids.join('; ')}`);
    }
  }
  const ordered = Object.fromEntries(rows.map((name) => [name, judged[name] as Row]));
  const ok = Object.values(ordered).every((row) => row.ok);
  const seconds = Math.round((performance.now() - began) / 1000);
  if (json !== undefined) {
    const at = new Date().toISOString();
    const document = { at, machine, versions: names, quick, sizes, seconds, ok, rows: ordered };
    const all = { ...document, runs: Object.fromEntries(runs) };
    writeFileSync(json, `${JSON.stringify(all, null, 2)}\n`);
  }
  printRows(ordered);
  const { processor, cores, kernel, load } = machine;
  console.log(`\n${processor}, ${cores} cores, Linux ${kernel}; load ${load} at the start`);
  console.log(`${ok ? 'all' : 'NOT all'} that must be reached is; ${seconds} s`);
  return ok;
}

const hasHeadscale = (): boolean => (process.env['HEADSCALE_BIN'] ?? '') !== '';

function contendersOf(work: Work): readonly Contender[] {
  return WORKS[work].contenders.filter((name) => name !== 'headscale' || hasHeadscale());
}

function rowsOf(work: Work, rows: readonly RowName[]): readonly RowName[] {
  return rows.filter((name) => ROWS[name].work === work);
}

async function measure(work: Work, contenders: readonly Contender[], sizes: Sizes): Promise<Runs> {
  const spec = WORKS[work];
  const runs: Partial<Record<Contender, Run[]>> = {};
  for (let round = 0; round < (spec.once ? 1 : sizes.rounds); round++)
    for (const name of contenders) {
      const done = await runOnce(work, name, sizes);
      runs[name] = [...(runs[name] ?? []), done];
      say(`  ${work.padEnd(8)} ${name.padEnd(9)} load ${done.load.toFixed(1)}  ${shown(done)}`);
    }
  return runs;
}

async function runOnce(work: Work, contender: Contender, sizes: Sizes): Promise<Run> {
  const load = loadNow();
  try {
    return { load, figures: await WORKS[work].measure(contender, sizes) };
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    return { load, failure: text.split('\n').slice(0, 4).join(' | ') };
  }
}

function shown({ figures = {}, failure = '' }: Run): string {
  const parts = Object.entries(figures).map(
    ([name, value]) => `${name} ${Number(value.toFixed(2))}`,
  );
  return [...parts, failure && styleText('red', failure)].filter(Boolean).join('  ');
}

/** Of the programs that ours is measured against; ours is this tree. */
async function versions(): Promise<Readonly<Record<string, string>>> {
  if (!hasHeadscale()) return {};
  const text = await run([process.env['HEADSCALE_BIN'] ?? '', 'version']);
  return { headscale: text.trim().split('\n')[0] ?? '' };
}

function say(line: string): void {
  console.error(line);
}
