/**
 * A viewer's map, folded from what the server sends as a stock client folds it.
 *
 *     Node, DERPMap, DNSConfig, …   absent: as before
 *     Peers                         not empty: all of them; empty: as before
 *     PeersChanged, PeersRemoved    put in, take out
 *     PeersChangedPatch             fields of a peer that is known; of an unknown one: passed over
 *     OnlineChange                  by NodeID
 *
 * What a stock client would choke on is kept as a fault: a first map without Node, a field of a wrong type.
 *
 * Source: reference of the open Tailscale protocol; src/protocol/tailcfg/map-types.ts has the fields.
 */

import type { Node, PeerChange } from '../../src/protocol/tailcfg/types.ts';
import { readMapResponse } from '../../src/protocol/tailcfg/validate.ts';

/** More say no more. */
const MAX_FAULTS = 20;

export class Netmap {
  self: Node | undefined;
  /** Of the relays in the map. */
  firstRegion = 0;
  readonly peers: Map<number, Node> = new Map();
  readonly faults: string[] = [];
  readonly users: Set<number> = new Set();

  get onlinePeers(): number {
    return this.peers.values().reduce((sum, peer) => sum + (peer.Online === true ? 1 : 0), 0);
  }

  /** @param json one map, without frame and compression */
  fold(json: Uint8Array): void {
    const read = readMapResponse(json);
    if ('reason' in read) {
      this.#fault(`${read.reason}: ${read.detail}`);
      return;
    }
    const map = read.value;
    if (map.KeepAlive === true) return;
    if (this.self === undefined && map.Node === undefined) this.#fault('first map: no Node');
    this.self = map.Node ?? this.self;
    const [region] = Object.keys(map.DERPMap?.Regions ?? {});
    if (region !== undefined) this.firstRegion = Number(region);
    for (const { ID } of map.UserProfiles ?? []) this.users.add(ID);
    if (map.Peers !== undefined && map.Peers.length > 0) {
      this.peers.clear();
      for (const peer of map.Peers) this.#put(peer);
    }
    for (const peer of map.PeersChanged ?? []) this.#put(peer);
    for (const id of map.PeersRemoved ?? []) this.peers.delete(id);
    for (const change of map.PeersChangedPatch ?? []) this.#patch(change);
    for (const [id, Online] of Object.entries(map.OnlineChange ?? {}))
      this.#merge(Number(id), { Online });
  }

  #put(peer: Node): void {
    if (!this.users.has(peer.User)) this.#fault(`peer ${peer.ID}: no profile of its user`);
    this.peers.set(peer.ID, peer);
  }

  #patch({ NodeID, DERPRegion, ...fields }: PeerChange): void {
    this.#merge(NodeID, {
      ...(fields as Partial<Node>),
      ...(DERPRegion !== undefined && { HomeDERP: DERPRegion }),
    });
  }

  #merge(id: number, fields: Partial<Node>): void {
    const peer = this.peers.get(id);
    if (peer !== undefined) this.peers.set(id, { ...peer, ...fields });
  }

  #fault(text: string): void {
    if (this.faults.length < MAX_FAULTS) this.faults.push(text);
  }
}
