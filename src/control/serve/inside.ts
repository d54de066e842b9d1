/**
 * What is asked inside the records, where each request is a machine's whose key is proved. Membership is not:
 * anybody can make up a machine key, so each handler asks for itself whose node it is.
 *
 *     POST      /machine/register         register.ts
 *     POST      /machine/map              map.ts
 *     PUT       /machine/lan              lan.ts
 *     HEAD GET  /machine/ping-response    a probe of ours has come back: ?id=
 *     501       what stock clients ask for and live without
 *     405 with Allow, 404
 *
 * Source: reference/protocol.md 1.6.
 */

import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import type { BodyRoom } from './exchange.ts';
import { Exchange } from './exchange.ts';
import type { LanHost } from './lan.ts';
import { handleLan } from './lan.ts';
import type { MapHost } from './map.ts';
import { handleMap } from './map.ts';
import type { Probes } from './ports.ts';
import type { RegisterHost } from './register.ts';
import { handleRegister } from './register.ts';
import type { Session } from './session.ts';

export interface InsideHost extends RegisterHost, MapHost, LanHost {
  readonly probes: Probes | undefined;
  readonly room: BodyRoom;
}

type Handler = (host: InsideHost, exchange: Exchange) => Promise<void> | void;

const ROUTES: ReadonlyMap<string, Readonly<Record<string, Handler>>> = new Map([
  ['/machine/register', { POST: handleRegister }],
  ['/machine/map', { POST: handleMap }],
  ['/machine/lan', { PUT: handleLan }],
  ['/machine/ping-response', { GET: handleProbe, HEAD: handleProbe }],
]);

const NOT_SERVED: RegExp =
  /^\/machine\/(set-dns|set-device-attr|audit-log|id-token|feature\/query|update-health|c2n|webclient\/.+|tka\/.+)$/;

export function handleInside(
  host: InsideHost,
  session: Session,
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
): void {
  const exchange = new Exchange(session, stream, headers, host.room);
  const found = route(exchange);
  if (found === undefined) {
    session.bodyRead(stream);
    return;
  }
  const failed = (error: unknown): void => {
    const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
    exchange.refuse('request: our fault', 500, { detail, text: 'the server has failed' });
  };
  try {
    found(host, exchange)?.catch(failed);
  } catch (error) {
    failed(error);
  }
}

/** Undefined: it has been refused. */
function route(exchange: Exchange): Handler | undefined {
  const { method, path, session } = exchange;
  if (!session.mayAsk()) {
    exchange.refuse('request: too often', 429, { headers: { 'retry-after': '5' } });
    return undefined;
  }
  const methods = ROUTES.get(path);
  if (methods === undefined) {
    if (NOT_SERVED.test(path)) exchange.refuse('request: not served', 501);
    else exchange.refuse('request: unknown path', 404);
    return undefined;
  }
  const handler = Object.hasOwn(methods, method) ? methods[method] : undefined;
  if (handler !== undefined) return handler;
  const allow = Object.keys(methods).join(', ');
  exchange.refuse('request: wrong method', 405, { headers: { allow } });
  return undefined;
}

function handleProbe({ probes }: InsideHost, exchange: Exchange): void {
  const { query, session, stream } = exchange;
  session.bodyRead(stream);
  const known = probes?.answered(query.get('id') ?? '', session.machine) ?? false;
  exchange.empty(known ? 200 : 404);
}
