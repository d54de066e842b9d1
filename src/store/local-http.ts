/**
 * HTTP on a local socket, around whoever answers: one request a connection, asked for by a process that the
 * kernel names.
 *
 *     connection ──> credentials ──> admit ──> one request ──> perform ──┬─> answer, end
 *                                      └─ refused                        └─> news … news, answer, end
 *
 * What may be asked is decided for each request, so that a right that is taken away is gone at once. A body that
 * is too long is refused by its announced length or at the byte that is too many, unparsed. News go out as they
 * come; an asker who does not read them is cut off when they fill `MAX_UNREAD_BYTES`. Processes that the place
 * does not belong to have half of the connections at most, so that they cannot lock its owner out.
 */

import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { Socket } from 'node:net';
import { collect } from '../base/bytes.ts';
import type { Log } from '../base/log.ts';
import type { SocketPlace } from './socket-place.ts';
import { listenAt } from './socket-place.ts';

const MAX_CLIENTS = 64;
const MAX_STRANGERS: number = MAX_CLIENTS / 2;
/** For a whole request to come in. */
const PATIENCE_MILLIS = 30_000;
const MAX_UNREAD_BYTES = 1024 * 1024;

/** Of the process at the other end, as of when it connected (SO_PEERCRED of unix(7)). */
export interface Credentials {
  readonly pid: number;
  readonly uid: number;
  readonly gid: number;
}

export interface LocalRefusal<Code extends string> {
  readonly ok: false;
  readonly code: Code;
  readonly reason: string;
}

export type LocalAnswer<Code extends string> =
  | { readonly ok: true; readonly body: object }
  | LocalRefusal<Code>;

/** The side of a request that goes on. */
export interface Asker {
  /** Aborted when the asker has gone, or the server ends. */
  readonly gone: AbortSignal;
  news(news: object): void;
}

export interface LocalHttp<Caller, Code extends string> {
  readonly place: SocketPlace;
  /** What the log calls it. */
  readonly name: string;
  readonly pathPrefix: string;
  readonly maxRequestBytes: number;
  /** Content type of news. */
  readonly linesType: string;
  readonly statusOf: Readonly<Record<Code | CommonCode, number>>;
  /** Uids besides 0 that the place belongs to. */
  readonly ownUid: number;
  /** undefined where the system does not say. */
  credentialsOf(socket: Socket): Credentials | undefined;
  /** Who that is, before anything of the request is read. */
  admit(
    credentials: Credentials | undefined,
  ): { readonly ok: true; readonly caller: Caller } | LocalRefusal<Code>;
  /** @param body an object of JSON, or whatever else JSON can be */
  perform(caller: Caller, action: string, body: unknown, asker: Asker): Promise<LocalAnswer<Code>>;
  readonly log: Log;
}

/** Those that are said here. */
type CommonCode = 'bad request' | 'not found' | 'unavailable' | 'denied';

export interface LocalServer {
  readonly path: string;
  /** Nobody has removed or replaced the socket. */
  isOurs(): boolean;
  /** No request is taken any more; those under way are cut off. Removes the socket. */
  close(): Promise<void>;
}

/** @throws ConfigError where the place is taken or cannot be had */
export async function serveLocal<Caller, Code extends string>(
  options: LocalHttp<Caller, Code>,
): Promise<LocalServer> {
  const known = new WeakMap<Socket, Credentials>();
  const server = createServer(
    {
      requestTimeout: PATIENCE_MILLIS,
      headersTimeout: PATIENCE_MILLIS,
      connectionsCheckingInterval: PATIENCE_MILLIS / 10,
      maxHeaderSize: 8192,
    },
    (request, response) => {
      void serve(options, known.get(request.socket), request, response);
    },
  );
  server.maxConnections = MAX_CLIENTS;
  let strangers = 0;
  server.on('connection', (socket) => {
    const credentials = options.credentialsOf(socket);
    if (credentials !== undefined) known.set(socket, credentials);
    if (credentials?.uid === 0 || credentials?.uid === options.ownUid) return;
    if (strangers >= MAX_STRANGERS) {
      socket.destroy();
      return;
    }
    strangers++;
    socket.once('close', () => strangers--);
  });
  const placed = await listenAt(server, options.place);
  server.on('error', (error) =>
    options.log.error(`${options.name}: cannot accept`, { error: error.message }),
  );
  return {
    path: options.place.path,
    isOurs: () => placed.isOurs(),
    close: () => close(server, () => placed.remove()),
  };
}

function close(server: Server, remove: () => void): Promise<void> {
  remove();
  return new Promise((done) => {
    server.close(() => done());
    server.closeAllConnections();
  });
}

/** Never rejects. */
async function serve<Caller, Code extends string>(
  options: LocalHttp<Caller, Code>,
  credentials: Credentials | undefined,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { log, name } = options;
  const action = request.url ?? '';
  try {
    const outcome = await answerTo(options, credentials, request, response);
    if (outcome.ok) return end(response, 200, outcome.body);
    const { code, reason } = outcome;
    if (code === 'denied')
      log.warn(`${name}: denied`, { uid: credentials?.uid ?? -1, action, reason });
    return end(response, options.statusOf[code], undefined, { code, reason });
  } catch (error) {
    if (request.destroyed && !request.complete) return;
    log.error(`${name}: request failed`, {
      action,
      error: (error as Error).stack ?? String(error),
    });
    const reason = 'a fault of the server; see its log';
    end(response, 500, undefined, { code: 'unavailable', reason });
  }
}

async function answerTo<Caller, Code extends string>(
  options: LocalHttp<Caller, Code>,
  credentials: Credentials | undefined,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<LocalAnswer<Code | CommonCode>> {
  const admitted = options.admit(credentials);
  if (!admitted.ok) return admitted;
  // Before the first wait, since an asker may go while his body is read.
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  const { method, url = '' } = request;
  const { pathPrefix, maxRequestBytes } = options;
  if (method !== 'POST') return bad(`wanted POST, found ${method}`);
  if (!url.startsWith(pathPrefix))
    return { ok: false, code: 'not found', reason: `wanted a path below ${pathPrefix}` };
  const text = await bodyOf(request, maxRequestBytes);
  if (text === undefined) return bad(`wanted a body of at most ${maxRequestBytes} bytes`);
  const body = jsonOf(text);
  if (body === undefined) return bad('wanted a body of JSON');
  return options.perform(admitted.caller, url.slice(pathPrefix.length), body, {
    gone: gone.signal,
    news: (news) => sayNews(response, options.linesType, news),
  });
}

const bad = (reason: string): LocalRefusal<CommonCode> => ({
  ok: false,
  code: 'bad request',
  reason,
});

/** undefined: it is too long, and the rest of it is not read. */
async function bodyOf(request: IncomingMessage, mostBytes: number): Promise<string | undefined> {
  if (Number(request.headers['content-length'] ?? 0) > mostBytes) return undefined;
  const body = await collect(request.iterator({ destroyOnReturn: false }), mostBytes);
  return body && new TextDecoder().decode(body);
}

/** No body is an empty object. */
function jsonOf(text: string): unknown {
  if (text === '') return {};
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function sayNews(response: ServerResponse, type: string, news: object): void {
  if (response.destroyed || response.writableEnded) return;
  if (!response.headersSent) response.writeHead(200, { 'content-type': type, connection: 'close' });
  response.write(`${JSON.stringify({ news })}\n`);
  if (response.writableLength > MAX_UNREAD_BYTES) response.destroy();
}

/** Behind news the answer is the last line, and an error is one too. */
function end(
  response: ServerResponse,
  status: number,
  answer: object | undefined,
  error?: object,
): void {
  if (response.destroyed || response.writableEnded) return;
  if (response.headersSent) {
    response.end(`${JSON.stringify(error === undefined ? { answer } : { error })}\n`);
    return;
  }
  const text = `${JSON.stringify(error === undefined ? answer : { error })}\n`;
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
    connection: 'close',
  });
  response.end(text);
}
