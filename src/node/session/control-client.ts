/**
 * Requests to the coordination server: HTTP/2 inside the records of one connection.
 *
 *     ask      one request, one bounded answer          register, lite updates, LAN devices, pings
 *     stream   one request, an answer that goes on      the map
 *
 * The connection is watched: when nothing was heard for 30 s it is asked for a sign of life (an HTTP/2 ping), and
 * 15 s later it is over. TCP alone would wait a quarter of an hour for a cable that was cut.
 *
 * Source: reference/protocol.md 1.5, 00.
 */

import type { ClientHttp2Session, ClientHttp2Stream, IncomingHttpHeaders } from 'node:http2';
import { connect as connectHttp2 } from 'node:http2';
import { concat } from '../../base/bytes.ts';
import type { Env } from '../../base/env.ts';
import { NetError } from '../../base/errors.ts';
import type { Millis } from '../../base/time.ts';
import { after, millis } from '../../base/time.ts';
import type { OwnKey, PeerKey } from '../../crypto/x25519.ts';
import { MAX_REQUEST_BYTES } from '../../protocol/tailcfg/validate.ts';
import { asNetError, connectControl } from './connect.ts';
import { orAborted, within } from './deadline.ts';
import type { ControlPorts } from './ports.ts';
import type { RecordStream } from './record-stream.ts';

const QUIET = millis(30_000);
const SIGN_OF_LIFE = millis(15_000);
const PATIENCE = millis(30_000);
/** Of one stream that is not read; the map of 10,000 nodes has less. */
const STREAM_WINDOW = 2 * 1024 * 1024;

export interface Asked {
  readonly method: 'POST' | 'PUT' | 'GET' | 'HEAD';
  readonly path: string;
  /** JSON, or bytes as they are. */
  readonly body?: object | Uint8Array;
  /** Undefined: 30 s. null: for as long as the connection lasts. */
  readonly patience?: Millis | null;
}

export interface Reply {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Uint8Array;
}

export class ControlClient {
  /** Why it ended. */
  readonly closed: Promise<NetError>;
  readonly url: URL;
  readonly #env: Env;
  readonly #http: ClientHttp2Session;
  readonly #end: (reason: NetError) => void;
  #reason: NetError | undefined;
  #heardAt: Millis;
  #cancelWatch: () => void = () => {};

  private constructor(env: Env, url: URL, records: RecordStream) {
    this.#env = env;
    this.url = url;
    this.#heardAt = env.now();
    const { promise, resolve } = Promise.withResolvers<NetError>();
    this.closed = promise;
    this.#end = resolve;
    this.#http = connectHttp2(`https://${url.host}`, {
      createConnection: () => records,
      settings: { enablePush: false, initialWindowSize: STREAM_WINDOW },
    });
    this.#http.on('error', (error) => this.close(asNetError('control', error)));
    this.#http.on('goaway', () => this.close(new NetError('control: the server is leaving')));
    this.#http.on('close', () => this.close());
    records.on('error', (error) => this.close(asNetError('control', error)));
    records.on('close', () => this.close());
    this.#watch();
  }

  /** @throws NetError */
  static async open(
    ports: ControlPorts,
    url: URL,
    machine: OwnKey,
    server: PeerKey,
    signal: AbortSignal,
  ): Promise<ControlClient> {
    let client: ControlClient | undefined;
    const heard = (): void => client?.heard();
    const records = await connectControl(ports, url, machine, server, heard, signal);
    client = new ControlClient(ports.env, url, records);
    return client;
  }

  get isClosed(): boolean {
    return this.#reason !== undefined;
  }

  heard(): void {
    this.#heardAt = this.#env.now();
  }

  /** A sign of life is asked for now, whenever the last was. */
  test(): void {
    this.#cancelWatch();
    this.#askForLife();
  }

  /** @throws NetError where no whole answer comes, or too long a one */
  ask(asked: Asked, signal: AbortSignal): Promise<Reply> {
    const run = (inner: AbortSignal): Promise<Reply> => this.#ask(asked, inner);
    if (asked.patience === null) return run(signal);
    return within(this.#env, asked.patience ?? PATIENCE, asked.path, signal, run);
  }

  /**
   * A request whose answer goes on; resolves when it ends, with the whole body where the status is not 200.
   *
   * @param data throws to end it
   */
  async stream(
    path: string,
    body: object,
    data: (bytes: Uint8Array) => void,
    signal: AbortSignal,
  ): Promise<Reply> {
    const { promise, resolve, reject } = Promise.withResolvers<Reply>();
    const stream = this.#request({ method: 'POST', path, body });
    const refusal: Uint8Array[] = [];
    let headers: IncomingHttpHeaders & { ':status'?: number | undefined } = {};
    // Events of one turn may come in either order: without its status a body is not looked at.
    stream.on('response', (head) => {
      headers = head;
      stream.on('data', (bytes: Buffer) => {
        try {
          if (headers[':status'] === 200) data(bytes);
          else if (refusal.length < 16) refusal.push(bytes);
        } catch (error) {
          reject(error as Error);
          stream.destroy();
        }
      });
    });
    stream.on('error', (error) => reject(this.#reason ?? asNetError(path, error)));
    stream.on('close', () => {
      const status = headers[':status'];
      if (status === undefined) reject(this.#reason ?? new NetError(`${path}: no answer`));
      else resolve({ status, headers, body: concat(...refusal) });
    });
    return this.#until(stream, promise, signal);
  }

  /** The first reason counts. */
  close(reason: NetError = new NetError('control: the connection was closed')): void {
    if (this.#reason !== undefined) return;
    this.#reason = reason;
    this.#cancelWatch();
    this.#http.destroy();
    this.#end(reason);
  }

  async #ask(asked: Asked, signal: AbortSignal): Promise<Reply> {
    const stream = this.#request(asked);
    const { promise, resolve, reject } = Promise.withResolvers<Reply>();
    const parts: Uint8Array[] = [];
    let bytes = 0;
    let headers: IncomingHttpHeaders & { ':status'?: number | undefined } = {};
    stream.on('response', (head) => {
      headers = head;
    });
    stream.on('data', (part: Buffer) => {
      bytes += part.length;
      if (bytes <= MAX_REQUEST_BYTES) parts.push(part);
      else {
        reject(new NetError(`${asked.path}: an answer of more than ${MAX_REQUEST_BYTES} bytes`));
        stream.destroy();
      }
    });
    stream.on('error', (error) => reject(this.#reason ?? asNetError(asked.path, error)));
    stream.on('close', () => {
      const status = headers[':status'];
      if (status === undefined || !stream.readableEnded)
        reject(this.#reason ?? new NetError(`${asked.path}: no whole answer`));
      else resolve({ status, headers, body: concat(...parts) });
    });
    return this.#until(stream, promise, signal);
  }

  async #until<T>(stream: ClientHttp2Stream, answer: Promise<T>, signal: AbortSignal): Promise<T> {
    try {
      return await orAborted(answer, signal);
    } finally {
      if (!stream.destroyed) stream.destroy();
    }
  }

  #request({ method, path, body }: Asked): ClientHttp2Stream {
    if (this.#reason !== undefined) throw this.#reason;
    const bytes =
      body === undefined || body instanceof Uint8Array ? body : Buffer.from(JSON.stringify(body));
    const stream = this.#http.request(
      {
        ':method': method,
        ':path': path,
        ...(bytes !== undefined && {
          'content-type': 'application/json',
          'content-length': bytes.length,
        }),
      },
      { endStream: bytes === undefined },
    );
    if (bytes !== undefined) stream.end(bytes);
    return stream;
  }

  #watch(): void {
    const { now } = this.#env;
    this.#cancelWatch = this.#env.setTimer(after(this.#heardAt, QUIET), () => {
      if (now() - this.#heardAt < QUIET) this.#watch();
      else this.#askForLife();
    });
  }

  #askForLife(): void {
    const { now } = this.#env;
    if (this.isClosed) return;
    let heard = false;
    const asked = now();
    this.#http.ping(() => {
      heard = true;
    });
    this.#cancelWatch = this.#env.setTimer(after(asked, SIGN_OF_LIFE), () => {
      if (heard || this.#heardAt > asked) this.#watch();
      else this.close(new NetError('control: the server does not answer any more'));
    });
  }
}
