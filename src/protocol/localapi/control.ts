/**
 * `control.sock`: what people and scripts say to the coordination server. HTTP/1.1 on a unix socket, one
 * request a connection; the kernel says who asks (peer credentials), so there is no login.
 *
 *     POST /v1/nodes.rename              {"node":"nas","name":"attic"}
 *     200                                the answer, control-reports.ts
 *     400 403 404 409 503 507            {"error":{"code":"not found","reason":"there is no node nas"}}
 *
 * A request has the shape of its action (control-requests.ts), and is refused whole for a field that none
 * names. Which role may ask what is in control-rights.ts.
 */

import type {
  AuditReport,
  DnsRecordReport,
  DnsReport,
  KeyReport,
  NodeDetail,
  NodeReport,
  RelayStatus,
  RouteReport,
  ServerReport,
  UserReport,
  WaitingReport,
} from './control-reports.ts';
import type { Requests } from './control-requests.ts';
import type { Action } from './control-rights.ts';

export const CONTROL_SOCKET = '/run/postern/control.sock';
export const CONTROL_SOCKET_VARIABLE = 'POSTERN_CONTROL_SOCKET';

export const PATH_PREFIX = '/v1/';
/** No request needs more: 512 prefixes. */
export const MAX_REQUEST_BYTES: number = 256 * 1024;
/** No answer is longer: 4 times that of 10,000 nodes. */
export const MAX_ANSWER_BYTES: number = 64 * 1024 * 1024;

type Deleted = { readonly deleted: string };
type OneUser = { readonly user: UserReport };
type OneKey = { readonly key: KeyReport };
type OneNode = { readonly node: NodeReport };

export interface Answers extends Readonly<Record<Action, object>> {
  readonly 'users.list': { readonly users: readonly UserReport[] };
  readonly 'users.create': OneUser;
  readonly 'users.rename': OneUser;
  readonly 'users.delete': Deleted;
  readonly 'users.role': OneUser;
  readonly 'keys.list': { readonly keys: readonly KeyReport[] };
  /** @property token the whole key, shown this once */
  readonly 'keys.create': { readonly token: string; readonly key: KeyReport };
  readonly 'keys.revoke': OneKey;
  readonly 'keys.delete': Deleted;
  readonly 'nodes.list': { readonly nodes: readonly NodeReport[] };
  readonly 'nodes.show': { readonly node: NodeDetail };
  readonly 'nodes.rename': OneNode;
  readonly 'nodes.expire': OneNode;
  readonly 'nodes.delete': Deleted;
  readonly 'nodes.tag': OneNode;
  readonly 'nodes.waiting': { readonly waiting: readonly WaitingReport[] };
  readonly 'nodes.approve': OneNode;
  readonly 'nodes.refuse': { readonly refused: string };
  readonly 'routes.list': { readonly routes: readonly RouteReport[] };
  readonly 'routes.approve': OneNode;
  readonly 'routes.withdraw': OneNode;
  readonly 'dns.show': { readonly dns: DnsReport };
  readonly 'dns.set': { readonly dns: DnsReport };
  readonly 'dns.add': { readonly record: DnsRecordReport };
  readonly 'dns.remove': { readonly deleted: DnsRecordReport };
  readonly 'relay.show': { readonly relay: RelayStatus };
  /** @property next what to ask `before` with for older ones; null: there are none */
  readonly 'audit.list': { readonly records: readonly AuditReport[]; readonly next: number | null };
  readonly status: { readonly server: ServerReport };
}

export type ControlCode =
  | 'bad request'
  | 'denied'
  | 'not found'
  | 'taken'
  /** A limit is reached. */
  | 'full'
  /** Nobody trusts the clock that would decide it. */
  | 'clock'
  /** It could not be saved; nothing has changed. */
  | 'unavailable';

export const STATUS_OF: Readonly<Record<ControlCode, number>> = {
  'bad request': 400,
  denied: 403,
  'not found': 404,
  taken: 409,
  full: 507,
  clock: 503,
  unavailable: 503,
};

export interface ControlError {
  readonly code: ControlCode;
  /** For a person. */
  readonly reason: string;
}

export const isControlCode = (text: unknown): text is ControlCode =>
  typeof text === 'string' && Object.hasOwn(STATUS_OF, text);

/** Asks the server; of a refusal the error says why. */
export type AskControl = <A extends Action>(
  socket: string,
  action: A,
  request: Requests[A],
) => Promise<Answers[A]>;

/** The error of an answer that is none of the asked; undefined where it has none. */
export function readControlError(body: unknown): ControlError | undefined {
  const { error } = (body ?? {}) as { error?: Partial<ControlError> };
  if (typeof error !== 'object' || error === null) return undefined;
  const { code, reason } = error;
  return isControlCode(code) && typeof reason === 'string' ? { code, reason } : undefined;
}
