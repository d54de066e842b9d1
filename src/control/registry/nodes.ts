/** Changes of nodes by people, and what a node says of itself that others build on: name, expiry, tags, end. */

import type { UnixMillis } from '../../base/time.ts';
import { rested } from './addresses.ts';
import type { Context, Outcome, RegistryEvent } from './change.ts';
import { done, refused, unchanged } from './change.ts';
import { dropDevice, dropNode, putNode } from './edit.ts';
import type { MeshNode, Model, NodeId } from './model.ts';
import { devicesOf, isExpired, nodeHolder } from './model.ts';
import { freeName, isLabel, sanitisedName } from './names.ts';
import { canonicalTags, tagFault } from './tags.ts';

export const nodeText = ({ id, name }: MeshNode): string => `node ${id} (${name})`;

/** @param request.name the label; empty: follow the machine's host name again */
export function renameNode(
  model: Model,
  request: { readonly node: NodeId; readonly name: string },
  context: Context,
): Outcome<MeshNode> {
  const before = model.nodes.get(request.node);
  if (before === undefined) return missing(request.node);
  const { name } = request;
  const holder = nodeHolder(before.id);
  if (name === '') {
    const label = freeName(model, sanitisedName(before.hostname), holder);
    return saved(model, before, { name: label, renamed: false }, 'nodes.rename', context);
  }
  if (!isLabel(name))
    return refused(
      'bad request',
      `'${name}' is no name: a-z, 0-9 and -, at most 63, not at an end`,
    );
  const held = model.index.labels.get(name);
  if (held !== undefined && held !== holder) return refused('taken', `${name} is taken by ${held}`);
  return saved(model, before, { name, renamed: true }, 'nodes.rename', context);
}

/**
 * The host name that the machine says now. Most of the time it is as before, and then nothing is changed, nor
 * written.
 */
export function noteHostname(
  model: Model,
  request: { readonly node: NodeId; readonly hostname: string },
  context: Context,
): Outcome<MeshNode> {
  const before = model.nodes.get(request.node);
  if (before === undefined) return missing(request.node);
  const hostname = request.hostname.slice(0, 256);
  if (hostname === before.hostname) return unchanged(model, before);
  const label = sanitisedName(hostname);
  const same = before.renamed || label === sanitisedName(before.hostname);
  const name = same ? before.name : freeName(model, label, nodeHolder(before.id));
  return saved(model, before, { hostname, name }, 'nodes.hostname', context);
}

/** @param request.at when the key runs out: now or before to end it, null for never */
export function setExpiry(
  model: Model,
  request: { readonly node: NodeId; readonly at: UnixMillis | null },
  context: Context,
): Outcome<MeshNode> {
  const before = model.nodes.get(request.node);
  if (before === undefined) return missing(request.node);
  if (request.at !== null && !Number.isFinite(request.at))
    return refused('bad request', 'the expiry is no time');
  return saved(model, before, { keyExpires: request.at }, 'nodes.expire', context);
}

/** The node's own wish: its key ends now, and with an ephemeral node everything. */
export function logOut(model: Model, node: MeshNode, context: Context): Outcome<MeshNode | null> {
  return node.ephemeral
    ? deleteNode(model, { node: node.id }, context)
    : saved(model, node, { keyExpires: context.now }, 'nodes.logout', context);
}

/** A person gives tags, which then own the node; its user and his key's expiry are gone. */
export function tagNode(
  model: Model,
  request: { readonly node: NodeId; readonly tags: readonly string[] },
  context: Context,
): Outcome<MeshNode> {
  const before = model.nodes.get(request.node);
  if (before === undefined) return missing(request.node);
  const tags = canonicalTags(request.tags);
  const fault = tagFault(tags);
  if (fault !== undefined) return fault;
  if (tags.length === 0)
    return refused('bad request', 'a node without tags needs a user: let it log in again');
  // A key that has run out is not brought back by a tag.
  const keyExpires = isExpired(before, context.now) ? before.keyExpires : null;
  return saved(model, before, { tags, user: null, keyExpires }, 'nodes.tag', context);
}

/** The node, its devices and what it said; its addresses rest. Whoever holds its key is a stranger from now on. */
export function deleteNode(
  model: Model,
  request: { readonly node: NodeId },
  context: Context,
): Outcome<null> {
  const node = model.nodes.get(request.node);
  if (node === undefined) return missing(request.node);
  const devices = devicesOf(model, node.id);
  const withoutDevices = devices.reduce(
    (next, device) => rested(dropDevice(next, device), device.ip4, context),
    model,
  );
  const without = rested(dropNode(withoutDevices, node), node.ip4, context);
  return done(
    without,
    context,
    [{ type: 'node removed', node: node.id }],
    { action: 'nodes.delete', target: nodeText(node), before: node, after: null },
    null,
  );
}

/** `before` with some fields changed, as an outcome; nothing where they are as they were. */
export function saved(
  model: Model,
  before: MeshNode,
  fields: Partial<MeshNode>,
  action: string,
  context: Context,
): Outcome<MeshNode> {
  const names = Object.keys(fields) as (keyof MeshNode)[];
  const differing = names.filter((name) => !sameValue(before[name], fields[name]));
  if (differing.length === 0) return unchanged(model, before);
  const node = { ...before, ...fields };
  const part = (from: MeshNode): unknown =>
    Object.fromEntries(differing.map((name) => [name, from[name]]));
  const event: RegistryEvent = { type: 'node changed', node: node.id };
  return done(
    putNode(model, node),
    context,
    [event],
    { action, target: nodeText(before), before: part(before), after: part(node) },
    node,
  );
}

export const missing = (node: NodeId): ReturnType<typeof refused> =>
  refused('not found', `there is no node ${node}`);

function sameValue(a: unknown, b: unknown): boolean {
  if (!Array.isArray(a) || !Array.isArray(b)) return a === b;
  return a.length === b.length && a.every((one, i) => one === b[i]);
}
