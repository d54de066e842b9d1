/**
 * `npm run bench -- node`: our node beside stock tailscaled v1.102.3 as the node, in the same places of the same
 * network under our own server. Rows, bounds and what they mean: rows.ts.
 */

import { PEERS_BIN } from '../../debian.ts';
import { run } from '../../run.ts';
import type { WorkSpec } from '../compare.ts';
import { compare } from '../compare.ts';
import { machineFacts } from '../facts.ts';
import { report } from '../report.ts';
import { measureCarried, measureRest } from './memory.ts';
import { measureDirect, measureRelayed, measureSubnet } from './paths.ts';
import type { Contender, RowName, Sizes, Work } from './rows.ts';
import { FULL, QUICK, ROWS } from './rows.ts';
import { measureStart } from './start.ts';

export interface NodeBenchOptions {
  readonly quick: boolean;
  /** Where the JSON goes. */
  readonly json: string | undefined;
  readonly rows: readonly RowName[];
}

const COLUMNS: readonly Contender[] = ['ours', 'stock', 'to-stock', 'from-stock'];
const ALIKE: readonly Contender[] = ['ours', 'stock'];

/** In the order in which they are done. */
const WORKS: Readonly<Record<Work, WorkSpec<Contender, Sizes>>> = {
  direct: { contenders: COLUMNS, measure: measureDirect },
  subnet: { contenders: ALIKE, measure: measureSubnet },
  relayed: { contenders: ALIKE, measure: measureRelayed },
  start: { contenders: ALIKE, measure: measureStart },
  carried: { contenders: ALIKE, once: true, measure: measureCarried },
  rest: { contenders: ALIKE, once: true, together: measureRest },
};

/** Whether all that must be reached is. */
export async function benchNode({ quick, json, rows }: NodeBenchOptions): Promise<boolean> {
  const began = performance.now();
  const machine = machineFacts();
  const sizes = quick ? QUICK : FULL;
  if (quick)
    say(
      `quick: one round, ${QUICK.carriedBytes / 1e9} GB carried in place of ${FULL.carriedBytes / 1e9}, ` +
        `${QUICK.restSeconds} s at rest in place of ${FULL.restSeconds}`,
    );
  const stock = await run([`${PEERS_BIN}/tailscaled`, '--version']);
  const versions = { stock: stock.split('\n')[0] };
  const isThere = (): boolean => true;
  const compared = await compare({ works: WORKS, specs: ROWS, wanted: rows, sizes, isThere, say });
  report(compared, ROWS, COLUMNS, { began, machine, versions, quick, sizes }, json);
  return compared.ok;
}

function say(line: string): void {
  console.error(line);
}
