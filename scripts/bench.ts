/**
 * `npm run bench [-- --quick | --long] [--json FILE] [--only ROW,ROW] [--source]`: is it as fast, as small and
 * as quiet as we say, against today's wireguard-go and Debian's, on this machine, now?
 *
 * Measured is what people get, the single executable, built here from this tree. --source measures src/ as it
 * lies, with what the type stripper takes on top (12 MB for an empty file); POSTERN_BIN measures another build.
 *
 * Medians of three, ratios of medians. --quick makes each run shorter and leaves out what no bound asks for;
 * --long adds ten minutes that look for growing memory. A row that says nothing (bench/judge.ts tells when) is
 * measured once more. The machine should have nothing else to do: CPU figures bear some company, throughput
 * and pings do not.
 *
 * `npm run bench -- control [--quick] [--json FILE] [--only ROW,ROW] [--source]` measures the coordination
 * server instead (bench/control/rows.ts), with a headscale that HEADSCALE_BIN names. Its three threads each
 * have a type stripper with --source: 57 MB more of anonymous memory.
 *
 * `npm run bench -- node [--quick] [--json FILE] [--only ROW,ROW] [--source]` measures our node beside stock
 * tailscaled as the node (bench/node/rows.ts); `npm run bench -- nat [--quick] [--json FILE] [--only PAIR,PAIR]`
 * looks who reaches whom, through which NATs, and how (bench/nat/nat.ts).
 *
 * Exit: 0 all that must be reached is, 1 something is not, 2 not understood.
 */

import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { BenchOptions } from './bench/bench.ts';
import type { PairName } from './bench/nat/nat.ts';
import type { RowName } from './bench/rows.ts';
import { ROWS } from './bench/rows.ts';
import { CACHE, setUp } from './debian.ts';
import { kernelsWasm } from './kernels.ts';
import { run } from './run.ts';

/** @throws TypeError saying what is not understood */
function readOptions(): BenchOptions & { readonly source: boolean } {
  const { values } = parseArgs({
    options: {
      quick: { type: 'boolean', default: false },
      long: { type: 'boolean', default: false },
      json: { type: 'string' },
      only: { type: 'string' },
      source: { type: 'boolean', default: false },
    },
  });
  const known = Object.keys(ROWS) as RowName[];
  const usual = known.filter((name) => name !== 'growth' || values.long);
  const rows = pick(known, values.only) ?? usual;
  return { ...values, json: values.json, rows };
}

interface Wanted<R extends string> {
  readonly quick: boolean;
  readonly json: string | undefined;
  readonly rows: readonly R[];
}

/** The options of a comparison with stock programs, which are there afterwards, as ours is. */
async function prepared<R extends string>(
  args: readonly string[],
  known: readonly R[],
): Promise<Wanted<R>> {
  const { values } = parseArgs({
    args: [...args],
    options: {
      quick: { type: 'boolean', default: false },
      json: { type: 'string' },
      only: { type: 'string' },
      source: { type: 'boolean', default: false },
    },
  });
  const rows = pick(known, values.only) ?? known;
  await setUp(['derper', 'tailscale', 'tailscaled']);
  if (values.source) await kernelsWasm();
  else process.env['POSTERN_BIN'] ??= await build();
  return { quick: values.quick, json: values.json, rows };
}

/** @returns undefined where nothing is named. @throws TypeError for a name that is not known */
function pick<R extends string>(known: readonly R[], only: string | undefined): R[] | undefined {
  const wanted = only?.split(',');
  const unknown = wanted?.find((name) => !known.includes(name as R));
  if (unknown !== undefined)
    throw new TypeError(`--only: wanted some of ${known.join(', ')}, found '${unknown}'`);
  return wanted && known.filter((name) => wanted.includes(name));
}

const ALIKE_PAIRS: readonly PairName[] = ['stock-stock', 'ours-ours'];
const MIXED_PAIRS: readonly PairName[] = ['ours-stock', 'stock-ours'];

/**
 * Not imported before their time: what they import looks into folders that only root may read, and once and for
 * all at which program is ours.
 */
const COMPARISONS: Readonly<Record<string, (args: readonly string[]) => Promise<boolean>>> = {
  control: async (args) => {
    const { ROWS } = await import('./bench/control/rows.ts');
    const options = await prepared(args, Object.keys(ROWS) as (keyof typeof ROWS)[]);
    const { benchControl } = await import('./bench/control/control.ts');
    return benchControl(options);
  },
  node: async (args) => {
    const { ROWS } = await import('./bench/node/rows.ts');
    const options = await prepared(args, Object.keys(ROWS) as (keyof typeof ROWS)[]);
    const { benchNode } = await import('./bench/node/node.ts');
    return benchNode(options);
  },
  nat: async (args) => {
    const { quick, json, rows } = await prepared(args, [...ALIKE_PAIRS, ...MIXED_PAIRS]);
    const { benchNat } = await import('./bench/nat/nat.ts');
    const pairs = quick ? rows.filter((name) => ALIKE_PAIRS.includes(name)) : rows;
    return benchNat({ pairs, json });
  },
};

/** @returns the path of this tree's program for this machine */
async function build(): Promise<string> {
  const folder = join(CACHE, 'bench');
  await run([
    process.execPath,
    join(import.meta.dirname, 'build.ts'),
    '--out',
    folder,
    process.arch,
  ]);
  const program = join(folder, `postern-linux-${process.arch}`);
  // A file just written lies in the page cache in large pieces, all of which count as resident once touched
  // (112 MB for 85). Devices read theirs from a disk, so let it be read from there.
  await run([
    'dd',
    `of=${program}`,
    'oflag=nocache',
    'conv=notrunc,fdatasync',
    'count=0',
    'status=none',
  ]);
  return program;
}

async function main(): Promise<number> {
  if (process.getuid?.() !== 0) {
    console.error(
      'bench: needs root, for network namespaces and TUN devices; nothing was changed (try: sudo npm run bench)',
    );
    return 1;
  }
  const [verb, ...more] = process.argv.slice(2);
  let options: ReturnType<typeof readOptions>;
  try {
    const comparison = COMPARISONS[verb ?? ''];
    if (comparison) return (await comparison(more)) ? 0 : 1;
    options = readOptions();
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    console.error(`bench: ${error.message}`);
    return 2;
  }
  await setUp(['wireguard']);
  if (options.source) await kernelsWasm();
  else if ((process.env['POSTERN_UNDER_TEST'] ?? 'ours') === 'ours')
    process.env['POSTERN_BIN'] ??= await build();
  // Not before: what it imports looks into folders that only root may read.
  const { bench } = await import('./bench/bench.ts');
  return (await bench(options)) ? 0 : 1;
}

process.exitCode = await main();
