/**
 * The files around a database, and what becomes of one that cannot be used.
 *
 *     NAME              the database; beside it SQLite's NAME-wal
 *     NAME.good         a copy that was whole when it was made: at each start, and when asked
 *     NAME.before-v3    the last copy of an earlier form, made before it was migrated to form 3
 *     NAME.damaged-1    put aside, with its -wal, for a person to look at
 *
 * A damaged file is never replaced by itself: without NAME, but with any of the others, a start is refused
 * until a person says `restore` (go on from NAME.good) or `new`. So is one where NAME was deleted by mistake.
 */

import {
  closeSync,
  copyFileSync,
  existsSync,
  fsyncSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
} from 'node:fs';
import { basename, dirname } from 'node:path';
import { ConfigError } from '../base/errors.ts';

/** What to do where the database is missing though there once was one. */
export type WhenMissing = 'restore' | 'new' | undefined;

const SIDE_FILES = ['-wal', '-shm'] as const;

/**
 * Makes sure that NAME exists: as it is, restored, or new and empty.
 *
 * @returns whether it was restored
 * @throws ConfigError where a person must decide
 */
export function ensureFile(path: string, choice: WhenMissing): boolean {
  const bytes = statSync(path, { throwIfNoEntry: false })?.size;
  const left = remains(path);
  // An empty file is what is left of a first start that was cut short, or of much more.
  if (bytes !== undefined && (bytes > 0 || left.length === 0)) return false;
  if (left.length > 0 && choice === undefined)
    throw new ConfigError(
      `store: ${path} is ${bytes === 0 ? 'empty' : 'missing'}, but ${left.join(', ')} is there. ${offer(path)}`,
    );
  if (choice === 'restore') {
    if (!existsSync(goodPath(path)))
      throw new ConfigError(`store: there is no ${goodPath(path)} to restore`);
    copyWhole(goodPath(path), path);
    return true;
  }
  // A log that belongs to a file of the past would be taken for this one's.
  for (const side of SIDE_FILES) rmSync(path + side, { force: true });
  closeSync(openSync(path, 'a', 0o600));
  syncFolder(dirname(path));
  return false;
}

/**
 * Puts a damaged database aside with what belongs to it.
 *
 * @returns what a person is told
 */
export function putAside(path: string, reason: string): ConfigError {
  let n = 1;
  while (existsSync(`${path}.damaged-${n}`)) n++;
  const aside = `${path}.damaged-${n}`;
  for (const side of SIDE_FILES) if (existsSync(path + side)) renameSync(path + side, aside + side);
  renameSync(path, aside);
  syncFolder(dirname(path));
  return new ConfigError(
    `store: ${path} is damaged (${reason}) and was put aside as ${aside}. ${offer(path)}`,
  );
}

export const goodPath = (path: string): string => `${path}.good`;

/** Whether nothing was written to the database since the good copy was made. */
export function hasFreshCopy(path: string): boolean {
  const written = Math.max(modified(path) ?? 0, modified(`${path}-wal`) ?? 0);
  return (modified(goodPath(path)) ?? 0) >= written;
}

/** `write` fills the empty file that it is given; this takes the place of `to` when it is on the disk. */
export function replaceWhole(to: string, write: (path: string) => void): void {
  const made = `${to}.new`;
  rmSync(made, { force: true });
  closeSync(openSync(made, 'wx', 0o600));
  write(made);
  const file = openSync(made, 'r');
  try {
    fsyncSync(file);
  } finally {
    closeSync(file);
  }
  renameSync(made, to);
  syncFolder(dirname(to));
}

const copyWhole = (from: string, to: string): void =>
  replaceWhole(to, (path) => copyFileSync(from, path));

function syncFolder(path: string): void {
  const folder = openSync(path, 'r');
  try {
    fsyncSync(folder);
  } finally {
    closeSync(folder);
  }
}

/** Files that say that a database was here. */
function remains(path: string): readonly string[] {
  const name = basename(path);
  return readdirSync(dirname(path)).filter(
    (file) =>
      file === `${name}.good` || file === `${name}-wal` || file.startsWith(`${name}.damaged-`),
  );
}

function offer(path: string): string {
  const good = modified(goodPath(path));
  const anew = "'--store new' to begin anew";
  return good === undefined
    ? `There is no good copy of it. Put a file in its place, or start once with ${anew}.`
    : `The last good copy, ${goodPath(path)}, is of ${new Date(good).toISOString()}: start once with '--store restore' to go on from it, or with ${anew}.`;
}

function modified(path: string): number | undefined {
  return statSync(path, { throwIfNoEntry: false })?.mtimeMs;
}
