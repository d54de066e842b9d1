/**
 * The UAPI socket of one interface: /var/run/wireguard/<interface>.sock, where wg(8) looks for it.
 *
 * Only its user may ever open it (store/socket-place.ts): whoever speaks here reads the private key. A client
 * gets 30 s for a request and for taking its answer; the next request is looked at when the answer before it is
 * on its way, so memory for a client is one request and one answer. The tunnel device is made before this socket,
 * and only one process can own that, which settles who may replace a stale socket.
 */

import { readFileSync, watch } from 'node:fs';
import type { Socket } from 'node:net';
import { createServer } from 'node:net';
import { constants } from 'node:os';
import { dirname } from 'node:path';
import type { Env } from '../../base/env.ts';
import { ConfigError } from '../../base/errors.ts';
import type { NodePrivate, NodePublic } from '../../base/keys.ts';
import { after, seconds } from '../../base/time.ts';
import type { InterfaceReport } from '../../protocol/localapi/status.ts';
import { writeStatusAnswer } from '../../protocol/localapi/status.ts';
import { listenAt } from '../../store/socket-place.ts';
import type { ConfigurableInterface, InterfaceChange } from '../tunnel/configuration.ts';
import { formatErrno, formatStatus } from './answers.ts';
import type { Refusal, Request } from './protocol.ts';
import { ERRNO, RequestReader, withoutPeer } from './protocol.ts';

/** Compiled into wg(8). */
export const UAPI_FOLDER = '/var/run/wireguard';

const MAX_CLIENTS = 32;
const CLIENT_PATIENCE = seconds(30);
/** Peers in one client's changes from which on memory is given back after it: 1,000 leave some 4 MB. */
const MANY_PEERS = 256;
/** What wireguard-go answers where it has no better number (ENOANO). */
const UNKNOWN_ERRNO = -55;

export interface UapiPorts {
  /** The interface's name, already checked. */
  readonly name: string;
  /** UAPI_FOLDER, but in tests. */
  readonly folder: string;
  readonly target: ConfigurableInterface;
  /** For `get=status`. */
  report(): Promise<InterfaceReport>;
  publicKeyOf(key: NodePrivate): NodePublic;
  /** Called when a client has gone that named many peers: what it said is garbage now. */
  releaseMemory(): void;
  readonly env: Env;
}

export interface UapiServer {
  readonly path: string;
  /** Resolves when somebody else removes the socket, which asks the interface to end (as with wireguard-go). */
  readonly removed: Promise<void>;
  /** Ends every connection and removes the socket. */
  close(): Promise<void>;
}

/** @throws ConfigError where the place is taken or cannot be had */
export async function openUapi(ports: UapiPorts): Promise<UapiServer> {
  const path = `${ports.folder}/${ports.name}.sock`;
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
  const place = await listenAt(server, {
    path,
    mode: 0o600,
    taken: `interface ${ports.name} is already served by another process (${path}); end that one first`,
  });
  server.on('error', (error) =>
    ports.env.log.error('uapi: cannot accept', { error: error.message }),
  );
  const watched = watchFolder(path, () => place.isOurs(), ports);
  return {
    path,
    removed: watched.removed,
    close: () =>
      new Promise((done) => {
        watched.close();
        place.remove();
        server.close(() => done());
        for (const socket of clients) socket.destroy();
      }),
  };
}

/** The folder is watched, not the socket: one that is bound keeps its inode, and with it its silence. */
function watchFolder(
  path: string,
  isOurs: () => boolean,
  { name, env }: UapiPorts,
): { readonly removed: Promise<void>; close(): void } {
  const { promise: removed, resolve } = Promise.withResolvers<void>();
  const lost = (error: unknown): void =>
    env.log.warn('uapi: cannot watch the socket; removing it does not end the interface', {
      interface: name,
      error: (error as Error).message,
    });
  try {
    const watcher = watch(dirname(path), { persistent: false }, () => {
      if (!isOurs()) resolve();
    });
    watcher.on('error', lost);
    return { removed, close: () => watcher.close() };
  } catch (error) {
    lost(error);
    return { removed, close: () => {} };
  }
}

function serve(socket: Socket, ports: UapiPorts): void {
  const { env } = ports;
  const reader = new RequestReader(interfaceIndex);
  let answering = false;
  let peersNamed = 0;
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
      socket.end(refusal(request, ports), () => socket.destroy());
    else {
      answering = true;
      socket.pause();
      if (request.type === 'set') peersNamed += request.change.peers.length;
      void answer(request, ports).then((text) => socket.write(text, answered));
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
  socket.once('close', () => {
    cancelDeadline?.();
    if (peersNamed >= MANY_PEERS) ports.releaseMemory();
  });
}

/** Never rejects. */
async function answer(request: Request, ports: UapiPorts): Promise<string> {
  try {
    switch (request.type) {
      case 'get':
        return formatStatus(ports.target.status()) + formatErrno(0);
      case 'get status':
        return writeStatusAnswer(await ports.report());
      case 'set':
        ports.target.configure(withoutSelf(request.change, ports));
        return formatErrno(0);
      case 'refused':
        return refusal(request, ports);
    }
  } catch (error) {
    return formatErrno(refuse(error, ports));
  }
}

function refusal({ reason, errno }: Refusal, ports: UapiPorts): string {
  ports.env.log.warn('uapi: request refused', { interface: ports.name, reason });
  return formatErrno(errno);
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
