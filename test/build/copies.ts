/**
 * Copies of the tree, each built in a folder of its own: what comes out must not depend on the folder, nor on
 * what dist/ holds already.
 *
 *     .cache/build-test-<pid>-N/a, b      source copied, packages hard-linked, git's history by reference
 */

import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { run } from '../netns/child.ts';

export const TOP: string = join(import.meta.dirname, '../..');

const CACHE = join(TOP, '.cache');
const PREFIX = 'build-test-';
const NOT_COPIED = new Set(['.git', '.cache', '.tap', 'dist', 'node_modules']);
/** Both architectures, with the arm64 Node still to be fetched. */
const BUILD_MS = 240_000;

/** An empty folder that goes with this process; those of killed ones go first. */
export function workFolder(): string {
  mkdirSync(CACHE, { recursive: true });
  for (const name of readdirSync(CACHE).filter((name) => name.startsWith(PREFIX)))
    if (!existsSync(`/proc/${name.slice(PREFIX.length).split('-')[0]}`))
      rmSync(join(CACHE, name), { recursive: true });
  const folder = mkdtempSync(join(CACHE, `${PREFIX}${process.pid}-`));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Copies the tree `from` to `to`, and builds there. @returns the folder of the results */
export async function buildCopy(from: string, to: string): Promise<string> {
  mkdirSync(to);
  for (const name of readdirSync(from).filter((name) => !NOT_COPIED.has(name)))
    cpSync(join(from, name), join(to, name), { recursive: true });
  await run(['cp', '--archive', '--link', join(TOP, 'node_modules'), to], { timeoutMs: 60_000 });
  referToHistory(to);
  // Fetched once for all.
  mkdirSync(join(CACHE, 'npm'), { recursive: true });
  mkdirSync(join(to, '.cache'));
  symlinkSync(join(CACHE, 'npm'), join(to, '.cache/npm'));
  await run([process.execPath, join(to, 'scripts/build.ts')], { timeoutMs: BUILD_MS });
  return join(to, 'dist');
}

/** A tree without git, as from an archive, is built too. */
function referToHistory(to: string): void {
  const git = join(TOP, '.git');
  if (!existsSync(git)) return;
  if (statSync(git).isDirectory()) writeFileSync(join(to, '.git'), `gitdir: ${git}\n`);
  else cpSync(git, join(to, '.git'));
}
