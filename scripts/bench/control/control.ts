/**
 * `npm run bench -- control`: the coordination server and its relay, beside stock derper, and beside headscale
 * where HEADSCALE_BIN names one. Rows, bounds and what they mean: rows.ts.
 */

import { run } from '../../run.ts';
import { compare } from '../compare.ts';
import { machineFacts } from '../facts.ts';
import { report } from '../report.ts';
import type { Contender, RowName } from './rows.ts';
import { FULL, QUICK, ROWS } from './rows.ts';
import { WORKS } from './works.ts';

const COLUMNS: readonly Contender[] = ['ours', 'derper', 'headscale'];

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
  const isThere = (name: Contender): boolean => name !== 'headscale' || hasHeadscale();
  const compared = await compare({ works: WORKS, specs: ROWS, wanted: rows, sizes, isThere, say });
  report(compared, ROWS, COLUMNS, { began, machine, versions: names, quick, sizes }, json);
  return compared.ok;
}

const hasHeadscale = (): boolean => (process.env['HEADSCALE_BIN'] ?? '') !== '';

/** Of the programs that ours is measured against; ours is this tree. */
async function versions(): Promise<Readonly<Record<string, string>>> {
  if (!hasHeadscale()) return {};
  const text = await run([process.env['HEADSCALE_BIN'] ?? '', 'version']);
  return { headscale: text.trim().split('\n')[0] ?? '' };
}

function say(line: string): void {
  console.error(line);
}
