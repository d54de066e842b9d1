/**
 * The server on loopback for whoever watches the service:
 *
 *     GET /health     200 `ok`, or 503; a line for each health item either way
 *     GET /metrics    the Prometheus text format
 *
 * Only for programs of this machine: a name other than loopback's in Host is refused, so that no web page can
 * ask by a name of its own that leads here.
 */

import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import { NetError } from '../../base/errors.ts';
import type { Health, HealthItem } from '../../base/health.ts';
import type { ListenAddress } from '../relay/commands.ts';
import type { Exposition } from './metrics.ts';

export interface WatchOptions {
  readonly listen: ListenAddress;
  items(): readonly HealthItem[];
  readonly metrics: Exposition;
}

const LOOPBACK = /^(127(\.\d{1,3}){3}|\[::1\]|localhost)(:\d{1,5})?$/;

/** As `serveWatchers`; a port that is taken is a health item, since nobody to watch is no reason not to serve. */
export async function serveWatchersOrSay(
  options: Omit<WatchOptions, 'listen'> & { readonly listen: ListenAddress | undefined },
  health: Pick<Health, 'raise'>,
): Promise<() => Promise<void>> {
  const { listen } = options;
  if (listen === undefined) return async () => {};
  try {
    const watchers = await serveWatchers({ ...options, listen });
    return () => watchers.close();
  } catch (error) {
    if (!(error instanceof NetError)) throw error;
    health.raise({
      code: 'metrics',
      severity: 'notice',
      text: error.message,
      remedy: 'choose another address with --metrics, or --metrics off',
    });
    return async () => {};
  }
}

/** @throws NetError where the address cannot be had */
export async function serveWatchers(options: WatchOptions): Promise<{ close(): Promise<void> }> {
  const { host, port } = options.listen;
  const server = createServer({ requestTimeout: 10_000 }, (request, response) => {
    answer(options, request, response).catch((error: Error) => {
      // A number that cannot be had must not end the server that it is of.
      if (!response.headersSent) response.writeHead(500);
      response.end(`${error.message}\n`);
    });
  });
  server.maxConnections = 16;
  await new Promise<void>((done, fail) => {
    server.once('error', (error) =>
      fail(new NetError(`metrics: cannot listen on ${host} port ${port}: ${error.message}`)),
    );
    server.listen(port, host, done);
    // Running out of descriptors is no reason to end either.
    server.on('error', () => {});
  });
  return {
    close: () =>
      new Promise((done) => {
        server.close(() => done());
        server.closeAllConnections();
      }),
  };
}

async function answer(
  { items, metrics }: WatchOptions,
  { headers, method, url }: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const send = (status: number, text: string, contentType = 'text/plain; charset=utf-8'): void =>
    void response.writeHead(status, { 'content-type': contentType }).end(text);
  if (!LOOPBACK.test(headers.host ?? '')) return send(403, 'by a name of loopback only\n');
  if (method !== 'GET' && method !== 'HEAD') return send(405, 'GET or HEAD\n');
  switch (url?.split('?')[0]) {
    case '/health': {
      const lines = items().map(({ code, severity, text }) => `${severity} ${code}: ${text}\n`);
      const ill = items().some(({ severity }) => severity === 'error');
      return send(ill ? 503 : 200, `${ill ? 'ill' : 'ok'}\n${lines.join('')}`);
    }
    case '/metrics': {
      const { text, contentType } = await metrics();
      return send(200, text, contentType);
    }
    default:
      return send(404, '/health or /metrics\n');
  }
}
