/**
 * The peers of all views, kept once. Most viewers see most of the same nodes, so a view holds pages of peers,
 * and equal pages are one object, whoever sees them: 1,000 views of 1,000 peers take the memory of a few.
 *
 *     view A   page 0 ── page 1* ── page 2 ──          page n   the peers with ids 64 n to 64 n + 63, by id
 *                │                    │                *        A's own page, which lacks A
 *     view B   page 0 ── page 1  ── page 2*
 *
 * So two views are compared page by page, by identity, and what differs between two pages is worked out once
 * for all who go from the one to the other.
 *
 * Nothing here is true or false of the network: a Sharing only makes equal things one.
 */

import type { Log } from '../../base/log.ts';
import type { Node } from '../../protocol/tailcfg/types.ts';
import { nodeFault } from '../../protocol/tailcfg/validate.ts';
import type { Network } from '../coordinator/coordinator.ts';
import { liveNode } from '../registry/live.ts';
import type { LanDevice, MeshNode, NodeId } from '../registry/model.ts';
import { devicesOf, isExpired } from '../registry/model.ts';
import { reachableDevices } from '../registry/visibility.ts';
import { peerNode, routerOf } from './wire-node.ts';

export const PAGE_BITS = 6;

/** One form of a node: a viewer's rights decide which of them he sees. */
export interface Peer {
  /** No other peer of this Sharing has it. */
  readonly serial: number;
  readonly node: Node;
  /** The LAN devices in it. */
  readonly devices: readonly LanDevice[];
}

export interface Page {
  /** Which ids: `id >> PAGE_BITS`. */
  readonly range: number;
  readonly serial: number;
  /** By rising id; never empty. */
  readonly peers: readonly Peer[];
  readonly users: readonly number[];
  readonly devices: readonly LanDevice[];
}

/** What a node's forms were made of, and those that were asked for. */
interface Forms {
  readonly live: object;
  readonly primaries: object;
  readonly expired: boolean;
  readonly baseDomain: string;
  readonly routes: readonly string[];
  /** undefined in it: at fault, so nobody sees it. */
  readonly byRights: Map<string, Peer | undefined>;
}

const NO_DEVICES: readonly LanDevice[] = [];

export class Sharing {
  /** Nodes that nobody is told of, since the vocabulary finds fault with them: the first words of the fault. */
  readonly faulty: Map<NodeId, string> = new Map<NodeId, string>();
  /** How often a node was found at fault. */
  faults = 0;
  /** Nodes without a fault, for `mapFault`. */
  readonly passed: WeakSet<Node> = new WeakSet<Node>();
  readonly #log: Log;
  readonly #forms = new WeakMap<MeshNode, Forms>();
  readonly #pages = new Map<number, WeakRef<Page>[]>();
  #nextSerial = 1;
  #pageCount = 0;
  #sweepAt = 1024;

  constructor(log: Log) {
    this.#log = log;
  }

  /** `node` as the viewer sees it, who is its peer; undefined where it cannot be shown. */
  peerOf(network: Network, viewer: MeshNode, node: MeshNode): Peer | undefined {
    const forms = this.#formsOf(network, node);
    const { model, policy } = network;
    const devices =
      model.devices.size === 0 || devicesOf(model, node.id).length === 0
        ? NO_DEVICES
        : reachableDevices(model, policy, viewer, node.id);
    // The policy has no word for routes of its own yet: they are their owner's.
    const routed = forms.routes.length > 0 && viewer.user !== null && viewer.user === node.user;
    const rights =
      devices.length === 0 && !routed
        ? ''
        : `${routed} ${devices.map(({ name, ip4, family }) => `${name}=${ip4},${family}`).join()}`;
    if (forms.byRights.has(rights)) return forms.byRights.get(rights);
    const peer = this.#made(network, node, forms, routed ? forms.routes : [], devices);
    forms.byRights.set(rights, peer);
    return peer;
  }

  /** The one page of these peers, all of one range, by rising id; undefined for none. */
  page(peers: readonly Peer[]): Page | undefined {
    const first = peers[0];
    if (first === undefined) return undefined;
    let hash = 0;
    for (const { serial } of peers) hash = (Math.imul(hash, 31) + serial) | 0;
    const known = this.#pages.get(hash) ?? [];
    for (const reference of known) {
      const page = reference.deref();
      if (page !== undefined && samePeers(page.peers, peers)) return page;
    }
    const page: Page = {
      range: rangeOf(first.node.ID),
      serial: this.#nextSerial++,
      peers,
      users: [...new Set(peers.map(({ node }) => node.User))],
      devices: peers.flatMap(({ devices }) => devices),
    };
    if (this.#pageCount >= this.#sweepAt) this.#sweep();
    // The list of before the sweep may be gone from the table; this one is in it again.
    this.#pages.set(hash, [...(this.#pages.get(hash) ?? []), new WeakRef(page)]);
    this.#pageCount++;
    return page;
  }

  #formsOf(network: Network, node: MeshNode): Forms {
    const { model, live, now } = network;
    const known = this.#forms.get(node);
    const expired = isExpired(node, now);
    const its = liveNode(live, node.id);
    const { baseDomain } = model.settings;
    if (
      known !== undefined &&
      known.live === its &&
      known.primaries === live.primaries &&
      known.expired === expired &&
      known.baseDomain === baseDomain
    )
      return known;
    const routes = routerOf(live, node, expired);
    const forms: Forms = {
      live: its,
      primaries: live.primaries,
      expired,
      baseDomain,
      routes,
      byRights: sameButPrimaries(known, its, expired, baseDomain, routes)
        ? known.byRights
        : new Map<string, Peer | undefined>(),
    };
    this.#forms.set(node, forms);
    return forms;
  }

  #made(
    { live, model }: Network,
    node: MeshNode,
    { expired }: Forms,
    routes: readonly string[],
    devices: readonly LanDevice[],
  ): Peer | undefined {
    const { baseDomain } = model.settings;
    const told = peerNode({
      node,
      live: liveNode(live, node.id),
      expired,
      routes,
      devices,
      baseDomain,
    });
    const fault = nodeFault(told);
    if (fault === undefined) {
      this.faulty.delete(node.id);
      this.passed.add(told);
      return { serial: this.#nextSerial++, node: told, devices };
    }
    this.faults++;
    if (this.faulty.get(node.id) !== fault)
      this.#log.error('map: a node is left out of all maps', { node: node.id, fault });
    this.faulty.set(node.id, fault);
    return undefined;
  }

  #sweep(): void {
    this.#pageCount = 0;
    for (const [hash, references] of this.#pages) {
      const alive = references.filter((reference) => reference.deref() !== undefined);
      if (alive.length === 0) this.#pages.delete(hash);
      else this.#pages.set(hash, alive);
      this.#pageCount += alive.length;
    }
    this.#sweepAt = Math.max(1024, 2 * this.#pageCount);
  }
}

export const rangeOf = (id: NodeId): number => Math.floor(id / 2 ** PAGE_BITS);

/** Prefixes moved, but none of this node's. */
function sameButPrimaries(
  known: Forms | undefined,
  live: object,
  expired: boolean,
  baseDomain: string,
  routes: readonly string[],
): known is Forms {
  return (
    known !== undefined &&
    known.live === live &&
    known.expired === expired &&
    known.baseDomain === baseDomain &&
    known.routes.join() === routes.join()
  );
}

function samePeers(a: readonly Peer[], b: readonly Peer[]): boolean {
  return a.length === b.length && a.every((peer, i) => peer === b[i]);
}
