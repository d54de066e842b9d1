/** STUN over UDP: answers binding requests on each address given. What is none is counted and dropped. */

import type { Socket } from 'node:dgram';
import { createSocket } from 'node:dgram';
import { decodeRequest, encodeAnswer } from '../../protocol/disco/stun.ts';
import type { ListenAddress } from './commands.ts';
import { remoteOf } from './origin.ts';

export interface StunServer {
  readonly addresses: readonly ListenAddress[];
  close(): void;
}

/**
 * @param count called for each datagram, with `answered` or the reason to drop it
 * @throws where an address cannot be bound, with Node's error; none stays open then
 */
export async function serveStun(
  addresses: readonly ListenAddress[],
  count: (what: string) => void,
): Promise<StunServer> {
  const haveIpv4 = addresses.some(({ host }) => !host.includes(':'));
  const sockets: Socket[] = [];
  const close = (): void => {
    for (const socket of sockets) socket.close();
  };
  try {
    for (const { host, port } of addresses) {
      const type = host.includes(':') ? 'udp6' : 'udp4';
      const socket = createSocket({ type, ipv6Only: type === 'udp6' && haveIpv4 });
      sockets.push(socket);
      await new Promise<void>((done, fail) => {
        socket.once('error', fail);
        socket.bind(port, host, () => {
          socket.off('error', fail);
          done();
        });
      });
      socket.on('message', (datagram, { address, port }) =>
        answer(socket, datagram, address, port),
      );
      // An unreachable client is not our business.
      socket.on('error', () => count('stun: socket'));
    }
  } catch (error) {
    close();
    throw error;
  }

  function answer(socket: Socket, datagram: Buffer, address: string, port: number): void {
    const transaction = decodeRequest(datagram);
    if (typeof transaction === 'string') {
      count(transaction);
      return;
    }
    const seenFrom = remoteOf(address, port);
    if (seenFrom === undefined || port === 0) {
      count('stun: malformed');
      return;
    }
    socket.send(encodeAnswer(transaction, seenFrom), port, address, () => {});
    count('answered');
  }

  const bound = sockets.map((socket) => {
    const { address, port } = socket.address();
    return { host: address, port };
  });
  return { addresses: bound, close };
}
