/** What is left of a comparison: its JSON, its table, and where it ran. */

import { writeFileSync } from 'node:fs';
import type { Compared } from './compare.ts';
import type { RowSpec } from './control/rows.ts';
import { printRows } from './control/table.ts';
import type { MachineFacts } from './facts.ts';

export interface Circumstances {
  /** From performance.now(). */
  readonly began: number;
  readonly machine: MachineFacts;
  readonly versions: Readonly<Record<string, unknown>>;
  readonly quick: boolean;
  readonly sizes: object;
}

/** @param json where it goes, if anywhere */
export function report<C extends string, W extends string, R extends string>(
  { rows, runs, ok }: Compared<C, W, R>,
  specs: Readonly<Record<R, RowSpec<C, W>>>,
  columns: readonly C[],
  { began, machine, versions, quick, sizes }: Circumstances,
  json: string | undefined,
): void {
  const seconds = Math.round((performance.now() - began) / 1000);
  if (json !== undefined) {
    const at = new Date().toISOString();
    const document = { at, machine, versions, quick, sizes, seconds, ok, rows };
    const all = { ...document, runs: Object.fromEntries(runs) };
    writeFileSync(json, `${JSON.stringify(all, null, 2)}\n`);
  }
  printRows(rows, specs, columns);
  const { processor, cores, kernel, load } = machine;
  console.log(`\n${processor}, ${cores} cores, Linux ${kernel}; load ${load} at the start`);
  console.log(`${ok ? 'all' : 'NOT all'} that must be reached is; ${seconds} s`);
}
