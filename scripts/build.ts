/**
 * Builds the program as single files: `node scripts/build.ts [--out FOLDER] [x64 | arm64 ...]`.
 *
 *     src/ --esbuild--> main, parts, workers -+
 *     *.as.ts ----asc-> kernels.wasm ----------+-- node --build-sea --> dist/postern-linux-<arch>
 *     npm's koffi.node of the target ----------+            |           dist/LICENSES.txt
 *     npm's Node of the target --trimmed-------+------------+           dist/SHA256SUMS
 *
 * Both are built on either machine. The same tree gives the same bytes: nothing is dated, no path goes in, and
 * no tool is used that the lock file does not name. Results are renamed into place when all are whole.
 */

import { createHash } from 'node:crypto';
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { ConfigError } from '../src/base/errors.ts';
import type { Bundle } from './build/bundle.ts';
import { bundle, infoOf } from './build/bundle.ts';
import { trimmed } from './build/elf.ts';
import { licences } from './build/licences.ts';
import { NODE_FLAGS } from './build/node-flags.ts';
import { packageFolder, TOP } from './build/packages.ts';
import { CACHE } from './debian.ts';
import { kernelsWasm } from './kernels.ts';
import { lock, main, run } from './run.ts';

const ARCHITECTURES = ['x64', 'arm64'] as const;
type Architecture = (typeof ARCHITECTURES)[number];

await main(async () => {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { out: { type: 'string', default: join(TOP, 'dist') } },
  });
  const wanted = positionals.length > 0 ? positionals.map(architecture) : ARCHITECTURES;
  const out = resolve(values.out);
  using _ = lock(join(CACHE, 'build.lock'), () => console.log('build: waiting for another run'));
  mkdirSync(out, { recursive: true });
  for (const name of readdirSync(out).filter((name) => name.startsWith('.new-')))
    rmSync(join(out, name), { recursive: true });
  const fresh = mkdtempSync(join(out, '.new-'));
  try {
    for (const name of await buildAll(fresh, wanted))
      renameSync(join(fresh, name), join(out, name));
  } finally {
    rmSync(fresh, { recursive: true });
  }
});

function architecture(word: string): Architecture {
  const found = ARCHITECTURES.find((one) => one === word);
  if (found !== undefined) return found;
  throw new ConfigError(`build: wanted ${ARCHITECTURES.join(' or ')}, found '${word}'`);
}

/** @returns the names of what is to be kept of `folder` */
async function buildAll(
  folder: string,
  architectures: readonly Architecture[],
): Promise<readonly string[]> {
  const code = await bundle(infoOf());
  const kernels = await kernelsWasm();
  const names = ['LICENSES.txt'];
  writeFileSync(join(folder, 'LICENSES.txt'), await licences(code.packages));
  for (const arch of architectures) names.push(await buildOne(folder, arch, code, kernels));
  const sums = names.sort().map((name) => `${sha256(join(folder, name))}  ${name}\n`);
  writeFileSync(join(folder, 'SHA256SUMS'), sums.join(''));
  return [...names, 'SHA256SUMS'];
}

async function buildOne(
  folder: string,
  arch: Architecture,
  { main, assets }: Bundle,
  kernels: string,
): Promise<string> {
  const started = performance.now();
  const name = `postern-linux-${arch}`;
  const node = join(await packageFolder(`node-linux-${arch}`), 'bin/node');
  const koffi = await packageFolder(`@koromix/koffi-linux-${arch}`);
  writeFileSync(join(folder, 'node'), trimmed(readFileSync(node)), { mode: 0o755 });
  writeFileSync(join(folder, 'main.cjs'), main);
  for (const [asset, text] of Object.entries(assets)) writeFileSync(join(folder, asset), text);
  copyFileSync(kernels, join(folder, 'kernels.wasm'));
  copyFileSync(join(koffi, `linux_${arch}/koffi.node`), join(folder, 'koffi.node'));
  // Relative paths, since the one of main goes into the result.
  const config = {
    main: 'main.cjs',
    executable: 'node',
    output: name,
    disableExperimentalSEAWarning: true,
    // Both hold code for the architecture that makes them.
    useSnapshot: false,
    useCodeCache: false,
    execArgv: NODE_FLAGS,
    execArgvExtension: 'none',
    assets: Object.fromEntries(
      [...Object.keys(assets), 'kernels.wasm', 'koffi.node'].map((asset) => [asset, asset]),
    ),
  };
  writeFileSync(join(folder, 'config.json'), JSON.stringify(config));
  await run([process.execPath, '--build-sea', 'config.json'], { cwd: folder });
  const { length } = readFileSync(join(folder, name));
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  console.log(`build: ${name}, ${(length / 1e6).toFixed(1)} MB, ${seconds} s`);
  return name;
}

function sha256(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}
