/**
 * The line in front of a connection that the relay's worker passes on: where it came from, and whether TLS
 * was around it.
 *
 *     tls 192.0.2.7:51820\n         tcp [2001:db8::1]:443\n
 *
 * Both ends are ours, and the socket is in a folder of ours. What follows is the connection as the client
 * sent it.
 */

import type { Socket } from 'node:net';
import type { Endpoint } from '../../base/endpoint.ts';
import { formatEndpoint, parseEndpoint } from '../../base/endpoint.ts';
import { IPV6_BYTES, parseIp } from '../../base/ip.ts';

export interface Origin {
  readonly tls: boolean;
  readonly remote: Endpoint;
}

/** The longest line: an IPv6 address with a scope, and a port. */
const MAX_LINE_BYTES = 80;
const NEWLINE = 0x0a;

export function originLine({ tls, remote }: Origin): string {
  return `${tls ? 'tls' : 'tcp'} ${formatEndpoint(remote)}\n`;
}

export function parseOrigin(line: string): Origin | undefined {
  const match = /^(tls|tcp) (\S+)$/.exec(line);
  const remote = parseEndpoint(match?.[2] ?? '');
  return remote && { tls: match?.[1] === 'tls', remote };
}

/**
 * Reads the line off a socket that was just accepted; what is behind it stays on the socket, for an HTTP
 * server to be given. The socket is paused: `server.emit('connection', socket)`, then `socket.resume()`.
 *
 * @returns undefined for a connection that does not begin with such a line; it is destroyed then
 */
export function takeOrigin(socket: Socket): Promise<Origin | undefined> {
  return new Promise((done) => {
    let got: Buffer = Buffer.alloc(0);
    const finish = (origin: Origin | undefined): void => {
      socket.off('data', onData);
      socket.off('close', onClose);
      socket.off('error', onClose);
      if (origin === undefined) socket.destroy();
      done(origin);
    };
    const onClose = (): void => finish(undefined);
    const onData = (piece: Buffer): void => {
      got = got.length === 0 ? piece : Buffer.concat([got, piece]);
      const end = got.indexOf(NEWLINE);
      if (end < 0 && got.length <= MAX_LINE_BYTES) return;
      socket.pause();
      const origin = end < 0 ? undefined : parseOrigin(got.toString('latin1', 0, end));
      if (got.length > end + 1) socket.unshift(got.subarray(end + 1));
      finish(origin);
    };
    socket.on('data', onData);
    socket.on('close', onClose);
    socket.on('error', onClose);
  });
}

/** The other end of a socket; an IPv4 address that IPv6 carries is the IPv4 one. Undefined once it is closed. */
export function remoteOf(
  address: string | undefined,
  port: number | undefined,
): Endpoint | undefined {
  const [text = '', zone] = (address ?? '').split('%');
  const bytes = parseIp(text);
  if (bytes === undefined || port === undefined) return undefined;
  return { address: unmapped(bytes), port, scope: /^\d+$/.test(zone ?? '') ? Number(zone) : 0 };
}

function unmapped(address: Uint8Array): Uint8Array {
  const mapped =
    address.length === IPV6_BYTES &&
    address.subarray(0, 10).every((byte) => byte === 0) &&
    address[10] === 0xff &&
    address[11] === 0xff;
  return mapped ? address.slice(12) : address;
}
