/**
 * `npm run bench -- nat [--quick] [--json FILE] [--only PAIR,PAIR]`: who reaches whom, through which NATs, how.
 *
 *     for each of stock-stock, ours-ours, ours-stock, stock-ours: a network of its own, every pair of places cold
 *     ->  table: direct in N ms, or relayed      ->  ok: always connected, and direct wherever stock-stock is
 *
 * Times to direct are of one run and swing with chance and with what else the machine does; what is asserted is
 * the path. --quick leaves out the mixed pairs.
 */

import { writeFileSync } from 'node:fs';
import { Mesh } from '../../../test/interop/control/mesh.ts';
import { Network } from '../../../test/interop/control/network.ts';
import { startServer } from '../../../test/interop/control/server.ts';
import type { Cell } from '../../../test/interop/node/matrix.ts';
import { measureMatrix } from '../../../test/interop/node/matrix.ts';
import type { Pair } from '../../../test/interop/node/members.ts';
import { Members } from '../../../test/interop/node/members.ts';
import { SITES } from '../../../test/interop/node/nat-network.ts';
import { withTwoRelays } from '../../../test/interop/node/relays.ts';
import { Lab } from '../../../test/netns/lab.ts';
import { faultsOf, printMatrix } from './table.ts';

export const PAIR_NAMES = ['stock-stock', 'ours-ours', 'ours-stock', 'stock-ours'] as const;
export type PairName = (typeof PAIR_NAMES)[number];

export interface NatBenchOptions {
  readonly pairs: readonly PairName[];
  /** Where the JSON goes. */
  readonly json: string | undefined;
}

const PAIRS: Readonly<Record<PairName, Pair>> = {
  'stock-stock': ['stock', 'stock'],
  'ours-ours': ['ours', 'ours'],
  'ours-stock': ['ours', 'stock'],
  'stock-ours': ['stock', 'ours'],
};
const MOST_MS = 8000;
const WIDTH = 3;

export type Matrices = Readonly<Partial<Record<PairName, readonly Cell[]>>>;

/** Whether always connected, and direct wherever two stock nodes are (as far as they were asked). */
export async function benchNat({ pairs, json }: NatBenchOptions): Promise<boolean> {
  const matrices = await measureAll(pairs, (name, cells, seconds) =>
    console.log(`bench: ${name}, ${seconds} s\n${printMatrix(cells)}`),
  );
  const faults = faultsOf(matrices);
  for (const fault of faults) console.log(`bench: ${fault}`);
  const ok = faults.length === 0;
  if (json !== undefined)
    writeFileSync(json, `${JSON.stringify({ ok, faults, mostMs: MOST_MS, matrices }, null, 2)}\n`);
  return ok;
}

/** @param show is given each as it is there */
export async function measureAll(
  pairs: readonly PairName[],
  show: (name: PairName, cells: readonly Cell[], seconds: number) => void,
): Promise<Matrices> {
  const matrices: Partial<Record<PairName, readonly Cell[]>> = {};
  for (const name of pairs) {
    const began = performance.now();
    const cells = await measure(PAIRS[name]);
    matrices[name] = cells;
    show(name, cells, Math.round((performance.now() - began) / 1000));
  }
  return matrices;
}

async function measure(kinds: Pair): Promise<readonly Cell[]> {
  await using lab = await Lab.create('nat');
  const network = await Network.create(lab);
  try {
    const server = await startServer(network, await withTwoRelays(network));
    const members = new Members(new Mesh(network, server));
    return await measureMatrix(members, kinds, {
      sites: SITES,
      carriers: true,
      mostMs: MOST_MS,
      width: WIDTH,
    });
  } finally {
    await lab.close();
    network.close();
  }
}
