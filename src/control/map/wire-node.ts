/**
 * A member as `Node` of a map: to itself, and to its peers.
 *
 *     Addresses    its own two, never a LAN device's
 *     AllowedIPs   those, then, where the viewer may use them: prefixes that it is the router of, exit routes,
 *                  and /32 and /128 of each LAN device behind it that the viewer may reach
 *     LastSeen     of one that is away alone: with it a client shows the node as offline
 *     Hostinfo     to others no more than they act on; the rest of it is the machine's own business
 *
 * A node does not hear its own endpoints again: it would build its whole network map anew each time.
 *
 * Source: reference/protocol.md 3.4 and 9.3.
 */

import type { UnixMillis } from '../../base/time.ts';
import { unixMillis } from '../../base/time.ts';
import { formatTime } from '../../protocol/tailcfg/time.ts';
import type { CapMap, Hostinfo, Node } from '../../protocol/tailcfg/types.ts';
import { effectiveRoutes, isExitRoute } from '../registry/effective-routes.ts';
import type { Live, LiveNode } from '../registry/live.ts';
import type { LanDevice, MeshNode } from '../registry/model.ts';

/** The profile that tagged nodes have in place of a user's; headscale gives them the same one. */
export const TAGGED_USER = 2_147_455_555;

/** What every node may do by itself: be administered, serve SSH, take files; and it never updates itself. */
const SELF_CAPABILITIES: CapMap = {
  'https://tailscale.com/cap/is-admin': [],
  'https://tailscale.com/cap/ssh': [],
  'https://tailscale.com/cap/file-sharing': [],
  'default-auto-update': [false],
};

/** 9999-12-31: what is later cannot be said, and means the same. */
const LAST_TIME = 253_402_300_799_999;
const HOUR_MILLIS = 3_600_000;

/** All that one form of a node depends on. */
export interface NodeFacts {
  readonly node: MeshNode;
  readonly live: LiveNode;
  readonly expired: boolean;
  /** `routerOf`; empty for a viewer who may not use them. */
  readonly routes: readonly string[];
  readonly devices: readonly LanDevice[];
  readonly baseDomain: string;
}

/** The prefixes that go to a node now. */
export function routerOf(live: Live, node: MeshNode, expired: boolean): readonly string[] {
  if (expired || node.approved.length === 0) return [];
  return effectiveRoutes(node).filter(
    (prefix) => isExitRoute(prefix) || live.primaries.get(prefix) === node.id,
  );
}

export function peerNode(facts: NodeFacts): Node {
  const { live } = facts;
  const online = live.session !== 0;
  return {
    ...commonNode(facts),
    ...(live.endpoints.length > 0 ? { Endpoints: live.endpoints } : {}),
    Online: online,
    ...(online || live.lastSeen === null ? {} : { LastSeen: timeText(live.lastSeen) }),
  };
}

export function selfNode(facts: NodeFacts): Node {
  return { ...commonNode(facts), Online: true, CapMap: SELF_CAPABILITIES };
}

/** What a node that is no member any more hears of itself, so that it asks its user to log in at once. */
export function formerNode(self: Node, now: UnixMillis): Node {
  return { ...self, KeyExpiry: timeText(unixMillis(now - HOUR_MILLIS)), Expired: true };
}

function commonNode({ node, live, expired, routes, devices, baseDomain }: NodeFacts): Node {
  const addresses = [`${node.ip4}/32`, `${node.ip6}/128`];
  const deviceAddresses = devices.flatMap(({ ip4, ip6 }) => [`${ip4}/32`, `${ip6}/128`]);
  const primary = routes.filter((prefix) => !isExitRoute(prefix));
  return {
    ID: node.id,
    StableID: node.stableId,
    Name: `${node.name}.${baseDomain}.`,
    User: node.user ?? TAGGED_USER,
    Key: node.nodeKey,
    ...(node.keyExpires === null ? {} : { KeyExpiry: timeText(node.keyExpires) }),
    ...(expired ? { Expired: true } : {}),
    Machine: node.machine,
    ...(live.discoKey === null ? {} : { DiscoKey: live.discoKey }),
    Addresses: addresses,
    AllowedIPs: [...addresses, ...routes, ...deviceAddresses],
    ...(primary.length > 0 ? { PrimaryRoutes: primary } : {}),
    ...(live.homeDerp === 0 ? {} : { HomeDERP: live.homeDerp }),
    Hostinfo: toldHostinfo(live.hostinfo, node.hostname),
    Created: timeText(node.created),
    ...(live.capVersion === 0 ? {} : { Cap: live.capVersion }),
    ...(node.tags.length > 0 ? { Tags: node.tags } : {}),
    MachineAuthorized: true,
  };
}

/** Services has the peer API's ports; host keys are what `tailscale ssh` expects the node to have. */
function toldHostinfo(
  { OS, Hostname, Services, sshHostKeys }: Hostinfo,
  hostname: string,
): Hostinfo {
  return {
    Hostname: Hostname ?? hostname,
    ...(OS === undefined ? {} : { OS }),
    ...(Services === undefined ? {} : { Services }),
    ...(sshHostKeys === undefined ? {} : { sshHostKeys }),
  };
}

const timeText = (instant: UnixMillis): string =>
  formatTime(unixMillis(Math.min(Math.max(instant, 0), LAST_TIME)));
