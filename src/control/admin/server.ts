/**
 * `control.sock`: HTTP around the handlers (protocol/localapi/exchange.ts has the form, store/local-http.ts the
 * server). What role an asker has is looked up for each request. A disk that stalls holds the answer back and
 * nothing else.
 */

import type { Socket } from 'node:net';
import type { Log } from '../../base/log.ts';
import type { RefusalCode } from '../../protocol/localapi/exchange.ts';
import {
  LINES_TYPE,
  MAX_REQUEST_BYTES,
  PATH_PREFIX,
  STATUS_OF,
} from '../../protocol/localapi/exchange.ts';
import type { LocalServer } from '../../store/local-http.ts';
import { serveLocal } from '../../store/local-http.ts';
import { perform } from './admin.ts';
import type { Caller, Credentials, Staff } from './caller.ts';
import { callerOf } from './caller.ts';
import type { AdminPorts } from './handler.ts';

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

/** @throws ConfigError where the place is taken or cannot be had */
export function serveAdmin(options: AdminOptions): Promise<LocalServer> {
  const { path, gid, staff, log } = options;
  return serveLocal<Caller, RefusalCode>({
    place: {
      path,
      mode: 0o660,
      gid,
      taken: `a control server answers at ${path} already; end that one first, or choose another --socket`,
    },
    name: 'admin',
    pathPrefix: PATH_PREFIX,
    maxRequestBytes: MAX_REQUEST_BYTES,
    linesType: LINES_TYPE,
    statusOf: STATUS_OF,
    ownUid: staff.ownUid,
    credentialsOf: (socket) => options.credentialsOf(socket),
    admit: (credentials) => {
      const caller = callerOf(options.coordinator.network.model, staff, credentials);
      return 'ok' in caller ? caller : { ok: true, caller };
    },
    perform: (caller, action, body) => perform(options, caller, action, body),
    log,
  });
}
