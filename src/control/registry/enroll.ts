/**
 * Becoming a member: a registration as a change, the approval of one that waits, and the node that either
 * makes or renews.
 *
 *     register ── decide ──> enroll by key ──┐
 *        │                                   ├──> the node: a new one, or the machine's own with a new key
 *        └──> approval opened ──> approve ───┘
 *
 * Until a rotation is approved the old entry serves; then its key is swapped, and id, addresses, name and,
 * for the same owner, routes stay. A machine that comes back as another user's becomes another node, and the
 * entry whose key it gave up expires: no right passes from one owner to the next.
 */

import { toHex } from '../../base/bytes.ts';
import type { UnixMillis } from '../../base/time.ts';
import { unixMillis } from '../../base/time.ts';
import { allotted } from './addresses.ts';
import { openApproval } from './approvals.ts';
import type { Context, Outcome, RegistryEvent } from './change.ts';
import { done, refused, unchanged } from './change.ts';
import { putAuthKey, putNode } from './edit.ts';
import { canonicalRoutes, isRoutable } from './effective-routes.ts';
import type { Approval, AuthKey, MeshNode, Model, Owner } from './model.ts';
import { isExpired, nodeHolder, ownerOf } from './model.ts';
import { freeName, sanitisedName } from './names.ts';
import { logOut, nodeText } from './nodes.ts';
import type { Registration } from './register.ts';
import { decide, keyOwner, requestTagFault, sameOwner } from './register.ts';
import { canonicalTags } from './tags.ts';

export type Registered =
  | { readonly type: 'member'; readonly node: MeshNode }
  | { readonly type: 'logged out' }
  /** Answer when this approval is settled, by deciding again. */
  | { readonly type: 'wait'; readonly approval: string }
  | { readonly type: 'login needed'; readonly approval: string };

export function register(
  model: Model,
  request: Registration,
  context: Context,
): Outcome<Registered> {
  const decision = decide(model, request, context);
  switch (decision.to) {
    case 'refuse':
      return decision.why;
    case 'go on':
      return unchanged(model, { type: 'member', node: decision.node });
    case 'rotate':
      return rotated(model, decision.node, request, context);
    case 'wait':
      return unchanged(model, { type: 'wait', approval: decision.approval.id });
    case 'ask':
      return openApproval(model, request, context);
    case 'log out': {
      if (decision.node === undefined || isExpired(decision.node, context.now))
        return unchanged(model, { type: 'logged out' });
      const out = logOut(model, decision.node, context);
      return out.ok ? { ...out, result: { type: 'logged out' } } : out;
    }
    case 'enroll': {
      const { key } = decision;
      const used = putAuthKey(model, { ...key, uses: key.uses + 1 });
      const asked = canonicalTags(request.requestTags);
      const owner = asked.length > 0 && key.user !== null ? tagged(asked) : keyOwner(key);
      const joined = enrolled(used, request, owner, key, context);
      return joined.ok ? { ...joined, result: { type: 'member', node: joined.result } } : joined;
    }
  }
}

function rotated(
  model: Model,
  before: MeshNode,
  { nodeKey }: Registration,
  context: Context,
): Outcome<Registered> {
  const node = { ...before, nodeKey };
  return done(
    putNode(model, node),
    context,
    [{ type: 'node changed', node: node.id }],
    { action: 'nodes.rotate', target: nodeText(node), before, after: node },
    { type: 'member', node },
  );
}

/** A person lets a waiting machine in, as a user's or with tags. */
export function approve(
  model: Model,
  request: { readonly approval: string; readonly owner: Owner },
  context: Context,
): Outcome<MeshNode> {
  const approval = model.approvals.get(request.approval);
  if (approval === undefined || context.now >= approval.expires || approval.refused)
    return refused('not found', 'this login is not waiting any more; the machine must ask again');
  const { owner } = request;
  if (owner.user !== null && !model.users.has(owner.user))
    return refused('not found', `there is no user ${owner.user}`);
  const fault = requestTagFault(model, approval, owner, context);
  if (fault !== undefined) return fault;
  const holder = model.index.nodeByKey.get(approval.nodeKey);
  if (holder !== undefined && model.nodes.get(holder)?.machine !== approval.machine)
    return refused('taken', 'this node key belongs to another machine by now');
  const asked = canonicalTags(approval.requestTags);
  const whose = asked.length > 0 && owner.user !== null ? tagged(asked) : owner;
  const settled = { ...model, approvals: model.approvals.delete(approval.id) };
  const joined = enrolled(settled, approval, whose, null, context);
  if (!joined.ok) return joined;
  const event: RegistryEvent = { type: 'approval settled', approval: approval.id };
  return { ...joined, events: [...joined.events, event] };
}

type Joining = Pick<
  Approval,
  'machine' | 'nodeKey' | 'oldNodeKey' | 'hostname' | 'announced' | 'ephemeral'
>;

function enrolled(
  model: Model,
  request: Joining,
  owner: Owner,
  key: AuthKey | null,
  context: Context,
): Outcome<MeshNode> {
  const { now } = context;
  const { own, retired } = entriesOf(model, request, owner);
  const gone = retired.filter((node) => !isExpired(node, now));
  let next = gone.reduce((model, node) => putNode(model, { ...node, keyExpires: now }), model);
  const kept = own ?? newNode(next, request, context);
  if (kept === undefined)
    return refused('full', `no address is free in ${model.settings.pool}; it must be made larger`);
  if ('model' in kept) next = kept.model;
  const before = 'model' in kept ? kept.node : kept;
  const announced = canonicalRoutes(request.announced);
  const settled: MeshNode = {
    ...before,
    nodeKey: request.nodeKey,
    user: owner.user,
    tags: owner.tags,
    keyExpires: expiryFor(owner, model, now),
    ephemeral: request.ephemeral || key?.ephemeral === true,
    authKey: key?.id ?? null,
    announced,
    approved: sameOwner(ownerOf(before), owner) ? before.approved : [],
  };
  const node = withPolicyRoutes(next, settled, context);
  return done(
    putNode(next, node),
    context,
    [
      { type: own === undefined ? 'node added' : 'node changed', node: node.id },
      ...gone.map(({ id }): RegistryEvent => ({ type: 'node changed', node: id })),
      ...(key === null ? [] : [{ type: 'keys changed' } as const]),
    ],
    {
      action: own === undefined ? 'nodes.join' : 'nodes.renew',
      target: nodeText(node),
      before: own ?? null,
      after: node,
    },
    node,
  );
}

/**
 * The entry that a machine comes back to, and those that it gave up for another owner.
 *
 * The same node key is the same entry, whoever owns it now; its approved routes do not pass on. Otherwise an
 * entry of another user is left behind, while tags and their absence are two states of one entry.
 */
function entriesOf(
  model: Model,
  request: Joining,
  owner: Owner,
): { readonly own: MeshNode | undefined; readonly retired: readonly MeshNode[] } {
  const byKey = (key: MeshNode['nodeKey'] | null): MeshNode | undefined => {
    const id = key === null ? undefined : model.index.nodeByKey.get(key);
    const node = id === undefined ? undefined : model.nodes.get(id);
    return node?.machine === request.machine ? node : undefined;
  };
  const holder = byKey(request.nodeKey);
  if (holder !== undefined) return { own: holder, retired: [] };
  const fits = (node: MeshNode): boolean =>
    sameOwner(ownerOf(node), owner) || node.user === null || owner.user === null;
  const old = byKey(request.oldNodeKey);
  if (old !== undefined && fits(old)) return { own: old, retired: [] };
  const ids = model.index.nodesByMachine.get(request.machine) ?? [];
  const ofMachine = ids.flatMap((id) => model.nodes.get(id) ?? []);
  const own =
    ofMachine.find((node) => sameOwner(ownerOf(node), owner)) ??
    (ofMachine.length === 1 ? ofMachine.find(fits) : undefined);
  return { own, retired: old === undefined ? [] : [old] };
}

function newNode(
  model: Model,
  request: Joining,
  { now, clockTrusted, random }: Context,
): { readonly model: Model; readonly node: MeshNode } | undefined {
  const given = allotted(model, { now, clockTrusted });
  if (given === undefined) return undefined;
  const { counters } = given.model;
  const id = counters.nextNode;
  const node: MeshNode = {
    id,
    stableId: `n${toHex(random.subarray(0, 8))}`,
    machine: request.machine,
    nodeKey: request.nodeKey,
    user: null,
    tags: [],
    name: freeName(model, sanitisedName(request.hostname), nodeHolder(id)),
    renamed: false,
    hostname: request.hostname.slice(0, 256),
    ip4: given.ip4,
    ip6: given.ip6,
    created: now,
    keyExpires: null,
    ephemeral: false,
    authKey: null,
    announced: [],
    approved: [],
  };
  return { model: { ...given.model, counters: { ...counters, nextNode: id + 1 } }, node };
}

/** The node with what the policy approves by itself; it adds and never takes away. */
export function withPolicyRoutes(
  model: Model,
  node: MeshNode,
  { policy }: Pick<Context, 'policy'>,
): MeshNode {
  const more = node.announced.filter(
    (prefix) =>
      !node.approved.includes(prefix) &&
      isRoutable(prefix) &&
      policy.approvesRoute(model, node, prefix),
  );
  return more.length === 0
    ? node
    : { ...node, approved: [...new Set([...node.approved, ...more])].sort() };
}

const tagged = (tags: readonly string[]): Owner => ({ user: null, tags });

function expiryFor(owner: Owner, { settings }: Model, now: UnixMillis): UnixMillis | null {
  if (owner.user === null || settings.keyLifetimeMillis === null) return null;
  return unixMillis(now + settings.keyLifetimeMillis);
}
