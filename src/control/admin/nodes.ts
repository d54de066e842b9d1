/** Nodes: list, show, rename, expire, delete, tag; and the logins that wait for a person. */

import { unixMillis } from '../../base/time.ts';
import { parseWhen } from '../../protocol/localapi/control-durations.ts';
import type { ApprovalRequest } from '../../protocol/localapi/control-requests.ts';
import { answered } from '../../protocol/localapi/exchange.ts';
import { refuseApproval, waitingApprovals } from '../registry/approvals.ts';
import type { Context, Outcome } from '../registry/change.ts';
import { refused } from '../registry/change.ts';
import { approve } from '../registry/enroll.ts';
import type { MeshNode, Model, NodeId, Owner } from '../registry/model.ts';
import { nodesInOrder } from '../registry/model.ts';
import { deleteNode, renameNode, setExpiry, tagNode } from '../registry/nodes.ts';
import { canonicalTags, tagFault } from '../registry/tags.ts';
import type { Scope } from './caller.ts';
import { mayTouchNode } from './caller.ts';
import type { Found } from './finding.ts';
import { findApproval, findNode, findUser } from './finding.ts';
import type { Handlers } from './handler.ts';
import { changed } from './handler.ts';
import { nodeDetail, nodeReport, waitingReport } from './reports.ts';

export const nodeHandlers: Handlers<
  'nodes.list' | 'nodes.show' | 'nodes.rename' | 'nodes.expire' | 'nodes.delete' | 'nodes.tag'
> = {
  'nodes.list': async ({ coordinator: { network } }, scope, request) => {
    const { model } = network;
    const user = request.user === undefined ? undefined : findUser(model, scope, request.user);
    if (user?.ok === false) return user;
    const nodes = nodesInOrder(model)
      .filter((node) => mayTouchNode(scope, node))
      .filter((node) => user === undefined || node.user === user.it.id);
    return answered({ nodes: nodes.map((node) => nodeReport(network, node)) });
  },
  'nodes.show': async ({ coordinator: { network } }, scope, request) => {
    const found = findNode(network.model, scope, request.node);
    return found.ok ? answered({ node: nodeDetail(network, found.it) }) : found;
  },
  'nodes.rename': (ports, scope, { node, name }) =>
    changed(
      ports,
      scope,
      (model, context) =>
        withNode(model, scope, node, (id) => renameNode(model, { node: id, name }, context)),
      (network, after) => ({ node: nodeReport(network, after) }),
    ),
  'nodes.expire': (ports, scope, { node, when }) =>
    changed(
      ports,
      scope,
      (model, context) => withNode(model, scope, node, (id) => expire(model, id, when, context)),
      (network, after) => ({ node: nodeReport(network, after) }),
    ),
  'nodes.delete': (ports, scope, request) =>
    changed(
      ports,
      scope,
      (model, context) => {
        const found = findNode(model, scope, request.node);
        if (!found.ok) return found;
        const outcome = deleteNode(model, { node: found.it.id }, context);
        return outcome.ok ? { ...outcome, result: found.it.name } : outcome;
      },
      (_network, deleted) => ({ deleted }),
    ),
  'nodes.tag': (ports, scope, { node, tags }) =>
    changed(
      ports,
      scope,
      (model, context) =>
        withNode(model, scope, node, (id) => tagNode(model, { node: id, tags }, context)),
      (network, after) => ({ node: nodeReport(network, after) }),
    ),
};

export const loginHandlers: Handlers<'nodes.waiting' | 'nodes.approve' | 'nodes.refuse'> = {
  'nodes.waiting': async ({ coordinator: { network } }) => {
    const waiting = waitingApprovals(network.model, network.now);
    return answered({ waiting: waiting.map(waitingReport) });
  },
  'nodes.approve': (ports, scope, request) =>
    changed(
      ports,
      scope,
      (model, context) => {
        const found = findApproval(model, scope, request.approval, context.now);
        if (!found.ok) return found;
        const owner = ownerFor(model, scope, request);
        return owner.ok
          ? approve(model, { approval: found.it.id, owner: owner.it }, context)
          : owner;
      },
      (network, node) => ({ node: nodeReport(network, node) }),
    ),
  'nodes.refuse': (ports, scope, request) =>
    changed(
      ports,
      scope,
      (model, context) => {
        const found = findApproval(model, scope, request.approval, context.now);
        if (!found.ok) return found;
        const outcome = refuseApproval(model, { approval: found.it.id }, context);
        return outcome.ok ? { ...outcome, result: found.it.id } : outcome;
      },
      (_network, id) => ({ refused: id }),
    ),
};

function withNode(
  model: Model,
  scope: Scope,
  text: string,
  change: (id: NodeId) => Outcome<MeshNode>,
): Outcome<MeshNode> {
  const found = findNode(model, scope, text);
  return found.ok ? change(found.it.id) : found;
}

function expire(model: Model, node: NodeId, text: string, context: Context): Outcome<MeshNode> {
  const when = parseWhen(text);
  switch (when?.type) {
    case undefined:
      return refused('bad request', `'${text}' is no time`);
    case 'now':
      return setExpiry(model, { node, at: context.now }, context);
    case 'never':
      return setExpiry(model, { node, at: null }, context);
    case 'in':
      return setExpiry(model, { node, at: unixMillis(context.now + when.millis) }, context);
    case 'at':
      return setExpiry(model, { node, at: when.instant }, context);
  }
}

/** Whose the machine is to be. Neither user nor tags: the asker's own. */
function ownerFor(model: Model, scope: Scope, { user, tags = [] }: ApprovalRequest): Found<Owner> {
  if (user !== undefined && tags.length > 0)
    return refused('bad request', 'a node has one owner: name a user or tags, not both');
  if (tags.length > 0) {
    if (scope.right === 'own')
      return refused('denied', `a ${scope.role} gives no tags; an admin may`);
    const fault = tagFault(tags);
    return fault ?? { ok: true, it: { user: null, tags: canonicalTags(tags) } };
  }
  if (user !== undefined) {
    const found = findUser(model, scope, user);
    return found.ok ? { ok: true, it: { user: found.it.id, tags: [] } } : found;
  }
  if (scope.user !== null) return { ok: true, it: { user: scope.user, tags: [] } };
  return refused('bad request', 'whose is the node to be? Name a user or tags');
}
