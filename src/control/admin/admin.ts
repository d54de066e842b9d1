/**
 * The one door to all handlers: what is asked, by whom, in which shape, and only then the handler.
 *
 *     action known ──> right of the role ──> shape of the request ──> handler ──> answer
 *       └─ not found      └─ denied             └─ bad request          └─ its refusal
 */

import type { Answers } from '../../protocol/localapi/control.ts';
import type { Requests } from '../../protocol/localapi/control-requests.ts';
import { REQUESTS } from '../../protocol/localapi/control-requests.ts';
import type { Action } from '../../protocol/localapi/control-rights.ts';
import { isAction, ROLES, rightOf } from '../../protocol/localapi/control-rights.ts';
import type { Answered } from '../../protocol/localapi/exchange.ts';
import type { Shape } from '../../protocol/tailcfg/shape.ts';
import { refused } from '../registry/change.ts';
import type { Caller, Scope } from './caller.ts';
import { dnsHandlers } from './dns.ts';
import type { AdminPorts, Handlers } from './handler.ts';
import { keyHandlers } from './keys.ts';
import { lookHandlers } from './looks.ts';
import { loginHandlers, nodeHandlers } from './nodes.ts';
import { routeHandlers } from './routes.ts';
import { userHandlers } from './users.ts';

const HANDLERS: Handlers<Action> = {
  ...userHandlers,
  ...keyHandlers,
  ...nodeHandlers,
  ...loginHandlers,
  ...routeHandlers,
  ...dnsHandlers,
  ...lookHandlers,
};

/**
 * Answers one request.
 *
 * @param body as it came, parsed
 * @throws what is a fault of ours
 */
export async function perform(
  ports: AdminPorts,
  caller: Caller,
  action: string,
  body: unknown,
): Promise<Answered<Answers[Action]>> {
  if (!isAction(action)) return refused('not found', `there is nothing called ${action} here`);
  const right = rightOf(caller.role, action);
  if (right === 'no') {
    const others = ROLES.filter((role) => rightOf(role, action) !== 'no').join(' or ');
    return refused('denied', `${action} is not for a ${caller.role}; wanted: ${others}`);
  }
  return dispatch(action, ports, { ...caller, right }, body);
}

async function dispatch<A extends Action>(
  action: A,
  ports: AdminPorts,
  scope: Scope,
  body: unknown,
): Promise<Answered<Answers[A]>> {
  const shape: Shape<Requests[A]> = REQUESTS[action];
  const fault = shape.fault(body, true);
  if (fault !== undefined) return refused('bad request', `${action}${fault}`);
  const handler: Handlers<A>[A] = HANDLERS[action];
  // The copy has no field that is null instead of absent.
  return handler(ports, scope, shape.copy(body as Requests[A]));
}
