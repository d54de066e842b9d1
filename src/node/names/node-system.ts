/** The system port by Node's own files and processes. Programs are run by argument lists; no shell sees them. */

import { execFile } from 'node:child_process';
import { type FSWatcher, realpathSync, watch } from 'node:fs';
import {
  lstat,
  mkdir,
  open,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  stat,
  symlink,
} from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import type { RunResult, SystemPort } from './ports.ts';

const RUN_TIMEOUT_MS = 10_000;
/** A unit's own path may lack the folders of administration, where resolvconf is. */
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const MAX_READ_BYTES = 64 * 1024;
const FILE_MODE = 0o644;

export const nodeSystem: SystemPort = {
  kind: async (path) => {
    const found = await orUndefined(lstat(path));
    if (found === undefined) return 'absent';
    return found.isSymbolicLink() ? 'link' : 'file';
  },
  read: async (path) => {
    const text = await orUndefined(readFile(path, 'utf8'));
    return text?.slice(0, MAX_READ_BYTES);
  },
  list: async (path) => ((await orUndefined(readdir(path))) ?? []).sort(),
  linkTarget: (path) => readlink(path),
  create: async (path, text) => {
    await mkdir(dirname(path), { recursive: true });
    await write(path, 'w', text);
  },
  createLink: (path, target) => symlink(target, path),
  overwrite: (path, text) => write(path, 'w', text),
  rename: async (from, to) => {
    await rename(from, to);
    const folder = await open(dirname(to), 'r');
    await folder.sync().finally(() => folder.close());
  },
  remove: (path) => rm(path, { force: true }),
  identity: async (path) => {
    const found = await orUndefined(stat(path));
    return found && `${found.dev}-${found.ino}`;
  },
  isMountPoint: async (path) => {
    const mounts = (await orUndefined(readFile('/proc/self/mountinfo', 'utf8'))) ?? '';
    return mounts.split('\n').some((line) => line.split(' ')[4] === path);
  },
  run: (argv, input = '') =>
    new Promise<RunResult>((resolve) => {
      const child = execFile(
        argv[0] ?? '',
        argv.slice(1),
        { timeout: RUN_TIMEOUT_MS, env: { ...process.env, PATH, LC_ALL: 'C' } },
        (error, stdout, stderr) => {
          const code = error === null ? 0 : error.code === 'ENOENT' ? 127 : Number(error.code);
          resolve({ code: Number.isInteger(code) ? code : 1, stdout, stderr });
        },
      );
      // A program may end without having read all of it.
      child.stdin?.on('error', () => {});
      child.stdin?.end(input);
    }),
  watch: (path, changed) => {
    let watchers: (FSWatcher | undefined)[] = [];
    let open = true;
    const close = (): void => {
      for (const watcher of watchers) watcher?.close();
    };
    // A folder tells of a new file by this name, the file itself of a new text; a mount is seen only so.
    const arm = (): void => {
      close();
      if (!open) return;
      const real = realOf(path);
      watchers = [path, ...(real === path ? [] : [real])].map((one) =>
        watchQuietly(dirname(one), (name) => {
          if (name !== basename(one)) return;
          arm();
          changed();
        }),
      );
      watchers.push(watchQuietly(path, () => changed()));
    };
    arm();
    return {
      close: () => {
        open = false;
        close();
      },
    };
  },
};

/** Where a path leads through links; itself where it leads nowhere. */
function realOf(path: string): string {
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

function watchQuietly(path: string, changed: (name: string | null) => void): FSWatcher | undefined {
  try {
    const watcher = watch(path, { persistent: false }, (_event, name) => changed(name));
    watcher.on('error', () => watcher.close());
    return watcher;
  } catch {
    return undefined;
  }
}

async function write(path: string, flags: 'w', text: string): Promise<void> {
  const file = await open(path, flags, FILE_MODE);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
}

async function orUndefined<T>(promise: Promise<T>): Promise<T | undefined> {
  try {
    return await promise;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? '';
    if (['ENOENT', 'ENOTDIR', 'ELOOP'].includes(code)) return undefined;
    throw error;
  }
}
