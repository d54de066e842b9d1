/**
 * A place in the file system for a socket that only some may open.
 *
 *     nothing there, or left by a dead process --bind, group, rename--> listening --close--> removed
 *     a process answers there, or it is no socket --> ConfigError
 *
 * It is bound under another name with mode 0660 from the first moment on (umask), and gets its own name when
 * group and backlog are there: nobody finds it half made. Two servers that start at once are told apart by the
 * store, which only one of them can open.
 */

import { chownSync, lstatSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import type { Server } from 'node:net';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { ConfigError } from '../../base/errors.ts';

const MAY_NOT = 0o117;

/**
 * @param gid the group that may open it; undefined: the process's own
 * @returns removes the socket, where it is still ours
 * @throws ConfigError where the place is taken or cannot be had
 */
export async function listenAt(
  server: Server,
  path: string,
  gid: number | undefined,
): Promise<() => void> {
  await clear(path);
  const unnamed = `${path}.${process.pid}`;
  try {
    await bind(server, unnamed);
    if (gid !== undefined) chownSync(unnamed, -1, gid);
    renameSync(unnamed, path);
  } catch (error) {
    server.close();
    rmSync(unnamed, { force: true });
    throw new ConfigError(`cannot listen on ${path}: ${(error as Error).message}`, {
      cause: error,
    });
  }
  const { ino } = lstatSync(path);
  return () => {
    if (lstatSync(path, { throwIfNoEntry: false })?.ino === ino) rmSync(path, { force: true });
  };
}

/** Binding happens within `server.listen`, so the umask of the process is another for that call only. */
function bind(server: Server, path: string): Promise<void> {
  rmSync(path, { force: true });
  return new Promise((done, fail) => {
    server.once('error', fail);
    const before = process.umask(MAY_NOT);
    try {
      server.listen(path, () => {
        server.off('error', fail);
        done();
      });
    } finally {
      process.umask(before);
    }
  });
}

async function clear(path: string): Promise<void> {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
    const found = lstatSync(path, { throwIfNoEntry: false });
    if (found === undefined) return;
    if (!found.isSocket())
      throw new ConfigError(`${path} is in the way and is no socket; remove it`);
    if (await answers(path))
      throw new ConfigError(
        `a control server answers at ${path} already; end that one first, or choose another --socket`,
      );
    rmSync(path, { force: true });
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    throw new ConfigError(`cannot use ${path}: ${(error as Error).message}`, { cause: error });
  }
}

function answers(path: string): Promise<boolean> {
  return new Promise((done, fail) => {
    const socket = connect(path, () => {
      socket.destroy();
      done(true);
    });
    socket.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED' || error.code === 'ENOENT') done(false);
      // A full backlog is a living process.
      else if (error.code === 'EAGAIN') done(true);
      else fail(error);
    });
  });
}
