/**
 * Brings koffi's native half, which the single executable carries, to where the system's loader takes it.
 *
 *     beside the program, a file of root's or ours that nobody else may write     koffi.node, used as it is
 *     else the first of the folders that allows it:
 *         create, for nobody else (O_EXCL, 0600) -> unlink -> write -> load as /proc/self/fd/N
 *
 * The file has no name by the time it has contents: no other user can prepare or exchange it, in whatever
 * folder, and a killed process leaves nothing behind. A folder on a file system mounted noexec is found by
 * the loader's refusal. The descriptor stays open for as long as the process lives: each worker loads the
 * same path, and must find the same file there.
 */

import { randomBytes } from 'node:crypto';
import {
  closeSync,
  constants,
  fstatSync,
  ftruncateSync,
  openSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';
import { ConfigError } from './base/errors.ts';

const NAME = 'koffi.node';
const WRITABLE_BY_OTHERS = 0o022;

export interface Places {
  /** The folder in which a file of this name comes first. */
  readonly beside: string;
  /** Where else to put it, in this order. */
  readonly folders: readonly string[];
}

export interface LoadedNative<T> {
  readonly native: T;
  /** For workers to load. */
  readonly nativePath: string;
}

/**
 * Loads the native file from the first place that lets it be loaded.
 *
 * @param bytes what the program carries
 * @param load throws where the file at this path cannot be loaded
 * @throws ConfigError naming each place and why not there
 */
export function loadCarried<T>(
  bytes: Uint8Array,
  { beside, folders }: Places,
  load: (path: string) => T,
): LoadedNative<T> {
  const refused: string[] = [];
  const file = join(beside, NAME);
  const places = [
    { place: file, open: () => openTrusted(file), ours: false },
    ...folders.map((place) => ({ place, open: () => openNameless(place, bytes), ours: true })),
  ];
  for (const { place, open, ours } of places) {
    let fd: number | undefined;
    try {
      fd = open();
      const nativePath = `/proc/self/fd/${fd}`;
      return { native: load(nativePath), nativePath };
    } catch (error) {
      refused.push(`  ${place}: ${(error as Error).message}`);
      if (fd === undefined) continue;
      // The loader leaves the first part of a refused file mapped, which would keep all of it in memory.
      if (ours) ftruncateSync(fd, 0);
      closeSync(fd);
    }
  }
  throw new ConfigError(
    `no folder lets ${NAME} be loaded (put the file beside the program):\n${refused.join('\n')}`,
  );
}

/** Where this process may put it: its own folders first, those of everybody next, the program's own last. */
export function places(stateFolder: string): Places {
  const runtime = process.env['RUNTIME_DIRECTORY']?.split(':') ?? [];
  const beside = dirname(process.execPath);
  const folders = [
    ...runtime,
    ...(process.geteuid?.() === 0 ? ['/run/postern', '/run'] : []),
    process.env['XDG_RUNTIME_DIR'] ?? '',
    stateFolder,
    tmpdir(),
    '/dev/shm',
    beside,
  ];
  return { beside, folders: [...new Set(folders)].filter(isAbsolute) };
}

/** @throws Error where it is absent, or where another user could have written it */
function openTrusted(path: string): number {
  const fd = openSync(path, 'r');
  const { uid, mode } = fstatSync(fd);
  if ((uid === 0 || uid === process.geteuid?.()) && (mode & WRITABLE_BY_OTHERS) === 0) return fd;
  closeSync(fd);
  throw new ConfigError('another user may write to it, so it is not used');
}

function openNameless(folder: string, bytes: Uint8Array): number {
  const path = join(folder, `.postern-${randomBytes(16).toString('hex')}`);
  const { O_RDWR, O_CREAT, O_EXCL } = constants;
  const fd = openSync(path, O_RDWR | O_CREAT | O_EXCL, 0o600);
  try {
    unlinkSync(path);
    writeFileSync(fd, bytes);
  } catch (error) {
    closeSync(fd);
    throw error;
  }
  return fd;
}
