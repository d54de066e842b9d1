/**
 * `node.sock`: HTTP around the handlers (protocol/localapi/exchange.ts has the form, store/local-http.ts the
 * server). Everybody on the machine may open it; what each may ask is in protocol/localapi/node-rights.ts.
 */

import type { Socket } from 'node:net';
import type { Env } from '../../base/env.ts';
import type { RefusalCode } from '../../protocol/localapi/exchange.ts';
import {
  LINES_TYPE,
  MAX_REQUEST_BYTES,
  PATH_PREFIX,
  STATUS_OF,
} from '../../protocol/localapi/exchange.ts';
import { OPERATOR_GROUP } from '../../protocol/localapi/node-rights.ts';
import type { Credentials, LocalServer } from '../../store/local-http.ts';
import { serveLocal } from '../../store/local-http.ts';
import type { NodeCaller } from './caller.ts';
import { callerOf } from './caller.ts';
import { perform } from './perform.ts';
import type { NodeBackend, ReadSystemFile } from './ports.ts';

export interface NodeApiOptions {
  /** Of the socket. */
  readonly path: string;
  readonly backend: NodeBackend;
  readonly env: Pick<Env, 'log' | 'random'>;
  readonly ownUid: number;
  readonly readFile: ReadSystemFile;
  /** undefined where the system does not say. */
  credentialsOf(socket: Socket): Credentials | undefined;
}

/** @throws ConfigError where the place is taken or cannot be had */
export function serveNodeApi(options: NodeApiOptions): Promise<LocalServer> {
  const { path, backend, env, ownUid, readFile } = options;
  const ports = { backend, random: env.random };
  const operators = { ownUid, group: OPERATOR_GROUP, readFile };
  return serveLocal<NodeCaller, RefusalCode>({
    place: {
      path,
      mode: 0o666,
      taken: `a node answers at ${path} already; end that one first, or choose another --socket`,
    },
    name: 'api',
    pathPrefix: PATH_PREFIX,
    maxRequestBytes: MAX_REQUEST_BYTES,
    linesType: LINES_TYPE,
    statusOf: STATUS_OF,
    ownUid,
    credentialsOf: (socket) => options.credentialsOf(socket),
    admit: (credentials) => {
      const caller = callerOf(operators, credentials);
      return caller.ok ? { ok: true, caller: caller.body } : caller;
    },
    perform: (caller, action, body, asker) => perform(ports, caller, action, body, asker),
    log: env.log,
  });
}
