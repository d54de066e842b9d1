/**
 * A machine's end of a connection, for tests: the upgrade and the records by src/protocol/tailcfg, HTTP/2 by
 * Node. What is sent before the upgrade is the caller's, so that it can be wrong.
 *
 *     dial ── "tcp 192.0.2.7:51820\n" ──> the line that the relay's front writes
 *     shake ── POST /ts2021 ──> Machine: request, raw
 */

import { once } from 'node:events';
import type { ClientHttp2Session, IncomingHttpHeaders } from 'node:http2';
import { connect as connectHttp2 } from 'node:http2';
import type { Socket } from 'node:net';
import { connect } from 'node:net';
import { Duplex } from 'node:stream';
import { concat, toBase64, toHex } from '../../../src/base/bytes.ts';
import type { OwnKey } from '../../../src/crypto/x25519.ts';
import { ownKey, peerKey } from '../../../src/crypto/x25519.ts';
import { EarlyReader } from '../../../src/protocol/tailcfg/early-payload.ts';
import type { MachineKeyText, NodeKeyText } from '../../../src/protocol/tailcfg/keys.ts';
import type { Channel } from '../../../src/protocol/tailcfg/ts2021.ts';
import { consumeResponse, createInitiation } from '../../../src/protocol/tailcfg/ts2021.ts';
import { must } from '../../must.ts';
import type { Seeded } from '../../seeded.ts';

export const FROM = '192.0.2.7:51820';

export async function dial(port: number, from: string = FROM): Promise<Socket> {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  socket.on('error', () => {});
  await once(socket, 'connect');
  socket.write(`tcp ${from}\n`);
  return socket;
}

/** All that comes until the other side ends. */
export async function everything(socket: Socket): Promise<string> {
  const parts: Buffer[] = [];
  socket.on('data', (part: Buffer) => parts.push(part));
  if (!socket.closed) await once(socket, 'close');
  return Buffer.concat(parts).toString('latin1');
}

/** One request outside, and its whole answer. */
export async function ask(port: number, request: string, from?: string): Promise<string> {
  const socket = await dial(port, from);
  socket.write(request.replaceAll('\n', '\r\n'));
  return everything(socket);
}

export interface Keys {
  readonly machine: OwnKey;
  readonly machineText: MachineKeyText;
  readonly node: NodeKeyText;
}

export function newKeys(random: Seeded): Keys {
  const machine = ownKey(random.bytes(32));
  return {
    machine,
    machineText: `mkey:${toHex(machine.publicKey)}`,
    node: `nodekey:${toHex(random.bytes(32))}`,
  };
}

export interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
}

export interface ShakeOptions {
  readonly version?: number;
  readonly from?: string;
  /** Sent with the request, where HTTP/2 is not begun. */
  readonly head?: (channel: Channel) => Uint8Array;
}

export class Machine {
  readonly keys: Keys;
  readonly socket: Socket;
  readonly channel: Channel;
  readonly http: ClientHttp2Session;

  constructor(keys: Keys, socket: Socket, channel: Channel, rest: Uint8Array) {
    this.keys = keys;
    this.socket = socket;
    this.channel = channel;
    const records = new ClientRecords(socket, channel, rest);
    records.on('error', () => {});
    this.http = connectHttp2('https://control', { createConnection: () => records });
    this.http.on('error', () => {});
  }

  async post(path: string, body: unknown, method = 'POST'): Promise<Reply> {
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    return this.request({ ':method': method, ':path': path }, text);
  }

  request(headers: Record<string, string | number>, body?: string): Promise<Reply> {
    const stream = this.http.request(headers, { endStream: body === undefined });
    const { promise, resolve, reject } = Promise.withResolvers<Reply>();
    let answer: IncomingHttpHeaders & { ':status'?: number | undefined } = {};
    let text = '';
    stream.setEncoding('utf8');
    stream.on('response', (head) => {
      answer = head;
    });
    stream.on('data', (part: string) => {
      text += part;
    });
    stream.on('error', reject);
    stream.on('close', () => {
      const status = answer[':status'];
      if (status === undefined) reject(new Error('no answer'));
      else resolve({ status, headers: answer, text });
    });
    if (body !== undefined) stream.end(body);
    return promise;
  }

  close(): void {
    this.http.destroy();
    this.socket.destroy();
  }
}

export async function shake(
  port: number,
  serverKey: Uint8Array,
  keys: Keys,
  random: Seeded,
  options: ShakeOptions = {},
): Promise<Machine> {
  const { socket, channel, rest } = await rawShake(port, serverKey, keys, random, options);
  return new Machine(keys, socket, channel, rest);
}

/** The same without HTTP/2. */
export async function rawShake(
  port: number,
  serverKey: Uint8Array,
  keys: Keys,
  random: Seeded,
  { version = 142, from = FROM }: ShakeOptions = {},
): Promise<{ socket: Socket; channel: Channel; rest: Uint8Array }> {
  const pending = must(
    createInitiation(keys.machine, peerKey(serverKey), version, random.bytes(32)),
  );
  const socket = await dial(port, from);
  socket.write(upgradeRequest(toBase64(pending.message)));
  let received: Uint8Array = new Uint8Array(0);
  for (;;) {
    if (socket.readableEnded || socket.closed) throw new Error('the server ended the connection');
    const part = socket.read() as Buffer | null;
    if (part === null) {
      await Promise.race([once(socket, 'readable'), once(socket, 'close')]);
      continue;
    }
    received = concat(received, part);
    const text = Buffer.from(received).toString('latin1');
    const end = text.indexOf('\r\n\r\n');
    if (end < 0) continue;
    if (!text.startsWith('HTTP/1.1 101 ')) throw new Error(text.slice(0, text.indexOf('\r\n')));
    const answer = consumeResponse(pending, received.subarray(end + 4));
    if (typeof answer === 'string' || answer.type === 'error') throw new Error('refused');
    if (answer.type === 'channel')
      return { socket, channel: answer.channel, rest: answer.rest.slice() };
  }
}

export const upgradeRequest = (handshake: string): string =>
  [
    'POST /ts2021 HTTP/1.1',
    'Host: control',
    'Upgrade: tailscale-control-protocol',
    'Connection: upgrade',
    `X-Tailscale-Handshake: ${handshake}`,
    'Content-Length: 0',
    '',
    '',
  ].join('\r\n');

class ClientRecords extends Duplex {
  readonly #socket: Socket;
  readonly #channel: Channel;
  #early: EarlyReader | undefined = new EarlyReader();

  constructor(socket: Socket, channel: Channel, rest: Uint8Array) {
    super();
    this.#socket = socket;
    this.#channel = channel;
    socket.on('data', (bytes: Buffer) => this.#receive(bytes));
    socket.on('close', () => this.destroy());
    if (rest.length > 0) this.#receive(rest);
    socket.resume();
  }

  #receive(bytes: Uint8Array): void {
    const texts = this.#channel.opener.push(bytes);
    if (typeof texts === 'string') throw new Error(texts);
    for (const text of texts) {
      let plain: Uint8Array | undefined = text;
      if (this.#early !== undefined) {
        const early = this.#early.push(text);
        if (typeof early === 'string') throw new Error(early);
        plain = early?.rest;
        if (early !== undefined) this.#early = undefined;
      }
      if (plain !== undefined && plain.length > 0) this.push(plain);
    }
  }

  override _read(): void {}

  override _write(
    chunk: Uint8Array,
    _encoding: string,
    done: (error?: Error | null) => void,
  ): void {
    this.#socket.write(this.#channel.sealer.seal(chunk), done);
  }

  override _final(done: () => void): void {
    this.#socket.end(done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#socket.destroy();
    done(error);
  }
}
