/**
 * The way to one relay node: an address, TCP, TLS 1.3, a certificate that has been judged.
 *
 *     IPv4, IPv6    a literal: dialled as it stands. "none": not this family. absent: HostName is looked up
 *     DERPPort      0 or absent: 443
 *
 * Literals alone are tried first where there are any: a relay on the board must be reached while nothing answers
 * a question about names. Ten seconds for all of it.
 */

import type { Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { connect as connectTls, getCACertificates } from 'node:tls';
import { ConfigError, NetError } from '../../base/errors.ts';
import { IPV4_BYTES, IPV6_BYTES, parseIp } from '../../base/ip.ts';
import type { UnixMillis } from '../../base/time.ts';
import { unixMillis } from '../../base/time.ts';
import type { DERPNode } from '../../protocol/tailcfg/types.ts';
import type { Judge } from './certificate.ts';
import { checkPin, handshakeError, judgeOf, serverName } from './certificate.ts';
import { race } from './race.ts';

const DEADLINE_MS = 10_000;
const HTTPS_PORT = 443;
const MAX_ADDRESSES = 8;

/** AES-128 first, as the relay of ours chooses: 1.3 times as fast as the AES-256 that OpenSSL would put there. */
const CIPHERS = 'TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256:TLS_AES_256_GCM_SHA384';

export interface RelayDialPorts {
  /** @param signal the attempt is of no use any more */
  connect(address: Uint8Array, port: number, signal: AbortSignal): Promise<Socket>;
  resolve(host: string): Promise<readonly Uint8Array[]>;
  /** Undefined: the clock is not to be believed. Without this port the system's clock is believed. */
  wallClock?(): UnixMillis | undefined;
}

/**
 * @returns ready for an HTTP request
 * @throws ConfigError where a person must change something, else NetError
 */
export async function dialRelay(node: DERPNode, ports: RelayDialPorts): Promise<TLSSocket> {
  const judge = judgeOf(node);
  const { HostName: host, DERPPort } = node;
  const port = DERPPort || HTTPS_PORT;
  if (port < 1 || port > 65_535)
    throw new ConfigError(`relay ${host}: the map's DERPPort ${port} is no port; correct it there`);
  const overdue = new AbortController();
  const late = new NetError(`relay ${host} does not answer on port ${port}; is it running?`);
  const timer = setTimeout(() => overdue.abort(late), DEADLINE_MS);
  try {
    const socket = await connectAny(node, port, ports, overdue.signal);
    return await secure(node, socket, judge, ports, overdue.signal);
  } finally {
    clearTimeout(timer);
  }
}

async function connectAny(
  node: DERPNode,
  port: number,
  ports: RelayDialPorts,
  signal: AbortSignal,
): Promise<Socket> {
  const connect = (address: Uint8Array, lost: AbortSignal): Promise<Socket> =>
    ports.connect(address, port, lost);
  const { literals, lookUp } = addressesOf(node);
  if (literals.length > 0) {
    try {
      return await race(literals, connect, signal);
    } catch (error) {
      if (lookUp.length === 0 || signal.aborted) throw error;
    }
  }
  if (lookUp.length === 0)
    throw new ConfigError(
      `relay ${node.HostName}: the map says that it has no address; correct IPv4 and IPv6 there`,
    );
  const found = await Promise.race([resolved(node.HostName, ports), aborted(signal)]);
  const usable = found.filter(({ length }) => lookUp.includes(length)).slice(0, MAX_ADDRESSES);
  if (usable.length === 0)
    throw new NetError(
      `relay ${node.HostName}: the name has no address; check it and the resolver`,
    );
  return race(alternating(usable), connect, signal);
}

/** Addresses that the map gives, IPv6 first, and the families (by length) for which a name is to be asked. */
function addressesOf({ IPv4 = '', IPv6 = '', HostName }: DERPNode): {
  readonly literals: readonly Uint8Array[];
  readonly lookUp: readonly number[];
} {
  const literals: Uint8Array[] = [];
  const lookUp: number[] = [];
  const host = parseIp(HostName);
  for (const [text, length] of [
    [IPv6, IPV6_BYTES],
    [IPv4, IPV4_BYTES],
  ] as const) {
    if (text === 'none') continue;
    const literal = parseIp(text);
    if (literal?.length === length) literals.push(literal);
    else if (host?.length === length) literals.push(host);
    else if (host === undefined) lookUp.push(length);
  }
  return { literals, lookUp };
}

/** IPv6 and IPv4 by turns, each in the resolver's order, so that a broken family costs one delay. */
function alternating(addresses: readonly Uint8Array[]): Uint8Array[] {
  const v6 = addresses.filter(({ length }) => length === IPV6_BYTES);
  const v4 = addresses.filter(({ length }) => length === IPV4_BYTES);
  const longer = Math.max(v6.length, v4.length);
  return Array.from({ length: longer }, (_, i) => [v6[i], v4[i]])
    .flat()
    .filter((address) => address !== undefined);
}

async function resolved(host: string, ports: RelayDialPorts): Promise<readonly Uint8Array[]> {
  try {
    return await ports.resolve(host);
  } catch (error) {
    throw new NetError(`relay ${host}: its name cannot be looked up: ${(error as Error).message}`);
  }
}

function secure(
  node: DERPNode,
  socket: Socket,
  judge: Judge,
  ports: RelayDialPorts,
  signal: AbortSignal,
): Promise<TLSSocket> {
  return new Promise((done, fail) => {
    const { HostName: host } = node;
    socket.setNoDelay(true);
    const tls = connectTls({
      socket,
      servername: serverName(judge, node),
      // The name that the certificate must bear, where TLS is told none.
      host: judge.type === 'name' ? judge.name : host,
      ALPNProtocols: ['http/1.1'],
      minVersion: 'TLSv1.3',
      ciphers: CIPHERS,
      rejectUnauthorized: judge.type === 'name',
      // An authority that a person has given to the system counts, as it does for the server.
      ...(judge.type === 'name' && {
        ca: [...getCACertificates('default'), ...getCACertificates('system')],
      }),
    });
    const end = (error: Error): void => {
      signal.removeEventListener('abort', onAbort);
      tls.off('error', onError).on('error', () => {});
      tls.destroy();
      socket.destroy();
      fail(error);
    };
    const onAbort = (): void => end(signal.reason);
    const onError = (error: Error): void => end(handshakeError(host, error));
    const onClose = (): void => end(new NetError(`relay ${host} has closed the connection`));
    signal.addEventListener('abort', onAbort);
    tls.on('error', onError);
    tls.on('close', onClose);
    tls.once('secureConnect', () => {
      try {
        const wall = ports.wallClock === undefined ? unixMillis(Date.now()) : ports.wallClock();
        if (judge.type === 'pin') checkPin(tls.getPeerX509Certificate(), judge.sha256, host, wall);
      } catch (error) {
        end(error as Error);
        return;
      }
      signal.removeEventListener('abort', onAbort);
      tls.off('error', onError).off('close', onClose);
      done(tls);
    });
  });
}

function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, fail) => {
    signal.addEventListener('abort', () => fail(signal.reason));
    if (signal.aborted) fail(signal.reason);
  });
}
