/**
 * `npm run bench [-- --quick | --long] [--json FILE] [--only ROW,ROW]`: is it as fast, as small and as quiet
 * as we say, against today's wireguard-go and Debian's, on this machine, now?
 *
 * Medians of three, ratios of medians. --quick makes each run shorter and leaves out what no bound asks for;
 * --long adds ten minutes that look for growing memory. A row that says nothing (bench/judge.ts tells when) is
 * measured once more. The machine should have nothing else to do: CPU figures bear some company, throughput
 * and pings do not.
 *
 * Exit: 0 all that must be reached is, 1 something is not, 2 not understood.
 */

import { parseArgs } from 'node:util';
import type { BenchOptions } from './bench/bench.ts';
import type { RowName } from './bench/rows.ts';
import { ROWS } from './bench/rows.ts';
import { setUp } from './debian.ts';
import { kernelsWasm } from './kernels.ts';

/** @throws TypeError saying what is not understood */
function readOptions(): BenchOptions {
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

async function main(): Promise<number> {
  let options: BenchOptions;
  try {
    options = readOptions();
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    console.error(`bench: ${error.message}`);
    return 2;
  }
  if (process.getuid?.() !== 0) {
    console.error(
      'bench: needs root, for network namespaces and TUN devices; nothing was changed (try: sudo npm run bench)',
    );
    return 1;
  }
  await setUp();
  await kernelsWasm();
  // Not before: what it imports looks into folders that only root may read.
  const { bench } = await import('./bench/bench.ts');
  return (await bench(options)) ? 0 : 1;
}

process.exitCode = await main();
