/**
 * One node on one state folder. The kernel holds the lock and lets it go with the process, however that ends; it
 * needs no writable disk.
 *
 *     an abstract unix socket, named by device and inode of the folder   one of a network namespace, with no race
 *     the file `lock`: pid, start of that process                         others, in namespaces of their own
 *
 * Two that start in one moment in two network namespaces are not kept apart; nobody does that by mistake.
 *
 * Source: unix(7), abstract sockets; proc(5), field 22 of stat.
 */

import { mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import type { Server } from 'node:net';
import { createServer } from 'node:net';
import { ConfigError } from '../../base/errors.ts';

/** @returns lets it go. @throws ConfigError where another process has it */
export async function lockFolder(folder: string): Promise<() => void> {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw new ConfigError(`state folder ${folder}: ${(error as Error).message}`, { cause: error });
  }
  const { dev, ino } = statSync(folder);
  const server = createServer((socket) => socket.destroy());
  if (!(await isBound(server, `\0postern-node-${dev}-${ino}`))) throw taken(folder, '');
  const file = `${folder}/lock`;
  const holder = read(file);
  if (holder !== undefined && holder !== described(process.pid) && isAlive(holder)) {
    server.close();
    throw taken(folder, ` (process ${holder.split(' ')[0]})`);
  }
  try {
    writeFileSync(file, described(process.pid) ?? '', { mode: 0o600 });
  } catch {
    // A disk that cannot be written to is said by whoever keeps something on it.
  }
  server.unref();
  return () => {
    server.close();
    if (read(file) === described(process.pid)) rmSync(file, { force: true });
  };
}

const taken = (folder: string, who: string): ConfigError =>
  new ConfigError(
    `another postern node${who} uses the state folder ${folder}; stop it, or choose another with --state`,
  );

function isBound(server: Server, name: string): Promise<boolean> {
  const { promise, resolve, reject } = Promise.withResolvers<boolean>();
  server.once('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EADDRINUSE') resolve(false);
    else reject(error);
  });
  server.listen(name, () => resolve(true));
  return promise;
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8').slice(0, 64);
  } catch {
    return undefined;
  }
}

const isAlive = (holder: string): boolean => described(Number(holder.split(' ')[0])) === holder;

/** `pid start`; undefined where there is no such process. A pid is given anew, a pid and its start are not. */
function described(pid: number): string | undefined {
  const stat = Number.isInteger(pid) && pid > 0 ? read0(`/proc/${pid}/stat`) : undefined;
  // The name of the program, in brackets, may hold anything.
  const start = stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  return start === undefined ? undefined : `${pid} ${start}`;
}

function read0(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return undefined;
  }
}
