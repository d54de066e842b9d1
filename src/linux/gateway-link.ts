/**
 * How the gateway alone is spoken with: by datagrams, and by HTTP.
 *
 *     UDP     one socket, connected to the port that was asked last: to everybody else its port is closed, and
 *             before the first question there is none
 *     HTTP    a connection for each question, marked as the program's own; no redirect is followed, and no more
 *             of an answer is read than was wished for
 *
 * Source: udp(7), connect(2); RFC 9112.
 */

import { createSocket } from 'node:dgram';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:http';
import { collect } from '../base/bytes.ts';
import type { Endpoint } from '../base/endpoint.ts';
import { formatEndpoint } from '../base/endpoint.ts';
import { NetError } from '../base/errors.ts';
import { formatIp } from '../base/ip.ts';
import { dialTcp } from './dial.ts';
import type { Native } from './ffi.ts';

export interface HttpQuestion {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Empty: none. */
  readonly body: string;
  readonly maxBytes: number;
}

export interface HttpAnswer {
  readonly status: number;
  /** undefined: longer than `maxBytes`. */
  readonly body: Uint8Array | undefined;
}

export interface GatewayLink {
  send(to: Endpoint, datagram: Uint8Array): void;
  /** @throws NetError (rejects) without an answer, or when `signal` says so */
  ask(to: Endpoint, question: HttpQuestion, signal: AbortSignal): Promise<HttpAnswer>;
  close(): void;
}

interface Open {
  readonly to: string;
  readonly socket: ReturnType<typeof createSocket>;
  /** Until it is connected. */
  waiting: Uint8Array[] | null;
}

/** @param mark of connections, 0 for none */
export function openGateway(
  native: Native,
  mark: number,
  heard: (datagram: Uint8Array, from: Endpoint) => void,
): GatewayLink {
  let open: Open | undefined;
  const close = (): void => {
    open?.socket.close();
    open = undefined;
  };
  const begin = (to: Endpoint, name: string): Open => {
    close();
    const socket = createSocket('udp4');
    const begun: Open = { to: name, socket, waiting: [] };
    socket.on('error', () => {});
    socket.on('message', (bytes) => heard(bytes, to));
    socket.unref();
    socket.connect(to.port, formatIp(to.address), (error?: Error) => {
      // Its end may come first; and where the network has just gone, the next datagram begins anew.
      if (open !== begun) return;
      if (error !== undefined) return close();
      for (const datagram of begun.waiting ?? []) socket.send(datagram, () => {});
      begun.waiting = null;
    });
    return begun;
  };
  return {
    send: (to, datagram) => {
      const name = formatEndpoint(to);
      if (open?.to !== name) open = begin(to, name);
      if (open.waiting === null) open.socket.send(datagram, () => {});
      else open.waiting.push(datagram);
    },
    ask: (to, question, signal) => askByHttp(native, mark, to, question, signal),
    close,
  };
}

async function askByHttp(
  native: Native,
  mark: number,
  to: Endpoint,
  { method, path, headers, body, maxBytes }: HttpQuestion,
  signal: AbortSignal,
): Promise<HttpAnswer> {
  const socket = await dialTcp(native, to.address, to.port, mark, signal);
  socket.on('error', () => {});
  try {
    const asked = request({
      createConnection: () => socket,
      method,
      path,
      headers: {
        Host: formatEndpoint(to),
        Connection: 'close',
        ...(body === '' ? {} : { 'Content-Length': Buffer.byteLength(body) }),
        ...headers,
      },
      signal,
    });
    const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
    asked.on('response', resolve);
    asked.on('error', reject);
    asked.end(body);
    const answer = await promise;
    return { status: answer.statusCode ?? 0, body: await collect(answer, maxBytes) };
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new NetError(`${formatEndpoint(to)} gives no answer: ${reason}`);
  } finally {
    socket.destroy();
  }
}
