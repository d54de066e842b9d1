/**
 * The network port by Node's own sockets. Routing is the kernel's: a resolver inside the mesh is reached
 * through the tunnel and one outside it is not, as for any program.
 */

import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { connect, createServer, type Socket } from 'node:net';
import { formatIp, IPV4_BYTES, parseIp } from '../../base/ip.ts';
import type { ResolverAddress } from '../../protocol/dns/resolver-address.ts';
import type { Closable, NamesNetwork, Wire, WireEvents } from './ports.ts';

/** A reader that does not read is no reader. */
const MAX_UNSENT_BYTES: number = 256 * 1024;

export const nodeNetwork: NamesNetwork = {
  listenUdp: async (address, port, heard) => {
    const socket = udpSocket(address);
    await new Promise<void>((resolve, reject) => {
      socket.once('error', reject);
      socket.bind({ address: formatIp(address), port, exclusive: true }, resolve);
    }).catch((error) => {
      socket.close();
      throw error;
    });
    socket.removeAllListeners('error');
    // A datagram that could not go to one asker is no reason to stop for the others.
    socket.on('error', () => {});
    socket.on('message', (message, { address: from, port: back }) =>
      heard(message, ipOf(from), (reply) => socket.send(reply, back, from, () => {})),
    );
    return closeOnce(() => socket.close());
  },

  listenTcp: async (address, port, accept) => {
    const sockets = new Set<Socket>();
    const server = createServer({ allowHalfOpen: false, noDelay: true }, (socket) => {
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
      const events = accept(wireOf(socket), ipOf(socket.remoteAddress ?? '0.0.0.0'));
      listenTo(socket, events);
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ host: formatIp(address), port, exclusive: true, ipv6Only: true }, resolve);
    });
    server.removeAllListeners('error');
    server.on('error', () => {});
    return closeOnce(() => {
      server.close();
      for (const socket of sockets) socket.destroy();
    });
  },

  askUdp: (to, events) => {
    const socket = udpSocket(to.address);
    let state: 'connecting' | 'open' | 'closed' = 'connecting';
    const waiting: Uint8Array[] = [];
    const close = (): boolean => {
      if (state === 'closed') return false;
      state = 'closed';
      socket.close();
      return true;
    };
    const send = (bytes: Uint8Array): void => socket.send(bytes, () => {});
    socket.on('error', () => {
      if (close()) events.closed();
    });
    socket.on('message', (message) => {
      if (state !== 'closed') events.heard(message);
    });
    socket.once('connect', () => {
      if (state === 'closed') return;
      state = 'open';
      for (const bytes of waiting.splice(0)) send(bytes);
    });
    socket.connect(to.port, hostOf(to));
    return {
      send: (bytes) => {
        if (state === 'connecting') waiting.push(bytes);
        else if (state === 'open') send(bytes);
      },
      close: () => void close(),
    };
  },

  askTcp: (to, events) => {
    const socket = connect({ host: hostOf(to), port: to.port, noDelay: true });
    listenTo(socket, events);
    return wireOf(socket);
  },
};

function udpSocket(address: Uint8Array): UdpSocket {
  return address.length === IPV4_BYTES
    ? createSocket({ type: 'udp4' })
    : createSocket({ type: 'udp6', ipv6Only: true });
}

function listenTo(socket: Socket, events: WireEvents): void {
  socket.on('data', (bytes: Buffer) => events.heard(bytes));
  socket.on('error', () => socket.destroy());
  socket.once('close', () => events.closed());
}

function wireOf(socket: Socket): Wire {
  return {
    send: (bytes) => {
      if (socket.destroyed) return;
      socket.write(bytes);
      if (socket.writableLength > MAX_UNSENT_BYTES) socket.destroy();
    },
    close: () => socket.destroy(),
  };
}

function closeOnce(close: () => void): Closable {
  let open = true;
  return {
    close: () => {
      if (open) close();
      open = false;
    },
  };
}

function hostOf({ address, zone }: ResolverAddress): string {
  return formatIp(address) + (zone === undefined ? '' : `%${zone}`);
}

function ipOf(text: string): Uint8Array {
  return parseIp(text.split('%', 1)[0] ?? '') ?? new Uint8Array(IPV4_BYTES);
}
