/**
 * `node.sock`: what people and programs say to the node of this machine, in the form of exchange.ts.
 *
 *     POST /v1/whois      {"address":"100.64.0.7"}
 *     200                 {"Node":{…},"UserProfile":{…}}
 *
 *     POST /v1/watch      {}
 *     200                 {"news":{"BackendState":"NeedsLogin","AuthURL":"https://…",…}}
 *                         {"news":{"BackendState":"Running",…}}     until the asker hangs up, or the node ends
 *
 * `up`, `login`, `set`, `down` and `logout` answer when the wish is noted and the state tells of it, not when it
 * has come true: who wants to see that, watches.
 */

import type {
  BugReport,
  DnsQueryReport,
  DnsStatusReport,
  DropsReport,
  IpReport,
  LanDeviceReport,
  NetcheckReport,
  PathsReport,
  PingReport,
  WhoisReport,
} from './node-reports.ts';
import type { NodeRequests } from './node-requests.ts';
import type { NodeAction } from './node-rights.ts';
import type { KeyState, NodeNotice, NodeSettings, NodeStatus } from './node-status.ts';

export const NODE_SOCKET = '/run/postern/node.sock';
export const NODE_SOCKET_VARIABLE = 'POSTERN_SOCKET';

type Noted = { readonly notice: NodeNotice };
type OneDevice = { readonly device: LanDeviceReport };

export interface NodeAnswers extends Readonly<Record<NodeAction, object>> {
  readonly status: NodeStatus;
  /** Its news are NodeNotice. */
  readonly watch: Readonly<Record<never, never>>;
  readonly ip: IpReport;
  readonly ping: PingReport;
  readonly whois: WhoisReport;
  readonly netcheck: NetcheckReport;
  readonly 'dns.status': DnsStatusReport;
  readonly 'dns.query': DnsQueryReport;
  readonly version: { readonly version: string };
  readonly up: Noted;
  readonly down: Noted;
  readonly set: { readonly settings: NodeSettings };
  readonly login: Noted;
  readonly logout: Noted;
  readonly 'debug.netmap': { readonly netmap: unknown };
  readonly 'debug.drops': DropsReport;
  readonly 'debug.paths': PathsReport;
  /** Prometheus' text format. */
  readonly 'debug.metrics': { readonly text: string };
  readonly bugreport: BugReport;
  readonly 'lan.list': { readonly devices: readonly LanDeviceReport[] };
  readonly 'lan.add': OneDevice;
  readonly 'lan.remove': { readonly deleted: string };
  readonly 'lan.share': OneDevice;
  readonly 'lan.unshare': OneDevice;
  readonly 'key.rotate': { readonly key: KeyState };
}

/** Asks the node; of a refusal the error says why. */
export type AskNode = <A extends NodeAction>(
  socket: string,
  action: A,
  request: NodeRequests[A],
) => Promise<NodeAnswers[A]>;

/**
 * Watches the node until `look` has an answer: what it returns first that is not undefined.
 *
 * @param millis how long at most; undefined: as long as it takes
 * @throws NetError where the node ends before, or the time is over
 */
export type WatchNode = <T>(
  socket: string,
  look: (notice: NodeNotice) => T | undefined,
  millis?: number,
) => Promise<T>;
