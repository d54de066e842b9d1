/**
 * The one door to all handlers: what is asked, by whom, in which shape, and only then the handler.
 *
 *     action known ──> right ──> shape of the request ──> handler ──> answer
 *       └─ not found     └─ denied   └─ bad request         └─ its refusal, or its error by class
 */

import { ConfigError, DeniedError, NetError } from '../../base/errors.ts';
import type { Answered } from '../../protocol/localapi/exchange.ts';
import type { NodeAnswers } from '../../protocol/localapi/node.ts';
import type { NodeRequests } from '../../protocol/localapi/node-requests.ts';
import { NODE_REQUESTS } from '../../protocol/localapi/node-requests.ts';
import type { NodeAction } from '../../protocol/localapi/node-rights.ts';
import { isNodeAction, mayDo, OPERATOR_GROUP } from '../../protocol/localapi/node-rights.ts';
import type { Shape } from '../../protocol/tailcfg/shape.ts';
import type { Asker } from '../../store/local-http.ts';
import type { NodeCaller } from './caller.ts';
import type { ApiPorts, NodeHandlers } from './handler.ts';
import { lookHandlers, watchHandler } from './looks.ts';
import { debugHandlers, lanHandlers, wishHandlers } from './operations.ts';

const HANDLERS: NodeHandlers<NodeAction> = {
  ...lookHandlers,
  ...watchHandler,
  ...wishHandlers,
  ...debugHandlers,
  ...lanHandlers,
};

/**
 * Answers one request.
 *
 * @param body as it came, parsed
 * @throws what is a fault of ours
 */
export async function perform(
  ports: ApiPorts,
  caller: NodeCaller,
  action: string,
  body: unknown,
  asker: Asker,
): Promise<Answered<object>> {
  if (!isNodeAction(action))
    return { ok: false, code: 'not found', reason: `there is nothing called ${action} here` };
  if (!mayDo(caller.operator, action))
    return {
      ok: false,
      code: 'denied',
      reason: `${action} is for root and the group ${OPERATOR_GROUP}: run this as root, or have yourself added to it`,
    };
  try {
    return await dispatch(action, ports, caller, body, asker);
  } catch (error) {
    const { message: reason } = error as Error;
    if (error instanceof ConfigError) return { ok: false, code: 'bad request', reason };
    if (error instanceof NetError) return { ok: false, code: 'unavailable', reason };
    if (error instanceof DeniedError) return { ok: false, code: 'denied', reason };
    throw error;
  }
}

async function dispatch<A extends NodeAction>(
  action: A,
  ports: ApiPorts,
  caller: NodeCaller,
  body: unknown,
  asker: Asker,
): Promise<Answered<NodeAnswers[A]>> {
  const shape: Shape<NodeRequests[A]> = NODE_REQUESTS[action];
  const fault = shape.fault(body, true);
  if (fault !== undefined) return { ok: false, code: 'bad request', reason: `${action}${fault}` };
  const handler: NodeHandlers<A>[A] = HANDLERS[action];
  // The copy has no field that is null instead of absent.
  return handler(ports, shape.copy(body as NodeRequests[A]), caller, asker);
}
