/**
 * Compiles the packet kernels, AssemblyScript, to dist/kernels.wasm: `node scripts/kernels.ts`, or
 * `kernelsWasm()` from whoever needs them.
 *
 * A file beside the result holds the hash of everything it depends on (each *.as.ts of src/, the options,
 * the compiler's version) and of the result itself; where it matches, nothing is compiled. Both are
 * renamed into place, the hash last, so that two test files may ask at once and a kill leaves no half.
 */

import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { globSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';

const top = join(import.meta.dirname, '..');
const ENTRY = 'src/node/dataplane/kernels.as.ts';
const WASM = join(top, 'dist/kernels.wasm');
const HASH = `${WASM}.sha256`;

/** The memory is the arena, made by us and shared; the kernels allocate nothing (runtime stub). */
const OPTIONS: readonly string[] = [
  ...['--runtime', 'stub'],
  ...['--importMemory', '--sharedMemory', '--initialMemory', '1', '--maximumMemory', '65536'],
  ...['--enable', 'simd,threads,bulk-memory'],
  ...['-O3', '--noAssert', '--converge'],
];

/** Path of an up-to-date kernels.wasm. @throws Error with the compiler's words where it does not compile */
export async function kernelsWasm(): Promise<string> {
  const wanted = sourceHash();
  if (recorded() === `${wanted} ${fileHash(WASM)}`) return WASM;
  mkdirSync(join(top, 'dist'), { recursive: true });
  const fresh = `${WASM}.${process.pid}`;
  await compile(fresh);
  const compiled = fileHash(fresh);
  renameSync(fresh, WASM);
  writeFileSync(`${HASH}.${process.pid}`, `${wanted} ${compiled}\n`);
  renameSync(`${HASH}.${process.pid}`, HASH);
  return WASM;
}

/** The compiler runs as a program: its types would put globals of their own over Node's. */
async function compile(outFile: string): Promise<void> {
  const asc = join(top, 'node_modules/assemblyscript/bin/asc.js');
  const words = [asc, ENTRY, '--baseDir', top, '--outFile', outFile, ...OPTIONS];
  try {
    await promisify(execFile)(process.execPath, words, { cwd: top });
  } catch (error) {
    const { stderr } = error as { stderr?: string };
    throw new Error(`kernels: ${ENTRY} does not compile\n${stderr ?? String(error)}`);
  }
}

function sourceHash(): string {
  const hash = createHash('sha256').update(JSON.stringify(OPTIONS));
  const compiler = 'node_modules/assemblyscript/package.json';
  for (const file of [compiler, ...globSync('src/**/*.as.ts', { cwd: top }).sort()])
    hash.update(`\0${file}\0`).update(readFileSync(join(top, file)));
  return hash.digest('hex');
}

function fileHash(path: string): string | undefined {
  try {
    return createHash('sha256').update(readFileSync(path)).digest('hex');
  } catch {
    return undefined;
  }
}

function recorded(): string | undefined {
  try {
    return readFileSync(HASH, 'utf8').trim();
  } catch {
    return undefined;
  }
}

if (import.meta.main) {
  const started = performance.now();
  const path = await kernelsWasm();
  console.log(
    `${path}, ${readFileSync(path).length} bytes, ${Math.round(performance.now() - started)} ms`,
  );
}
