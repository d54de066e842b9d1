/** The whole matrix of NATs for every pair of kinds: always connected, and directly wherever a stock pair is. */

import t from 'tap';
import { measureAll, PAIR_NAMES } from '../../scripts/bench/nat/nat.ts';
import { faultsOf, printMatrix } from '../../scripts/bench/nat/table.ts';
import { cannotRun } from '../netns/implementations.ts';

const MINUTES = 60_000;

t.setTimeout(40 * MINUTES);
t.test(
  'nat: every pair of places, in both directions, for every pair of kinds',
  { skip: cannotRun('tcpdump'), timeout: 40 * MINUTES },
  async (t) => {
    const matrices = await measureAll(PAIR_NAMES, (name, cells) =>
      t.comment(`${name}\n${printMatrix(cells)}`),
    );
    t.same(faultsOf(matrices), []);
  },
);
