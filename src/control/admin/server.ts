/**
 * `control.sock`: HTTP around the handlers (protocol/localapi/control.ts has the form).
 *
 *     connection ──> credentials ──> one request ──> caller ──> perform ──> answer, end
 *
 * Who asks is what the kernel says of the other end; what role that is, is looked up for each request, so that
 * a right that is taken away is gone at once. A body that is too long is refused by its announced length or at
 * the byte that is too many, unparsed. A disk that stalls holds the answer back and nothing else.
 */

import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { Socket } from 'node:net';
import type { Log } from '../../base/log.ts';
import type { ControlError } from '../../protocol/localapi/control.ts';
import { MAX_REQUEST_BYTES, PATH_PREFIX, STATUS_OF } from '../../protocol/localapi/control.ts';
import { listenAt } from '../../store/socket-place.ts';
import { perform } from './admin.ts';
import type { Credentials, Staff } from './caller.ts';
import { callerOf } from './caller.ts';
import type { AdminPorts, Answered } from './handler.ts';

const MAX_CLIENTS = 64;
/** For a whole request to come in. */
const PATIENCE_MILLIS = 30_000;

export interface AdminOptions extends AdminPorts {
  /** Of the socket. */
  readonly path: string;
  /** The group that may open it beside the server's user; undefined: the process's own. */
  readonly gid?: number | undefined;
  readonly staff: Staff;
  /** undefined where the system does not say. */
  credentialsOf(socket: Socket): Credentials | undefined;
  readonly log: Log;
}

export interface AdminServer {
  readonly path: string;
  /** No request is taken any more; those under way are cut off. Removes the socket. */
  close(): Promise<void>;
}

/** @throws ConfigError where the place is taken or cannot be had */
export async function serveAdmin(options: AdminOptions): Promise<AdminServer> {
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
  server.on('connection', (socket) => {
    const credentials = options.credentialsOf(socket);
    if (credentials !== undefined) known.set(socket, credentials);
  });
  const { path, gid } = options;
  const place = await listenAt(server, {
    path,
    mode: 0o660,
    gid,
    taken: `a control server answers at ${path} already; end that one first, or choose another --socket`,
  });
  server.on('error', (error) =>
    options.log.error('admin: cannot accept', { error: error.message }),
  );
  return { path, close: () => close(server, () => place.remove()) };
}

function close(server: Server, remove: () => void): Promise<void> {
  remove();
  return new Promise((done) => {
    server.close(() => done());
    server.closeAllConnections();
  });
}

/** Never rejects. */
async function serve(
  options: AdminOptions,
  credentials: Credentials | undefined,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { log } = options;
  try {
    const outcome = await answerTo(options, credentials, request);
    if (outcome.ok) return send(response, 200, outcome.body);
    const { code, reason } = outcome;
    if (code === 'denied')
      log.warn('admin: denied', { uid: credentials?.uid ?? -1, action: request.url ?? '', reason });
    const error: ControlError = { code, reason };
    send(response, STATUS_OF[code], { error });
  } catch (error) {
    if (request.destroyed && !request.complete) return;
    log.error('admin: request failed', {
      action: request.url ?? '',
      error: (error as Error).stack ?? String(error),
    });
    send(response, 500, {
      error: { code: 'unavailable', reason: 'a fault of the server; see its log' },
    });
  }
}

async function answerTo(
  options: AdminOptions,
  credentials: Credentials | undefined,
  request: IncomingMessage,
): Promise<Answered<object>> {
  const caller = callerOf(options.coordinator.network.model, options.staff, credentials);
  if ('ok' in caller) return caller;
  const { method, url = '' } = request;
  if (method !== 'POST') return bad(`wanted POST, found ${method}`);
  if (!url.startsWith(PATH_PREFIX))
    return { ok: false, code: 'not found', reason: `wanted a path below ${PATH_PREFIX}` };
  const text = await bodyOf(request);
  if (text === undefined) return bad(`wanted a body of at most ${MAX_REQUEST_BYTES} bytes`);
  const body = jsonOf(text);
  if (body === undefined) return bad('wanted a body of JSON');
  return perform(options, caller, url.slice(PATH_PREFIX.length), body);
}

const bad = (reason: string): Answered<never> => ({ ok: false, code: 'bad request', reason });

/** undefined: it is too long, and the rest of it is not read. */
async function bodyOf(request: IncomingMessage): Promise<string | undefined> {
  if (Number(request.headers['content-length'] ?? 0) > MAX_REQUEST_BYTES) return undefined;
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of request.iterator({ destroyOnReturn: false })) {
    bytes += (part as Buffer).length;
    if (bytes > MAX_REQUEST_BYTES) return undefined;
    parts.push(part as Buffer);
  }
  return Buffer.concat(parts).toString('utf8');
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

function send(response: ServerResponse, status: number, body: object): void {
  if (response.headersSent || response.destroyed) return;
  const text = `${JSON.stringify(body)}\n`;
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(text),
    connection: 'close',
  });
  response.end(text);
}
