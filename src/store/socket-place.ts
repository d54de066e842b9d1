/**
 * A place in the file system for a socket that only some may open.
 *
 *     nothing there, or left by a dead process --bind, group, rename--> listening --remove--> nothing
 *     a process answers there, or it is no socket --> ConfigError
 *
 * It is bound under another name, with its mode from the first moment on (umask), and gets its own name when
 * group and backlog are there: nobody finds it half made. wg(8) deletes a socket that refuses it, as one does
 * between bind and listen (of 1,200 made so beside `wg show` in a loop, 6 were lost).
 *
 * Whoever calls this has what only one process can have, the tunnel's device or the store's file: no two do it at once.
 */

import { chownSync, lstatSync, mkdirSync, renameSync, rmSync } from 'node:fs';
import type { Server } from 'node:net';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { ConfigError } from '../base/errors.ts';
import { socketPathFault } from '../base/socket-path.ts';

export interface SocketPlace {
  readonly path: string;
  /** 0600: its user alone; 0660: its group too; 0666: everybody, where who asks is judged by the kernel's word. */
  readonly mode: 0o600 | 0o660 | 0o666;
  /** The group; undefined: the process's own. */
  readonly gid?: number | undefined;
  /** What is said where a living process answers there. */
  readonly taken: string;
}

export interface PlacedSocket {
  /** Nobody has removed or replaced it. */
  isOurs(): boolean;
  /** Removes it, where it is still ours. */
  remove(): void;
}

/** @throws ConfigError where the place is taken or cannot be had */
export async function listenAt(server: Server, place: SocketPlace): Promise<PlacedSocket> {
  const { path, mode, gid } = place;
  const fault = socketPathFault(path);
  if (fault !== undefined) throw new ConfigError(fault);
  await clear(place);
  // One that is there is left of a start that was killed.
  const unnamed = `${path}.new`;
  try {
    await bind(server, unnamed, mode);
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
  const isOurs = (): boolean => lstatSync(path, { throwIfNoEntry: false })?.ino === ino;
  return {
    isOurs,
    remove: () => {
      if (isOurs()) rmSync(path, { force: true });
    },
  };
}

/** Binding happens within `server.listen`, so the umask of the process is another for that call only. */
function bind(server: Server, path: string, mode: number): Promise<void> {
  rmSync(path, { force: true });
  return new Promise((done, fail) => {
    server.once('error', fail);
    const before = process.umask(0o777 & ~mode);
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

/** Makes the folder, and room in it: a socket that nobody answers on is removed. */
async function clear({ path, taken }: SocketPlace): Promise<void> {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
    const found = lstatSync(path, { throwIfNoEntry: false });
    if (found === undefined) return;
    if (!found.isSocket())
      throw new ConfigError(`${path} is in the way and is no socket; remove it`);
    if (await answers(path)) throw new ConfigError(taken);
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
