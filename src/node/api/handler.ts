/** What a handler is: a function from what is asked to an answer, apart from the socket it came by. */

import type { Answered } from '../../protocol/localapi/exchange.ts';
import type { NodeAnswers } from '../../protocol/localapi/node.ts';
import type { NodeRequests } from '../../protocol/localapi/node-requests.ts';
import type { NodeAction } from '../../protocol/localapi/node-rights.ts';
import type { Asker } from '../../store/local-http.ts';
import type { NodeCaller } from './caller.ts';
import type { NodeBackend } from './ports.ts';

export interface ApiPorts {
  readonly backend: NodeBackend;
  /** For the marker of a bug report. */
  random(lengthBytes: number): Uint8Array;
}

export type NodeHandler<A extends NodeAction> = (
  ports: ApiPorts,
  request: NodeRequests[A],
  caller: NodeCaller,
  asker: Asker,
) => Promise<Answered<NodeAnswers[A]>>;

export type NodeHandlers<A extends NodeAction> = { readonly [One in A]: NodeHandler<One> };
