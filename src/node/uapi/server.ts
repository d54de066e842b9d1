/**
 * The UAPI socket of one interface: /var/run/wireguard/<interface>.sock, where wg(8) looks for it.
 *
 *     nothing there, or left by a dead process --bind--> open --close--> removed
 *     a process answers there                  --------> ConfigError
 *
 * The socket is made under umask 0177, so that there is no moment when another user could open it: whoever
 * speaks here reads the private key. A client gets 30 s for a request and for taking its answer; the next
 * request is looked at when the answer before it is on its way, so memory for a client is one request and
 * one answer. The tunnel device is made before this socket, and only one process can own that, which
 * settles who may replace a stale socket.
 */

import { lstatSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import type { Server, Socket } from 'node:net';
import { connect, createServer } from 'node:net';
import { constants } from 'node:os';
import { dirname } from 'node:path';
import type { Env } from '../../base/env.ts';
import { ConfigError } from '../../base/errors.ts';
import type { NodePrivate, NodePublic } from '../../base/keys.ts';
import { after, seconds } from '../../base/time.ts';
import type { ConfigurableInterface, InterfaceChange } from '../tunnel/configuration.ts';
import type { Request } from './protocol.ts';
import { ERRNO, formatErrno, formatStatus, RequestReader, withoutPeer } from './protocol.ts';

/** Compiled into wg(8). */
export const UAPI_FOLDER = '/var/run/wireguard';

const MAX_CLIENTS = 32;
const CLIENT_PATIENCE = seconds(30);
/** What wireguard-go answers where it has no better number (ENOANO). */
const UNKNOWN_ERRNO = -55;

export interface UapiPorts {
  /** The interface's name, already checked. */
  readonly name: string;
  /** UAPI_FOLDER, but in tests. */
  readonly folder: string;
  readonly target: ConfigurableInterface;
  publicKeyOf(key: NodePrivate): NodePublic;
  readonly env: Env;
}

export interface UapiServer {
  readonly path: string;
  /** Ends every connection and removes the socket. */
  close(): Promise<void>;
}

/** @throws ConfigError where the place is taken or cannot be had */
export async function openUapi(ports: UapiPorts): Promise<UapiServer> {
  const path = `${ports.folder}/${ports.name}.sock`;
  await clearStale(path, ports.name);
  const clients = new Set<Socket>();
  const server = createServer((socket) => {
    if (clients.size >= MAX_CLIENTS) {
      ports.env.log.warn('uapi: too many clients', { interface: ports.name, most: MAX_CLIENTS });
      socket.destroy();
      return;
    }
    clients.add(socket);
    socket.once('close', () => clients.delete(socket));
    serve(socket, ports);
  });
  await listen(server, path);
  server.on('error', (error) =>
    ports.env.log.error('uapi: cannot accept', { error: error.message }),
  );
  return {
    path,
    close: () =>
      new Promise((done) => {
        server.close(() => done());
        for (const socket of clients) socket.destroy();
      }),
  };
}

/** Binding happens within `server.listen`, so the umask of the process is other for that call only. */
function listen(server: Server, path: string): Promise<void> {
  return new Promise((done, fail) => {
    server.once('error', (error) =>
      fail(new ConfigError(`cannot listen on ${path}: ${error.message}`, { cause: error })),
    );
    const before = process.umask(0o177);
    try {
      server.listen(path, () => {
        server.removeAllListeners('error');
        done();
      });
    } finally {
      process.umask(before);
    }
  });
}

/** Makes the folder, and room in it: a socket that nobody answers on is removed. */
async function clearStale(path: string, name: string): Promise<void> {
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o755 });
    const found = lstatSync(path, { throwIfNoEntry: false });
    if (found === undefined) return;
    if (!found.isSocket())
      throw new ConfigError(`${path} is in the way and is no socket; remove it`);
    if (await answers(path))
      throw new ConfigError(
        `interface ${name} is already served by another process (${path}); end that one first`,
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

function serve(socket: Socket, ports: UapiPorts): void {
  const { env } = ports;
  const reader = new RequestReader(interfaceIndex);
  let answering = false;
  let cancelDeadline: (() => void) | undefined;
  const watch = (): void => {
    if (!answering && !reader.partial) return;
    cancelDeadline ??= env.setTimer(after(env.now(), CLIENT_PATIENCE), () => {
      env.log.warn('uapi: client too slow', { interface: ports.name });
      socket.destroy();
    });
  };
  const answered = (): void => {
    answering = false;
    cancelDeadline?.();
    cancelDeadline = undefined;
    work();
  };
  const work = (): void => {
    if (answering || !socket.writable) return;
    const request = reader.next();
    if (request === undefined) socket.resume();
    else if (request.type === 'refused' && request.close)
      socket.end(answer(request, ports), () => socket.destroy());
    else {
      answering = true;
      socket.pause();
      socket.write(answer(request, ports), answered);
    }
    watch();
  };
  socket.on('data', (chunk: Buffer) => {
    reader.push(chunk);
    work();
  });
  socket.on('error', (error) =>
    env.log.debug('uapi: connection broke', { interface: ports.name, error: error.message }),
  );
  socket.once('close', () => cancelDeadline?.());
}

function answer(request: Request, ports: UapiPorts): string {
  switch (request.type) {
    case 'get':
      try {
        return formatStatus(ports.target.status()) + formatErrno(0);
      } catch (error) {
        return formatErrno(refuse(error, ports));
      }
    case 'set':
      try {
        ports.target.configure(withoutSelf(request.change, ports));
        return formatErrno(0);
      } catch (error) {
        return formatErrno(refuse(error, ports));
      }
    case 'refused':
      ports.env.log.warn('uapi: request refused', {
        interface: ports.name,
        reason: request.reason,
      });
      return formatErrno(request.errno);
  }
}

function withoutSelf(change: InterfaceChange, ports: UapiPorts): InterfaceChange {
  if (change.peers.length === 0) return change;
  const key =
    change.privateKey === undefined ? ports.target.status().privateKey : change.privateKey;
  return key === null ? change : withoutPeer(change, ports.publicKeyOf(key));
}

/** The errno to answer for a failed operation: of its `code`, or of its kind. */
function refuse(error: unknown, ports: UapiPorts): number {
  const { message, code } = error as { message?: string; code?: string };
  ports.env.log.error('uapi: request failed', {
    interface: ports.name,
    error: message ?? String(error),
  });
  const number = constants.errno[code as keyof typeof constants.errno];
  if (number !== undefined) return -number;
  return error instanceof ConfigError ? ERRNO.invalid : UNKNOWN_ERRNO;
}

function interfaceIndex(name: string): number | undefined {
  if (!/^[^/\s]{1,15}$/.test(name) || name === '.' || name === '..') return undefined;
  try {
    return Number(readFileSync(`/sys/class/net/${name}/ifindex`, 'utf8'));
  } catch {
    return undefined;
  }
}
