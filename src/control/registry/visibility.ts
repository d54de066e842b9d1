/**
 * Who sees and reaches what, as a port: the policy engine will fit `AccessPolicy`, and `ownersOnly` stands
 * in its place until then.
 *
 *     viewer's user = node's user                      peers; all ports, and the routes it is allowed
 *     viewer's user owns a LAN device of the node      peers; all ports of that device alone
 *     anything else, anything tagged                   nothing
 *
 * Being peers is symmetric, since a tunnel has two ends; being reached is not. A plain WireGuard device is a
 * source like the nodes of its owner, with the address that is its own.
 */

import { effectiveRoutes } from './effective-routes.ts';
import type { LanDevice, MeshNode, Model, NodeId, UserId } from './model.ts';
import { devicesOf, nodesInOrder } from './model.ts';

/** What may enter a node: every port of the destinations, from the sources. Addresses and prefixes as text. */
export interface AccessRule {
  readonly sources: readonly string[];
  readonly destinations: readonly string[];
}

export interface AccessPolicy {
  /** Whether each has the other in its map; symmetric, and false for a node and itself. */
  arePeers(model: Model, a: MeshNode, b: MeshNode): boolean;
  /** The packet filter of a node, by which the node itself decides. */
  rulesFor(model: Model, node: MeshNode): readonly AccessRule[];
  /** Whether the viewer may reach the device, and so learns its name and address. */
  mayReach(model: Model, viewer: MeshNode, device: LanDevice): boolean;
  /** The users whose device it is; the first one is who a plain WireGuard device counts as. */
  deviceOwners(model: Model, device: LanDevice): readonly UserId[];
  /** Whether a user may give this tag to a node of his. */
  mayTag(model: Model, user: UserId, tag: string): boolean;
  /** Whether a prefix that the node announces needs nobody's approval. */
  approvesRoute(model: Model, node: MeshNode, prefix: string): boolean;
}

/**
 * The policy of a network that has none.
 *
 * @param lanOwners whose a device is instead of its node's owner's, by `lan:<name>`: `alice@` or a login
 */
export function ownersOnly(
  lanOwners: Readonly<Record<string, readonly string[]>> = {},
): AccessPolicy {
  const deviceOwners = (model: Model, device: LanDevice): readonly UserId[] => {
    const named = Object.hasOwn(lanOwners, `lan:${device.name}`)
      ? lanOwners[`lan:${device.name}`]
      : undefined;
    if (named !== undefined) return named.flatMap((alias) => userNamed(model, alias) ?? []);
    const user = model.nodes.get(device.node)?.user ?? null;
    return user === null ? [] : [user];
  };
  const sources = sourcesOnce(deviceOwners);
  const owns = (model: Model, user: UserId | null, device: LanDevice): boolean =>
    user !== null && device.shared && deviceOwners(model, device).includes(user);
  const hostsFor = (model: Model, host: MeshNode, viewer: MeshNode): boolean =>
    viewer.user !== null &&
    devicesOf(model, host.id).some((device) => owns(model, viewer.user, device));
  return {
    arePeers: (model, a, b) =>
      a.id !== b.id &&
      ((a.user !== null && a.user === b.user) || hostsFor(model, a, b) || hostsFor(model, b, a)),
    rulesFor: (model, node) => rulesFor(model, node, deviceOwners, sources),
    mayReach: (model, viewer, device) => owns(model, viewer.user, device),
    deviceOwners,
    mayTag: () => false,
    approvesRoute: () => false,
  };
}

/** The nodes that a viewer has as peers, in the order of their ids. */
export const peersOf = (
  model: Model,
  policy: AccessPolicy,
  viewer: MeshNode,
): readonly MeshNode[] =>
  nodesInOrder(model).filter((node) => policy.arePeers(model, viewer, node));

/** The LAN devices of a node that a viewer may reach. */
export const reachableDevices = (
  model: Model,
  policy: AccessPolicy,
  viewer: MeshNode,
  node: NodeId,
): readonly LanDevice[] =>
  devicesOf(model, node).filter(
    (device) => device.shared && policy.mayReach(model, viewer, device),
  );

/** The user of `alice@`, `alice` or `alice@example.org`. */
export const userNamed = (model: Model, alias: string): UserId | undefined =>
  model.index.userByLogin.get(alias.replace(/@$/, ''));

function rulesFor(
  model: Model,
  node: MeshNode,
  deviceOwners: AccessPolicy['deviceOwners'],
  sourcesFor: (model: Model, users: readonly UserId[]) => readonly string[],
): readonly AccessRule[] {
  const rules: AccessRule[] = [];
  const add = (users: readonly UserId[], destinations: readonly string[]): void => {
    const sources = sourcesFor(model, users);
    if (sources.length > 0) rules.push({ sources, destinations });
  };
  if (node.user !== null) add([node.user], [node.ip4, node.ip6, ...effectiveRoutes(node)]);
  for (const device of devicesOf(model, node.id))
    if (device.shared) add(deviceOwners(model, device), [device.ip4, device.ip6]);
  return rules;
}

/**
 * `sourcesOf`, one list for all who let the same users in: it is as long as the network, and each node asks.
 * A list that is as it was stays the same object.
 */
function sourcesOnce(
  deviceOwners: AccessPolicy['deviceOwners'],
): (model: Model, users: readonly UserId[]) => readonly string[] {
  const lists = new Map<string, { readonly of: Model; readonly list: readonly string[] }>();
  return (model, users) => {
    const key = users.join();
    const known = lists.get(key);
    const { nodes, devices, users: all } = model;
    if (known?.of.nodes === nodes && known.of.devices === devices && known.of.users === all)
      return known.list;
    const made = sourcesOf(model, users, deviceOwners);
    const list = known !== undefined && sameTexts(known.list, made) ? known.list : made;
    lists.set(key, { of: model, list });
    return list;
  };
}

const sameTexts = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((text, i) => text === b[i]);

/** The addresses that users come from: their nodes and their plain WireGuard devices. */
function sourcesOf(
  model: Model,
  users: readonly UserId[],
  deviceOwners: AccessPolicy['deviceOwners'],
): readonly string[] {
  const nodes = nodesInOrder(model).filter(({ user }) => user !== null && users.includes(user));
  const devices = [...model.devices.values()].filter(
    (device) =>
      device.kind === 'wireguard' &&
      device.shared &&
      users.includes(deviceOwners(model, device)[0] as UserId),
  );
  return [...nodes, ...devices].flatMap(({ ip4, ip6 }) => [ip4, ip6]);
}
