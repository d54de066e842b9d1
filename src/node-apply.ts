/**
 * What the network's map means to each room of the node, and what of it changes. Pure: a map, settings and what
 * was applied before come in; the settings of router and names, and changes of peers come out.
 *
 *     peer of the map  ->  key, prefixes that we take from it  ->  tunnel
 *                          disco key, endpoints, home relay    ->  paths
 *
 * Taken from every peer: hosts of the mesh, which are its own addresses and its LAN devices. Its routes only
 * where routes are accepted, and the default routes only from the exit node that is in use.
 */

import { parseEndpoint } from './base/endpoint.ts';
import { parseIp } from './base/ip.ts';
import type { NodePublic } from './base/keys.ts';
import type { Prefix } from './base/prefix.ts';
import { contains, equalPrefix, formatPrefix, parsePrefix } from './base/prefix.ts';
import type { NamesSetting } from './node/names/setting.ts';
import type { PathPeer } from './node/paths/ports.ts';
import type { RouterSetting } from './node/router/setting.ts';
import type { Netmap } from './node/session/netmap.ts';
import type { Prefs } from './node/session/prefs.ts';
import type { PeerChange } from './node/tunnel/configuration.ts';
import type { ResolverAddress } from './protocol/dns/resolver-address.ts';
import { parseResolver } from './protocol/dns/resolver-address.ts';
import { parseDiscoPublic, parseNodePublic } from './protocol/tailcfg/keys.ts';
import type { Node, Resolver } from './protocol/tailcfg/types.ts';

/** Inside a mesh; what it carries fits every path that carries anything. */
export const MESH_MTU_BYTES = 1280;

const MESH_RANGES: readonly Prefix[] = ['100.64.0.0/10', 'fd7a:115c:a1e0::/48'].flatMap((text) =>
  prefixes([text]),
);
const REVERSE_ZONES: readonly string[] = [
  // 100.64.0.0/10 is no whole number of labels.
  ...Array.from({ length: 64 }, (_, i) => `${64 + i}.100.in-addr.arpa`),
  '0.e.1.a.c.5.1.1.a.7.d.f.ip6.arpa',
];

/** A peer as tunnel and paths have it. */
export interface AppliedPeer {
  readonly node: Node;
  readonly key: NodePublic;
  readonly prefixes: readonly Prefix[];
  readonly path: PathPeer;
}

/** By NodeID. */
export type AppliedPeers = ReadonlyMap<number, AppliedPeer>;

export interface PeerSteps {
  readonly peers: AppliedPeers;
  readonly tunnel: readonly PeerChange[];
  readonly gone: readonly NodePublic[];
  readonly changed: readonly PathPeer[];
}

type Choice = Pick<Prefs, 'acceptRoutes' | 'exitNode'>;

/** Steps from what was applied before to what the map says; peers whose node is the same object are passed over. */
export function peerSteps(
  before: AppliedPeers,
  netmap: Netmap,
  choice: Choice,
  everyone: boolean,
): PeerSteps {
  const peers = new Map<number, AppliedPeer>();
  const tunnel: PeerChange[] = [];
  const gone: NodePublic[] = [];
  const changed: PathPeer[] = [];
  const exit = exitNodeOf(netmap, choice.exitNode)?.ID;
  const leave = ({ key }: AppliedPeer): void => {
    gone.push(key);
    tunnel.push({ publicKey: key, remove: true, allowedIps: [] });
  };
  for (const [id, peer] of before) {
    const now = netmap.peers.get(id);
    if (now === undefined || now.Key !== peer.node.Key) leave(peer);
  }
  for (const [id, node] of netmap.peers) {
    const was = before.get(id);
    const same = was !== undefined && was.node.Key === node.Key;
    if (same && was.node === node && !everyone) {
      peers.set(id, was);
      continue;
    }
    const made = appliedPeer(node, choice.acceptRoutes, id === exit);
    if (made === undefined) continue;
    peers.set(id, made);
    changed.push(made.path);
    const allowedIps = prefixSteps(same ? was.prefixes : [], made.prefixes);
    if (!same || allowedIps.length > 0) tunnel.push({ publicKey: made.key, allowedIps });
  }
  return { peers, tunnel, gone, changed };
}

function appliedPeer(node: Node, routes: boolean, exit: boolean): AppliedPeer | undefined {
  const key = parseNodePublic(node.Key);
  if (key === undefined) return undefined;
  const all = prefixes(node.AllowedIPs ?? node.Addresses);
  const taken = all.filter((prefix) => (prefix.bits === 0 ? exit : routes || isMeshHost(prefix)));
  return {
    node,
    key,
    prefixes: taken,
    path: {
      nodeKey: key,
      discoKey: node.DiscoKey === undefined ? undefined : parseDiscoPublic(node.DiscoKey),
      endpoints: (node.Endpoints ?? []).flatMap((text) => parseEndpoint(text) ?? []),
      homeRelay: node.HomeDERP ?? 0,
    },
  };
}

function prefixSteps(
  before: readonly Prefix[],
  now: readonly Prefix[],
): readonly { readonly prefix: Prefix; readonly remove: boolean }[] {
  const among = (list: readonly Prefix[]) => (prefix: Prefix) =>
    list.some((other) => equalPrefix(prefix, other));
  return [
    ...before.filter((p) => !among(now)(p)).map((prefix) => ({ prefix, remove: true })),
    ...now.filter((p) => !among(before)(p)).map((prefix) => ({ prefix, remove: false })),
  ];
}

/** The peer that a person chose to leave by: by StableID, address or name; only one that offers it. */
export function exitNodeOf(netmap: Netmap, wanted: string): Node | undefined {
  if (wanted === '') return undefined;
  return [...netmap.peers.values()].find(
    (peer) => offersExit(peer) && isCalled(peer, wanted, netmap.self),
  );
}

export const offersExit = ({ AllowedIPs }: Node): boolean =>
  AllowedIPs?.includes('0.0.0.0/0') === true || AllowedIPs?.includes('::/0') === true;

/** Whether a person may mean this node by `word`: key, StableID, address, full or short name. */
export function isCalled(node: Node, word: string, self: Node | undefined): boolean {
  if (word === node.StableID || word === node.Key) return true;
  const address = parseIp(word);
  if (address !== undefined)
    return prefixes(node.Addresses).some((prefix) => contains(prefix, address));
  const name = word.replace(/\.$/, '').toLowerCase();
  const full = nameOf(node);
  return name === full || `${name}.${suffixOf(self)}` === full;
}

/** Full name in small letters, without the dot at its end. */
export const nameOf = ({ Name }: Node): string => Name.replace(/\.$/, '').toLowerCase();

/** What follows the first label of our own name. */
export const suffixOf = (self: Node | undefined): string =>
  self === undefined ? '' : nameOf(self).split('.').slice(1).join('.');

/** Of what we offer, what the server has approved. */
export function approvedRoutes(netmap: Netmap, prefs: Prefs): readonly Prefix[] {
  const approved = prefixes(netmap.self?.AllowedIPs ?? []);
  const offered = prefixes([
    ...prefs.advertiseRoutes,
    ...(prefs.advertiseExitNode ? ['0.0.0.0/0', '::/0'] : []),
  ]);
  return offered.filter((route) => approved.some((other) => equalPrefix(route, other)));
}

export function routerSetting(
  netmap: Netmap,
  prefs: Prefs,
  peers: AppliedPeers,
  lan: RouterSetting['lan'],
): RouterSetting {
  const taken = [...peers.values()].flatMap((peer) => peer.prefixes);
  return {
    addresses: prefixes(netmap.self?.Addresses ?? []),
    routes: taken,
    exit: taken.some(({ bits }) => bits === 0),
    lanByExit: !prefs.exitNodeAllowLanAccess,
    advertised: approvedRoutes(netmap, prefs).map((prefix) => ({
      prefix,
      snat: prefs.snatSubnetRoutes && !prefs.snatExcept.includes(formatPrefix(prefix)),
    })),
    lan,
    mtuBytes: MESH_MTU_BYTES,
  };
}

/** @property plain a member's own name and those of its peers, by their addresses */
export function namesSetting({ self, peers, dns }: Netmap, prefs: Prefs): NamesSetting {
  const hosts = new Map<string, Uint8Array[]>();
  for (const node of [...peers.values(), ...(self === undefined ? [] : [self])])
    hosts.set(
      nameOf(node),
      prefixes(node.Addresses).map(({ address }) => address),
    );
  for (const { Name, Value } of dns?.ExtraRecords ?? []) {
    const address = parseIp(Value);
    const name = Name.replace(/\.$/, '').toLowerCase();
    if (address !== undefined) hosts.set(name, [...(hosts.get(name) ?? []), address]);
  }
  const suffix = suffixOf(self);
  const magic = dns?.Proxied === true;
  return {
    hosts: magic ? hosts : new Map(),
    ownDomains: magic ? [...(suffix === '' ? [] : [suffix]), ...REVERSE_ZONES] : [],
    search: dns?.Domains ?? [],
    routes: new Map(
      Object.entries(dns?.Routes ?? {}).flatMap(([name, list]) => {
        const usable = resolvers(list);
        // None that we can ask is not the same as none, which makes it a domain of ours.
        if (list.length > 0 && usable.length === 0) return [];
        return [[name.replace(/\.$/, '').toLowerCase(), usable]];
      }),
    ),
    resolvers: resolvers(dns?.Resolvers ?? []),
    fallback: resolvers(dns?.FallbackResolvers ?? []),
    manageSystem: prefs.acceptDns && dns !== undefined && self !== undefined,
  };
}

function resolvers(list: readonly Resolver[]): readonly ResolverAddress[] {
  return list.flatMap(({ Addr }) => parseResolver(Addr) ?? []);
}

export function prefixes(texts: readonly string[]): readonly Prefix[] {
  return texts.flatMap((text) => parsePrefix(text) ?? []);
}

const isMeshHost = (prefix: Prefix): boolean =>
  prefix.bits === prefix.address.length * 8 &&
  MESH_RANGES.some((range) => contains(range, prefix.address));

/** As `100.64.0.1/32`. */
export const prefixTexts = (list: readonly Prefix[]): readonly string[] => list.map(formatPrefix);
