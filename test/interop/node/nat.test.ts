/**
 * Through NATs: always connected, and directly wherever two stock clients are. A sample of the matrix, whose
 * whole is test/long/nat-matrix.test.ts and `npm run bench -- nat`.
 */

import { meshTest } from '../control/suite.ts';
import type { Place } from './matrix.ts';
import { measureMatrix } from './matrix.ts';
import type { Pair } from './members.ts';
import { Members } from './members.ts';
import { withTwoRelays } from './relays.ts';
import { PAIRS } from './suite.ts';

/** The places of the sample. */
const SITES = ['port-restricted', 'hard', 'mapped', 'easy', 'blocked', 'ipv6'] as const;
/** A stock pair has needed up to 5.1 s. */
const MOST_MS = 10_000;
const WIDTH = 2;
const STOCK: Pair = ['stock', 'stock'];
/** The sample asks unlike places in both orders, so that one of the mixed pairs is enough. */
const SAMPLED: readonly Pair[] = PAIRS.filter(([a, b]) => a === b || b === 'stock');

/** Of one pair of kinds: `port-restricted to easy` and whether it was direct. */
const found = new Map<string, ReadonlyMap<string, boolean>>();

for (const kinds of new Map([STOCK, ...SAMPLED].map((kinds) => [kinds.join(), kinds])).values())
  meshTest(
    `${kinds.join(' to ')}: nat: always connected, and directly wherever a stock pair is`,
    { prepare: withTwoRelays, timeoutMs: 280_000 },
    async (t, mesh) => {
      const cells = await measureMatrix(new Members(mesh), kinds, {
        sites: SITES,
        carriers: true,
        mostMs: MOST_MS,
        width: WIDTH,
        wanted: isSample,
      });
      const stock = found.get(STOCK.join());
      for (const { from, to, connectedMs, directMs } of cells) {
        const way = `${from} to ${to}`;
        t.ok(connectedMs !== undefined, `${way}: connected, directly after ${directMs} ms`);
        if (stock?.get(way)) t.ok(directMs !== undefined, `${way}: directly, as a stock pair is`);
      }
      found.set(
        kinds.join(),
        new Map(
          cells.map(({ from, to, directMs }) => [`${from} to ${to}`, directMs !== undefined]),
        ),
      );
    },
  );

/** Each place in some pair, easy and hard ones in both orders. */
function isSample(from: Place, to: Place): boolean {
  const pair = `${from} ${to}`;
  return [
    'port-restricted port-restricted',
    'port-restricted hard',
    'hard easy',
    'easy hard',
    'hard hard',
    'mapped hard',
    'hard mapped',
    'blocked easy',
    'ipv6 ipv6',
    'ipv6 hard',
  ].includes(pair);
}
