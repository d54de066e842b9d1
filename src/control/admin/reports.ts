/** The network as `control.sock` tells it: values of the model in the words of protocol/localapi. */

import type { UnixMillis } from '../../base/time.ts';
import type {
  DeviceReport,
  DnsReport,
  KeyReport,
  NodeDetail,
  NodeReport,
  RouteReport,
  UserReport,
  WaitingReport,
} from '../../protocol/localapi/control-reports.ts';
import { formatTime } from '../../protocol/tailcfg/time.ts';
import type { Network } from '../coordinator/coordinator.ts';
import { authKeyFault } from '../registry/auth-keys.ts';
import { isExitRoute } from '../registry/effective-routes.ts';
import { isOnline, liveNode } from '../registry/live.ts';
import type { Approval, AuthKey, LanDevice, MeshNode, Model, User } from '../registry/model.ts';
import { devicesOf, isExpired } from '../registry/model.ts';

export function userReport({ model }: Pick<Network, 'model'>, user: User): UserReport {
  const { id, login, displayName, role, created } = user;
  const nodes = [...model.nodes.values()].filter((node) => node.user === id).length;
  return { id, login, displayName, role, created: formatTime(created), nodes };
}

export function keyReport({ model, now }: Pick<Network, 'model' | 'now'>, key: AuthKey): KeyReport {
  const { id, prefix, tags, reusable, ephemeral, uses } = key;
  // What stands in the way is the key's; the clock's state is a health item.
  const fault = authKeyFault(model, key, { now, clockTrusted: true });
  return {
    id,
    prefix,
    user: loginOf(model, key.user),
    tags,
    reusable,
    ephemeral,
    created: formatTime(key.created),
    expires: timeOrNull(key.expires),
    uses,
    fault: fault?.reason ?? null,
  };
}

export function nodeReport({ model, live, now }: Network, node: MeshNode): NodeReport {
  const known = liveNode(live, node.id);
  const online = isOnline(live, node.id);
  const { hostinfo, lastSeen } = known;
  return {
    id: node.id,
    stableId: node.stableId,
    name: node.name,
    fqdn: fqdnOf(model, node),
    hostname: node.hostname,
    user: loginOf(model, node.user),
    tags: node.tags,
    addresses: [node.ip4, node.ip6],
    online,
    lastSeen: timeOrNull(online ? now : lastSeen),
    created: formatTime(node.created),
    keyExpires: timeOrNull(node.keyExpires),
    expired: isExpired(node, now),
    ephemeral: node.ephemeral,
    routes: {
      announced: node.announced,
      approved: node.approved,
      primary: node.announced.filter((prefix) => live.primaries.get(prefix) === node.id),
    },
    version: hostinfo.IPNVersion ?? '',
    os: hostinfo.OS ?? '',
  };
}

export function nodeDetail(network: Network, node: MeshNode): NodeDetail {
  const { model, live } = network;
  const { endpoints, homeDerp, capVersion } = liveNode(live, node.id);
  return {
    ...nodeReport(network, node),
    machineKey: node.machine,
    nodeKey: node.nodeKey,
    authKey: node.authKey,
    endpoints,
    homeDerp,
    capVersion,
    devices: devicesOf(model, node.id).map((device) => deviceReport(model, device)),
  };
}

export function waitingReport(approval: Approval): WaitingReport {
  const { id, hostname, machine, from, requestTags, announced, ephemeral, expires } = approval;
  return {
    id,
    hostname,
    machineKey: machine,
    from,
    requestTags,
    announced,
    ephemeral,
    expires: formatTime(expires),
  };
}

/** One for each prefix that the node announces, or may. */
export function routeReports(
  { live }: Pick<Network, 'live'>,
  node: MeshNode,
): readonly RouteReport[] {
  return [...new Set([...node.announced, ...node.approved])].sort().map((prefix) => ({
    prefix,
    node: node.name,
    nodeId: node.id,
    exit: isExitRoute(prefix),
    announced: node.announced.includes(prefix),
    approved: node.approved.includes(prefix),
    primary: live.primaries.get(prefix) === node.id,
    online: isOnline(live, node.id),
  }));
}

export function dnsReport({ settings, records }: Model): DnsReport {
  const { baseDomain, nameservers, splitDns, searchDomains, overrideLocalDns } = settings;
  const inOrder = [...records.values()].sort((a, b) =>
    `${a.name} ${a.value}` < `${b.name} ${b.value}` ? -1 : 1,
  );
  return {
    baseDomain,
    nameservers,
    splitDns,
    searchDomains,
    overrideLocalDns,
    records: inOrder,
  };
}

const fqdnOf = ({ settings }: Model, { name }: { readonly name: string }): string =>
  `${name}.${settings.baseDomain}`;

function deviceReport(model: Model, device: LanDevice): DeviceReport {
  const { id, kind, name, ip4, ip6, sshPort, mode, shared } = device;
  const addresses = [ip4, ip6];
  return { id, kind, name, fqdn: fqdnOf(model, device), addresses, sshPort, mode, shared };
}

const loginOf = ({ users }: Model, user: number | null): string | null =>
  user === null ? null : (users.get(user)?.login ?? null);

const timeOrNull = (instant: UnixMillis | null): string | null =>
  instant === null ? null : formatTime(instant);
