/**
 * Routes: list, approve, withdraw. What is asked for is added to, or taken from, what the node may route; one
 * of the exit pair brings or takes the other.
 */

import { formatPrefix, parsePrefix } from '../../base/prefix.ts';
import type { RoutesRequest } from '../../protocol/localapi/control-requests.ts';
import { answered } from '../../protocol/localapi/exchange.ts';
import type { Context, Outcome } from '../registry/change.ts';
import { refused } from '../registry/change.ts';
import { EXIT_ROUTES, isExitRoute } from '../registry/effective-routes.ts';
import type { MeshNode, Model } from '../registry/model.ts';
import { nodesInOrder } from '../registry/model.ts';
import { approveRoutes } from '../registry/routes.ts';
import type { Scope } from './caller.ts';
import { mayTouchNode } from './caller.ts';
import type { Found } from './finding.ts';
import { findNode } from './finding.ts';
import type { Handlers } from './handler.ts';
import { changed } from './handler.ts';
import { nodeReport, routeReports } from './reports.ts';

export const routeHandlers: Handlers<'routes.list' | 'routes.approve' | 'routes.withdraw'> = {
  'routes.list': async ({ coordinator: { network } }, scope, request) => {
    const { model } = network;
    const found = request.node === undefined ? undefined : findNode(model, scope, request.node);
    if (found?.ok === false) return found;
    const nodes = nodesInOrder(model)
      .filter((node) => mayTouchNode(scope, node))
      .filter(({ id }) => found === undefined || id === found.it.id);
    return answered({ routes: nodes.flatMap((node) => routeReports(network, node)) });
  },
  'routes.approve': (ports, scope, request) =>
    changed(
      ports,
      scope,
      (model, context) => approveMore(model, scope, request, context),
      (network, node) => ({ node: nodeReport(network, node) }),
    ),
  'routes.withdraw': (ports, scope, request) =>
    changed(
      ports,
      scope,
      (model, context) => withdraw(model, scope, request, context),
      (network, node) => ({ node: nodeReport(network, node) }),
    ),
};

function approveMore(
  model: Model,
  scope: Scope,
  request: RoutesRequest,
  context: Context,
): Outcome<MeshNode> {
  const found = findNode(model, scope, request.node);
  if (!found.ok) return found;
  const { id, announced, approved } = found.it;
  const wanted = wantedPrefixes(request, found.it, announced);
  if (!wanted.ok) return wanted;
  return approveRoutes(model, { node: id, prefixes: [...approved, ...wanted.it] }, context);
}

function withdraw(
  model: Model,
  scope: Scope,
  request: RoutesRequest,
  context: Context,
): Outcome<MeshNode> {
  const found = findNode(model, scope, request.node);
  if (!found.ok) return found;
  const { id, name, approved } = found.it;
  const wanted = wantedPrefixes(request, found.it, approved);
  if (!wanted.ok) return wanted;
  const strange = wanted.it.find((prefix) => !approved.includes(prefix));
  if (strange !== undefined)
    return refused(
      'not found',
      `${strange} is not approved for ${name}, which may route ${approved.join(', ') || 'nothing'}`,
    );
  const left = approved.filter((prefix) => !wanted.it.includes(prefix));
  return approveRoutes(model, { node: id, prefixes: left }, context);
}

/** @param all what `all` stands for */
function wantedPrefixes(
  { prefixes = [], exit = false, all = false }: RoutesRequest,
  { name }: MeshNode,
  everything: readonly string[],
): Found<readonly string[]> {
  const wanted = new Set<string>(all ? everything : []);
  for (const text of prefixes) {
    const prefix = parsePrefix(text);
    if (prefix === undefined)
      return refused('bad request', `'${text}' is no prefix; wanted one like 192.168.1.0/24`);
    wanted.add(formatPrefix(prefix));
  }
  if (exit || [...wanted].some(isExitRoute)) for (const prefix of EXIT_ROUTES) wanted.add(prefix);
  if (wanted.size > 0) return { ok: true, it: [...wanted] };
  return all
    ? refused('not found', `${name} has no routes`)
    : refused('bad request', 'which routes? Name prefixes, the exit, or all');
}
