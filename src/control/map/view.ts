/**
 * A view: all that one viewer should know of the network, as one value. What a client is told is always the
 * difference of two views (difference.ts), so that nothing is remembered by one way and forgotten by another.
 *
 *     view      (network, viewer)                  every node is looked at
 *     revised   (view of before, network, news)    only what the news name is; equal to `view`
 *
 * A viewer whose key has expired sees itself and nobody else, and lets nothing in, until it logs in again.
 *
 * What a policy answers about two nodes may depend on these two, their devices and the users, and on nothing
 * else; a change of anything beyond must be told as `policy changed`.
 */

import type { UserProfile } from '../../protocol/tailcfg/map-types.ts';
import type { DERPMap, DNSConfig, Node } from '../../protocol/tailcfg/types.ts';
import type { Network } from '../coordinator/coordinator.ts';
import { liveNode } from '../registry/live.ts';
import type { LanDevice, MeshNode, Model, NodeId, User } from '../registry/model.ts';
import { devicesOf, isExpired } from '../registry/model.ts';
import type { AccessRule } from '../registry/visibility.ts';
import { peersOf, reachableDevices } from '../registry/visibility.ts';
import type { Touched } from './changes.ts';
import type { Filters } from './filters.ts';
import { FilterCutter, sameAccess } from './filters.ts';
import { Names } from './names.ts';
import type { Page, Peer } from './pages.ts';
import { rangeOf, type Sharing } from './pages.ts';
import type { Warnings } from './warnings.ts';
import { warningsFor } from './warnings.ts';
import { routerOf, selfNode, TAGGED_USER } from './wire-node.ts';

/** What main knows and the registry does not. */
export interface MapFacts {
  readonly derpMap: DERPMap;
}

/** Who looks, and by which version of a client. */
export interface Viewer {
  readonly id: NodeId;
  readonly version: number;
}

export interface View {
  readonly viewer: Viewer;
  readonly expired: boolean;
  readonly self: Node;
  /** By rising range; none is empty. */
  readonly pages: readonly Page[];
  /** What may enter, and the same as it is sent. */
  readonly rules: readonly AccessRule[];
  readonly filters: Filters;
  readonly dns: DNSConfig;
  /** The network's name, for a client's pages. */
  readonly domain: string;
  readonly profiles: ReadonlyMap<number, UserProfile>;
  readonly warnings: Warnings;
  readonly facts: MapFacts;
}

const TAGGED_PROFILE: UserProfile = {
  ID: TAGGED_USER,
  LoginName: 'tagged-devices',
  DisplayName: 'Tagged Devices',
};

/** What the views of a server have in common. */
export class Common {
  readonly sharing: Sharing;
  readonly cutter: FilterCutter = new FilterCutter();
  readonly names: Names = new Names();
  readonly #profiles = new WeakMap<User, UserProfile>();

  constructor(sharing: Sharing) {
    this.sharing = sharing;
  }

  profileOf(model: Model, id: number): UserProfile | undefined {
    const user = model.users.get(id);
    if (user === undefined) return id === TAGGED_USER ? TAGGED_PROFILE : undefined;
    const known = this.#profiles.get(user);
    if (known !== undefined) return known;
    const made = { ID: user.id, LoginName: user.login, DisplayName: user.displayName };
    this.#profiles.set(user, made);
    return made;
  }
}

/** @param node the viewer's own node */
export function view(
  network: Network,
  viewer: Viewer,
  node: MeshNode,
  facts: MapFacts,
  common: Common,
): View {
  const { model, policy } = network;
  const expired = isExpired(node, network.now);
  const nodes = expired ? [] : peersOf(model, policy, node);
  const peers = nodes.flatMap((peer) => common.sharing.peerOf(network, node, peer) ?? []);
  const pages = [...Map.groupBy(peers, (peer) => rangeOf(peer.node.ID)).values()].flatMap(
    (list) => common.sharing.page(list) ?? [],
  );
  const rules = expired ? [] : policy.rulesFor(model, node);
  const filters = common.cutter.filters(rules);
  return completed(network, node, { viewer, expired, pages, rules, filters, facts }, common);
}

/**
 * @param before the same viewer's view, true until then
 * @param touched what the news since then named
 */
export function revised(
  before: View,
  network: Network,
  node: MeshNode,
  facts: MapFacts,
  touched: Touched,
  common: Common,
): View {
  const { viewer } = before;
  const expired = isExpired(node, network.now);
  if (touched.all || touched.members.has(viewer.id) || expired !== before.expired)
    return view(network, viewer, node, facts, common);
  const pages = expired ? before.pages : pagesAfter(before.pages, network, node, touched, common);
  const sameMembers = touched.members.size === 0;
  // What is live of others says nothing of users, devices and rights, unless a fault comes or goes with it.
  if (sameMembers && !touched.live.has(viewer.id) && peerCount(pages) === peerCount(before.pages))
    return pages === before.pages && facts === before.facts ? before : { ...before, pages, facts };
  const rules =
    sameMembers || expired ? before.rules : network.policy.rulesFor(network.model, node);
  const filters = sameAccess(before.rules, rules) ? before.filters : common.cutter.filters(rules);
  return completed(network, node, { viewer, expired, pages, rules, filters, facts }, common);
}

/** The peers of a view, by rising id. */
export const peersIn = ({ pages }: View): readonly Node[] =>
  pages.flatMap(({ peers }) => peers.map(({ node }) => node));

export const peerCount = (pages: readonly Page[]): number =>
  pages.reduce((sum, { peers }) => sum + peers.length, 0);

/** What follows from the peers. */
function completed(
  network: Network,
  node: MeshNode,
  seen: Pick<View, 'viewer' | 'expired' | 'pages' | 'rules' | 'filters' | 'facts'>,
  common: Common,
): View {
  const { model, live, policy } = network;
  const { viewer, expired, pages } = seen;
  const own = devicesOf(model, node.id).filter(({ shared }) => shared);
  const others = pages.flatMap(({ devices }) => devices);
  const named = expired ? [] : reachableDevices(model, policy, node, node.id);
  const { hostinfo } = liveNode(live, node.id);
  return {
    ...seen,
    self: ownNode(network, node, expired, own),
    dns: common.names.configFor(model, [...others, ...named]),
    domain: model.settings.baseDomain,
    profiles: profilesOf(model, node, pages, common),
    warnings: warningsFor(viewer.version, hostinfo.OS, others.length),
  };
}

function ownNode(
  { live, model }: Network,
  node: MeshNode,
  expired: boolean,
  devices: readonly LanDevice[],
): Node {
  return selfNode({
    node,
    live: liveNode(live, node.id),
    expired,
    routes: routerOf(live, node, expired),
    devices,
    baseDomain: model.settings.baseDomain,
  });
}

/** Of the viewer and of all its peers: without one a client cannot say whose a node is. */
function profilesOf(
  model: Model,
  { user }: MeshNode,
  pages: readonly Page[],
  common: Common,
): ReadonlyMap<number, UserProfile> {
  const profiles = new Map<number, UserProfile>();
  const add = (id: number): void => {
    if (profiles.has(id)) return;
    const profile = common.profileOf(model, id);
    if (profile !== undefined) profiles.set(id, profile);
  };
  add(user ?? TAGGED_USER);
  for (const { users } of pages) for (const id of users) add(id);
  return profiles;
}

/** The pages with each touched node as it is now; the same list where none of them is seen differently. */
function pagesAfter(
  before: readonly Page[],
  network: Network,
  viewer: MeshNode,
  touched: Touched,
  { sharing }: Common,
): readonly Page[] {
  let pages = before;
  for (const [range, ids] of touched.byRange) {
    const at = before.findIndex((page) => page.range === range);
    const old = at < 0 ? undefined : before[at];
    const page = pageAfter(old, network, viewer, ids, sharing);
    if (page === old) continue;
    const others = pages.filter((one) => one.range !== range);
    const place = others.findIndex((one) => one.range > range);
    pages = others.toSpliced(place < 0 ? others.length : place, 0, ...(page ? [page] : []));
  }
  return pages;
}

function pageAfter(
  old: Page | undefined,
  network: Network,
  viewer: MeshNode,
  ids: ReadonlySet<NodeId>,
  sharing: Sharing,
): Page | undefined {
  const { model, policy } = network;
  const peers: (Peer | undefined)[] = [];
  let same = true;
  for (const id of ids) {
    const node = model.nodes.get(id);
    const seen = node !== undefined && policy.arePeers(model, viewer, node);
    const peer = seen ? sharing.peerOf(network, viewer, node) : undefined;
    const was = old?.peers.find((one) => one.node.ID === id);
    if (peer !== was) same = false;
    peers.push(peer);
  }
  if (same) return old;
  const kept = old?.peers.filter(({ node }) => !ids.has(node.ID)) ?? [];
  const all = [...kept, ...peers.filter((peer) => peer !== undefined)];
  return sharing.page(all.sort((a, b) => a.node.ID - b.node.ID));
}
