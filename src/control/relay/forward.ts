/**
 * Passes a connection on to the main thread's unix socket: first the line of origin.ts, then the client's
 * bytes, both ways, each side waiting for the other.
 */

import type { Socket } from 'node:net';
import { connect } from 'node:net';
import type { Origin } from './origin.ts';
import { originLine } from './origin.ts';
import { BAD_GATEWAY } from './request.ts';

export interface Forward {
  /** Paused, TLS taken off. */
  readonly socket: Socket;
  readonly path: string;
  readonly origin: Origin;
  /** What has been read of it. */
  readonly first: Buffer;
  connected(reachable: boolean): void;
}

export function forward({ socket, path, origin, first, connected }: Forward): void {
  const behind = connect({ path });
  let joined = false;
  behind.once('connect', () => {
    joined = true;
    connected(true);
    behind.write(originLine(origin));
    behind.write(first);
    socket.pipe(behind);
    behind.pipe(socket);
  });
  behind.on('error', () => {
    if (joined || socket.destroyed) {
      socket.destroy();
      return;
    }
    connected(false);
    socket.end(BAD_GATEWAY, () => socket.destroySoon());
  });
  // A pipe passes an end on, but no break.
  behind.on('close', () => {
    if (joined) socket.destroySoon();
  });
  socket.on('close', () => behind.destroy());
}
