/**
 * `control.sock`: what people and scripts say to the coordination server, in the form of exchange.ts.
 *
 *     POST /v1/nodes.rename              {"node":"nas","name":"attic"}
 *     200                                the answer, control-reports.ts
 *
 * The shape of each request is in control-requests.ts, and which role may ask what in control-rights.ts.
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

/** Asks the server; of a refusal the error says why. */
export type AskControl = <A extends Action>(
  socket: string,
  action: A,
  request: Requests[A],
) => Promise<Answers[A]>;
