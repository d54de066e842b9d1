/**
 * A machine's connection to a coordination server: TCP or TLS, the upgrade, the records, HTTP/2 in them.
 *
 *     POST /ts2021 (initiation)  ->  101, response, [early payload], HTTP/2
 *
 * `pause` stops reading from the socket, so that the kernel's window closes towards the server: that is a
 * slow reader as a server meets one.
 */

import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import type { Socket } from 'node:net';
import { connect as connectTcp } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { concat, toBase64 } from '../../src/base/bytes.ts';
import type { OwnKey, PeerKey } from '../../src/crypto/x25519.ts';
import { peerKey } from '../../src/crypto/x25519.ts';
import { EarlyReader } from '../../src/protocol/tailcfg/early-payload.ts';
import { parseMachinePublic } from '../../src/protocol/tailcfg/keys.ts';
import type { Channel, PendingInitiation } from '../../src/protocol/tailcfg/ts2021.ts';
import { consumeResponse, createInitiation } from '../../src/protocol/tailcfg/ts2021.ts';
import { Http2Client } from './http2.ts';

/** As stock 1.102.3 says. */
export const VERSION = 142;

const PATIENCE_MS = 60_000;
const MAX_HEAD_BYTES = 16 * 1024;

/** @throws Error for a status other than 200, or no key */
export async function fetchKey(url: URL): Promise<PeerKey> {
  const ask = url.protocol === 'https:' ? requestHttps : requestHttp;
  const asked = ask(new URL(`/key?v=${VERSION}`, url), { agent: false, rejectUnauthorized: false });
  asked.setTimeout(PATIENCE_MS, () => asked.destroy(new Error('/key: no answer')));
  asked.end();
  const [answer] = await once(asked, 'response');
  let text = '';
  for await (const part of answer.setEncoding('utf8')) text += part;
  if (answer.statusCode !== 200) throw new Error(`/key: ${answer.statusCode}`);
  const key = parseMachinePublic((JSON.parse(text) as { publicKey: string }).publicKey);
  if (key === undefined) throw new Error(`/key: no key in ${text}`);
  return peerKey(key);
}

export interface Reply {
  readonly status: number;
  readonly body: Uint8Array;
}

export class ControlConnection {
  /** Of the socket, records and all. */
  receivedBytes = 0;
  /** Why it ended. */
  readonly closed: Promise<string>;
  readonly #socket: Socket;
  readonly #pending: PendingInitiation;
  readonly #opened: PromiseWithResolvers<ControlConnection> = Promise.withResolvers();
  readonly #authority: string;
  /** Before HTTP/2: what has come since the upgrade, or since the request where `#isUpgraded` is not. */
  #received: Uint8Array = new Uint8Array(0);
  #isUpgraded = false;
  #channel: Channel | undefined;
  #early: EarlyReader | undefined = new EarlyReader();
  #http: Http2Client | undefined;
  #unsent: Uint8Array[] = [];
  #reason: string | undefined;

  private constructor(url: URL, socket: Socket, pending: PendingInitiation) {
    this.#socket = socket;
    this.#pending = pending;
    this.#authority = url.host;
    const { promise, resolve } = Promise.withResolvers<string>();
    this.closed = promise;
    socket.setNoDelay(true);
    socket.setTimeout(PATIENCE_MS, () => {
      if (this.#http === undefined) this.close('no answer to the upgrade');
    });
    socket.on('data', (chunk: Buffer) => this.#read(chunk));
    socket.on('error', (error) => this.close(error.message));
    socket.on('close', () => {
      this.close('the server closed the connection');
      resolve(this.#reason ?? '');
    });
  }

  /** @throws Error where the server refuses, or is not the one whose key we have */
  static async open(url: URL, machine: OwnKey, server: PeerKey): Promise<ControlConnection> {
    const pending = createInitiation(machine, server, VERSION, randomBytes(32));
    if (pending === undefined) throw new Error('the key of the server is of low order');
    const { hostname, protocol } = url;
    const host = hostname.replace(/^\[|\]$/g, '');
    const port = Number(url.port || (protocol === 'https:' ? 443 : 80));
    const socket =
      protocol === 'https:'
        ? connectTls({ host, port, rejectUnauthorized: false })
        : connectTcp({ host, port });
    const connection = new ControlConnection(url, socket, pending);
    const head = [
      'POST /ts2021 HTTP/1.1',
      `Host: ${url.host}`,
      'Upgrade: tailscale-control-protocol',
      'Connection: upgrade',
      `X-Tailscale-Handshake: ${toBase64(pending.message)}`,
      'Content-Length: 0',
    ];
    socket.write(`${head.join('\r\n')}\r\n\r\n`);
    return connection.#opened.promise;
  }

  get isClosed(): boolean {
    return this.#reason !== undefined;
  }

  /** @throws Error where no whole answer comes */
  post(path: string, body: unknown): Promise<Reply> {
    const { promise, resolve, reject } = Promise.withResolvers<Reply>();
    const parts: Uint8Array[] = [];
    let status = 0;
    this.#post(path, body, {
      status: (code) => {
        status = code;
      },
      data: (bytes) => void parts.push(bytes.slice()),
      end: (reason) => {
        if (reason === undefined) resolve({ status, body: concat(...parts) });
        else reject(new Error(`${path}: ${reason}`));
      },
    });
    return promise;
  }

  /**
   * A request whose answer goes on.
   *
   * @param data is given bytes that are good until it returns
   * @returns the answer's status; rejects where it ends before
   */
  stream(
    path: string,
    body: unknown,
    data: (bytes: Uint8Array) => void,
    end: (reason: string) => void,
  ): Promise<number> {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    this.#post(path, body, {
      status: resolve,
      data,
      end: (reason = 'ended by the server') => {
        reject(new Error(`${path}: ${reason}`));
        end(reason);
      },
    });
    return promise;
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Cuts the connection; the first reason counts. */
  close(reason = 'closed here'): void {
    if (this.#reason !== undefined) return;
    this.#reason = reason;
    this.#socket.destroy();
    this.#channel?.sealer.wipe();
    this.#channel?.opener.wipe();
    this.#opened.reject(new Error(reason));
    this.#http?.close(reason);
  }

  #post(path: string, body: unknown, answer: Parameters<Http2Client['post']>[2]): void {
    if (this.#http === undefined || this.isClosed) {
      answer.end(this.#reason ?? 'not open');
      return;
    }
    this.#http.post(path, new TextEncoder().encode(JSON.stringify(body)), answer);
  }

  #read(chunk: Uint8Array): void {
    this.receivedBytes += chunk.length;
    if (this.#channel !== undefined) {
      this.#readRecords(chunk);
      return;
    }
    this.#received = concat(this.#received, chunk);
    if (!this.#isUpgraded && !this.#readHead()) return;
    const answer = consumeResponse(this.#pending, this.#received);
    if (typeof answer === 'string') {
      this.close(answer);
      return;
    }
    switch (answer.type) {
      case 'more':
        break;
      case 'error':
        this.close(`refused: ${answer.text}`);
        break;
      case 'channel':
        this.#channel = answer.channel;
        this.#http = new Http2Client(this.#authority, (bytes) => this.#send(bytes));
        this.#socket.setTimeout(0);
        this.#opened.resolve(this);
        this.#received = new Uint8Array(0);
        this.#readRecords(answer.rest);
    }
  }

  /** Whether the answer to the upgrade is whole, and a good one. */
  #readHead(): boolean {
    const text = Buffer.from(this.#received).toString('latin1');
    const end = text.indexOf('\r\n\r\n');
    if (end < 0) {
      if (text.length > MAX_HEAD_BYTES) this.close('a head without an end');
      return false;
    }
    if (!/^HTTP\/1\.1 101 /.test(text)) {
      this.close(`/ts2021: ${text.slice(0, text.indexOf('\r\n'))}`);
      return false;
    }
    this.#received = this.#received.subarray(end + 4);
    this.#isUpgraded = true;
    return true;
  }

  #readRecords(chunk: Uint8Array): void {
    const texts = this.#channel?.opener.push(chunk) ?? [];
    const over = typeof texts === 'string' ? texts : this.#readTexts(texts);
    if (over !== undefined) this.close(over);
  }

  /** @returns why the connection is over, or undefined */
  #readTexts(texts: readonly Uint8Array[]): string | undefined {
    for (const text of texts) {
      const rest = this.#early === undefined ? text : this.#afterEarly(this.#early, text);
      const over = typeof rest === 'string' ? rest : rest && this.#http?.push(rest);
      if (over !== undefined) return over;
    }
    return undefined;
  }

  /** What lies behind the early payload, once that is whole. */
  #afterEarly(reader: EarlyReader, text: Uint8Array): Uint8Array | string | undefined {
    const early = reader.push(text);
    if (early === undefined || typeof early === 'string') return early;
    this.#early = undefined;
    return early.rest;
  }

  /** What is said in one turn goes out together. */
  #send(bytes: Uint8Array): void {
    if (this.#unsent.push(bytes) > 1) return;
    queueMicrotask(() => {
      const text = concat(...this.#unsent);
      this.#unsent = [];
      if (this.isClosed || this.#channel === undefined) return;
      this.#socket.write(this.#channel.sealer.seal(text));
    });
  }
}
