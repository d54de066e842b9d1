/**
 * Subnet routes and exit nodes: what a node announces, what a person approves, and which of several routers a
 * prefix goes to.
 *
 *     primary of a prefix     the present one while it is connected and healthy
 *                             else the healthy one of the lowest id
 *                             else, all being ill, the present one while it is connected; else nobody
 *
 * Exit routes have no primary: each viewer chooses its exit.
 *
 * Source: reference/protocol.md 8.
 */

import { formatPrefix, parsePrefix } from '../../base/prefix.ts';
import type { UnixMillis } from '../../base/time.ts';
import type { Context, Outcome } from './change.ts';
import { done, refused, unchanged } from './change.ts';
import { putNode } from './edit.ts';
import {
  canonicalRoutes,
  EXIT_ROUTES,
  effectiveRoutes,
  isExitRoute,
  isRoutable,
  MAX_ROUTES,
} from './effective-routes.ts';
import { withPolicyRoutes } from './enroll.ts';
import type { MeshNode, Model, NodeId } from './model.ts';
import { isExpired, nodesInOrder } from './model.ts';
import { missing, saved } from './nodes.ts';
import type { PersistentMap } from './persistent-map.ts';

/** What a node offers to route from now on. What was approved stays approved, for when it offers it again. */
export function announceRoutes(
  model: Model,
  request: { readonly node: NodeId; readonly prefixes: readonly string[] },
  context: Context,
): Outcome<MeshNode> {
  const before = model.nodes.get(request.node);
  if (before === undefined) return missing(request.node);
  const announced = canonicalRoutes(request.prefixes);
  const after = withPolicyRoutes(model, { ...before, announced }, context);
  const fields = { announced, approved: after.approved };
  return saved(model, before, fields, 'routes.announce', context);
}

/** The whole list of what a node may route; one of the exit pair brings the other. */
export function approveRoutes(
  model: Model,
  request: { readonly node: NodeId; readonly prefixes: readonly string[] },
  context: Context,
): Outcome<MeshNode> {
  const before = model.nodes.get(request.node);
  if (before === undefined) return missing(request.node);
  if (request.prefixes.length > MAX_ROUTES)
    return refused('bad request', `more than ${MAX_ROUTES} prefixes for one node`);
  const approved = new Set<string>();
  for (const text of request.prefixes) {
    const prefix = parsePrefix(text);
    if (prefix === undefined) return refused('bad request', `'${text}' is no prefix`);
    const canonical = formatPrefix(prefix);
    if (!isRoutable(canonical))
      return refused('denied', `${canonical} is the mesh's own; its addresses are not routed`);
    for (const one of isExitRoute(canonical) ? EXIT_ROUTES : [canonical]) approved.add(one);
  }
  return saved(model, before, { approved: [...approved].sort() }, 'routes.approve', context);
}

/** What is known of a router at this moment. */
export interface RouterFacts {
  readonly connected: boolean;
  /** It answers probes; a router that was never probed is healthy. */
  readonly healthy: boolean;
}

/** Who may be the router of each subnet prefix, in order; connected or not. */
export function routersOf(model: Model, now: UnixMillis): ReadonlyMap<string, readonly NodeId[]> {
  const routers = new Map<string, NodeId[]>();
  for (const node of nodesInOrder(model)) {
    if (node.announced.length === 0 || isExpired(node, now)) continue;
    for (const prefix of effectiveRoutes(node)) {
      if (isExitRoute(prefix)) continue;
      const known = routers.get(prefix);
      if (known === undefined) routers.set(prefix, [node.id]);
      else known.push(node.id);
    }
  }
  return routers;
}

/** The routers of all prefixes. The same map where nothing moved. */
export function electedPrimaries(
  model: Model,
  previous: PersistentMap<string, NodeId>,
  factsOf: (node: NodeId) => RouterFacts,
  now: UnixMillis,
): PersistentMap<string, NodeId> {
  const routers = routersOf(model, now);
  let next = previous;
  for (const [prefix] of previous.entries()) if (!routers.has(prefix)) next = next.delete(prefix);
  for (const [prefix, ids] of routers) {
    const primary = elected(ids, previous.get(prefix), factsOf);
    next = primary === undefined ? next.delete(prefix) : next.set(prefix, primary);
  }
  return next;
}

/** @param ids in order */
function elected(
  ids: readonly NodeId[],
  present: NodeId | undefined,
  factsOf: (node: NodeId) => RouterFacts,
): NodeId | undefined {
  const kept = present !== undefined && ids.includes(present) ? present : undefined;
  const good = (id: NodeId): boolean => factsOf(id).connected && factsOf(id).healthy;
  if (kept !== undefined && good(kept)) return kept;
  const best = ids.find(good);
  if (best !== undefined) return best;
  return kept !== undefined && factsOf(kept).connected ? kept : undefined;
}

/** Lets the policy approve what nodes announce, after the policy has changed. */
export function approveByPolicy(model: Model, context: Context): Outcome<null> {
  const changed = nodesInOrder(model).flatMap((node) => {
    const after = withPolicyRoutes(model, node, context);
    return after === node ? [] : [after];
  });
  if (changed.length === 0) return unchanged(model, null);
  return done(
    changed.reduce(putNode, model),
    context,
    changed.map(({ id }) => ({ type: 'node changed', node: id })),
    {
      action: 'routes.policy',
      target: `${changed.length} nodes`,
      before: null,
      after: Object.fromEntries(changed.map(({ name, approved }) => [name, approved])),
    },
    null,
  );
}
