/**
 * The way to a coordination server, up to the point where HTTP/2 may begin.
 *
 *     fetchServerKey   GET /key?v=      TLS verified: this answer is what all trust in the server hangs on
 *     connectControl   POST /ts2021 ──101──> Noise ──> RecordStream
 *
 *     http://…   stays http, as its user wrote it        https://…   TLS at once
 *
 * At the upgrade a certificate is not looked at: the server proves itself by the key that `/key` gave, and a clock
 * that is years off must not keep a board without one from joining.
 *
 * Source: reference/protocol.md 1.1 to 1.5.
 */

import type { IncomingMessage } from 'node:http';
import { request } from 'node:http';
import type { Socket } from 'node:net';
import { isIP } from 'node:net';
import { connect as connectTls, getCACertificates } from 'node:tls';
import { collect, concat, plainBytes, toBase64 } from '../../base/bytes.ts';
import { NetError } from '../../base/errors.ts';
import { millis } from '../../base/time.ts';
import type { OwnKey, PeerKey } from '../../crypto/x25519.ts';
import { peerKey } from '../../crypto/x25519.ts';
import { OWN_CAPABILITY } from '../../protocol/tailcfg/capver.ts';
import { isNoKey, parseMachinePublic } from '../../protocol/tailcfg/keys.ts';
import type { Channel, PendingInitiation } from '../../protocol/tailcfg/ts2021.ts';
import { consumeResponse, createInitiation } from '../../protocol/tailcfg/ts2021.ts';
import { orAborted, within } from './deadline.ts';
import type { ControlPorts } from './ports.ts';
import { RecordStream } from './record-stream.ts';

const PATIENCE = millis(15_000);
const MAX_KEY_BYTES = 64 * 1024;
/** Of an answer that refuses; a person reads it. */
const MAX_REFUSAL_BYTES = 1024;
/** A response and the records that came with it. */
const MAX_HANDSHAKE_BYTES = 64 * 1024;

/** @throws NetError where there is no server, no trusted certificate, or no key */
export function fetchServerKey(
  ports: ControlPorts,
  url: URL,
  signal: AbortSignal,
): Promise<PeerKey> {
  return within(ports.env, PATIENCE, `${url.origin}/key`, signal, async (signal) => {
    const socket = await open(ports, url, true, signal);
    try {
      const asked = request({
        createConnection: () => socket,
        path: `/key?v=${OWN_CAPABILITY}`,
        headers: { Host: url.host, Connection: 'close' },
        signal,
      });
      const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
      asked.on('response', resolve);
      asked.on('error', reject);
      asked.end();
      const answer = await promise;
      const body = await bodyOf(answer, MAX_KEY_BYTES);
      if (answer.statusCode !== 200) throw new NetError(`${url.origin}/key: ${answer.statusCode}`);
      return keyIn(url, body);
    } catch (error) {
      throw asNetError(`${url.origin}/key`, error);
    } finally {
      socket.destroy();
    }
  });
}

/** @throws NetError where the server refuses, or is not the one whose key this is */
export function connectControl(
  ports: ControlPorts,
  url: URL,
  machine: OwnKey,
  server: PeerKey,
  heard: () => void,
  signal: AbortSignal,
): Promise<RecordStream> {
  return within(ports.env, PATIENCE, `${url.origin}/ts2021`, signal, async (signal) => {
    const ephemeral = ports.env.random(32);
    const pending = createInitiation(machine, server, OWN_CAPABILITY, ephemeral);
    if (pending === undefined) throw new NetError(`${url.origin}: its key is of low order`);
    const socket = await open(ports, url, false, signal);
    try {
      const head = await upgrade(socket, url, pending, signal);
      const { channel, rest } = await shakeHands(socket, pending, head, signal);
      return new RecordStream(socket, channel, rest, heard);
    } catch (error) {
      socket.destroy();
      pending.wipe();
      throw asNetError(`${url.origin}/ts2021`, error);
    }
  });
}

async function open(
  ports: ControlPorts,
  url: URL,
  verified: boolean,
  signal: AbortSignal,
): Promise<Socket> {
  const host = url.hostname.replace(/^\[|\]$/g, '');
  const secure = url.protocol === 'https:';
  const port = Number(url.port) || (secure ? 443 : 80);
  let plain: Socket;
  try {
    const dialled = Promise.resolve(ports.dial(host, port, signal));
    plain = await orAborted(dialled, signal, (late) => late.destroy());
  } catch (error) {
    throw asNetError(`${host}:${port}`, error);
  }
  plain.on('error', () => {});
  plain.setNoDelay(true);
  if (!secure) return plain;
  return secured(ports, plain, host, verified, signal);
}

async function secured(
  ports: ControlPorts,
  plain: Socket,
  host: string,
  verified: boolean,
  signal: AbortSignal,
): Promise<Socket> {
  const socket = connectTls({
    socket: plain,
    host,
    ...(isIP(host) === 0 && { servername: host }),
    rejectUnauthorized: verified,
    ALPNProtocols: ['http/1.1'],
    ...(verified && {
      ca: [
        ...getCACertificates('default'),
        ...getCACertificates('system'),
        ...(ports.trusted ?? []),
      ],
    }),
  });
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  socket.once('secureConnect', resolve);
  socket.on('error', reject);
  socket.once('close', () => reject(new NetError('the connection was closed within TLS')));
  try {
    await orAborted(promise, signal);
  } catch (error) {
    socket.destroy();
    throw asNetError(host, error);
  }
  return socket;
}

/** @returns what came behind the answer's head */
async function upgrade(
  socket: Socket,
  url: URL,
  pending: PendingInitiation,
  signal: AbortSignal,
): Promise<Uint8Array> {
  const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
  const asked = request({
    createConnection: () => socket,
    method: 'POST',
    path: '/ts2021',
    headers: {
      Host: url.host,
      Upgrade: 'tailscale-control-protocol',
      Connection: 'upgrade',
      'X-Tailscale-Handshake': toBase64(pending.message),
      'Content-Length': 0,
    },
  });
  asked.on('upgrade', (_answer, _socket, head: Buffer) => resolve(plainBytes(head)));
  asked.on('response', (answer) => {
    void bodyOf(answer, MAX_REFUSAL_BYTES).then(
      (body) => reject(new NetError(`${answer.statusCode} ${printable(body)}`.trim())),
      reject,
    );
  });
  asked.on('error', reject);
  asked.end();
  return orAborted(promise, signal);
}

async function shakeHands(
  socket: Socket,
  pending: PendingInitiation,
  head: Uint8Array,
  signal: AbortSignal,
): Promise<{ readonly channel: Channel; readonly rest: Uint8Array }> {
  let received = head;
  const { promise, resolve, reject } = Promise.withResolvers<{
    channel: Channel;
    rest: Uint8Array;
  }>();
  const look = (): void => {
    const answer = consumeResponse(pending, received);
    if (typeof answer === 'string') reject(new NetError(answer));
    else if (answer.type === 'error') reject(new NetError(`refused: ${answer.text}`));
    else if (answer.type === 'channel') resolve({ channel: answer.channel, rest: answer.rest });
    else if (received.length > MAX_HANDSHAKE_BYTES) reject(new NetError('no end of a response'));
  };
  const take = (bytes: Buffer): void => {
    received = concat(received, bytes);
    look();
  };
  const over = (): void => reject(new NetError('the server ended the connection'));
  socket.on('data', take);
  socket.on('close', over);
  look();
  socket.resume();
  try {
    return await orAborted(promise, signal);
  } finally {
    // Whatever comes from here on is for the record stream.
    socket.pause();
    socket.off('data', take);
    socket.off('close', over);
  }
}

async function bodyOf(answer: IncomingMessage, most: number): Promise<Uint8Array> {
  const body = await collect(answer, most);
  if (body === undefined) throw new NetError(`an answer of more than ${most} bytes`);
  return body;
}

function keyIn(url: URL, body: Uint8Array): PeerKey {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder().decode(body));
  } catch {
    throw new NetError(`${url.origin}/key: no JSON; is this a coordination server?`);
  }
  const text = (value as { publicKey?: unknown } | null)?.publicKey;
  const key = typeof text === 'string' && !isNoKey(text) ? parseMachinePublic(text) : undefined;
  if (key === undefined)
    throw new NetError(`${url.origin}/key: no key in the answer; is this a coordination server?`);
  return peerKey(key);
}

export function asNetError(what: string, error: unknown): NetError {
  if (error instanceof NetError) return error;
  const { message } = error as Error;
  return new NetError(`${what}: ${message}`, { cause: error });
}

/** Somebody else's text for a terminal: control characters become spaces. */
export const printable = (bytes: Uint8Array): string =>
  new TextDecoder()
    .decode(bytes)
    .replace(/\p{Cc}+/gu, ' ')
    .trim();
