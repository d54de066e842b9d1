/**
 * What a stock client keeps of the maps that it is sent, by the semantics that the protocol's reference gives
 * each field (3.3): the judge of differences. It shares no code with them.
 */

import type { MapResponse } from '../../../src/protocol/tailcfg/map-types.ts';
import type { Node } from '../../../src/protocol/tailcfg/types.ts';

export class ModelClient {
  readonly peers: Map<number, Record<string, unknown>> = new Map();
  readonly filters: Map<string, unknown> = new Map();
  readonly profiles: Map<number, unknown> = new Map();
  readonly messages: Map<string, unknown> = new Map();
  readonly fields: Record<string, unknown> = {};
  health: readonly string[] = [];
  /** What it would have refused. */
  readonly faults: string[] = [];

  /** Takes a map as it is on the wire. */
  take(sent: MapResponse): void {
    const map = JSON.parse(JSON.stringify(sent)) as MapResponse;
    if (map.KeepAlive) return;
    if (this.fields['Node'] === undefined && map.Node === undefined)
      this.faults.push('the first map has no Node');
    for (const field of ['Node', 'DERPMap', 'DNSConfig', 'Domain'] as const)
      if (map[field]) this.fields[field] = map[field];
    this.#takePeers(map);
    if (map.PacketFilters?.['*'] === null) this.filters.clear();
    for (const [name, rules] of Object.entries(map.PacketFilters ?? {}))
      if (rules === null) this.filters.delete(name);
      else this.filters.set(name, rules);
    for (const profile of map.UserProfiles ?? []) this.profiles.set(profile.ID, profile);
    for (const [name, message] of Object.entries(map.DisplayMessages ?? {}))
      if (message === null) this.messages.delete(name);
      else this.messages.set(name, message);
    if (map.Health) this.health = map.Health;
  }

  /** What decides; profiles that it no longer needs, and since when one was last seen that is here, do not. */
  state(): unknown {
    const peers = [...this.peers.values()]
      .sort((a, b) => (a['ID'] as number) - (b['ID'] as number))
      .map(({ LastSeen, ...peer }) => (peer['Online'] === true ? peer : { ...peer, LastSeen }));
    const self = this.fields['Node'] as Node | undefined;
    const users = [self?.User, ...peers.map((peer) => peer['User'])] as number[];
    return {
      ...this.fields,
      peers,
      filters: Object.fromEntries([...this.filters].sort(([a], [b]) => (a < b ? -1 : 1))),
      profiles: users.map((user) => this.profiles.get(user) ?? `nobody knows user ${user}`),
      messages: Object.fromEntries(this.messages),
      health: this.health,
    };
  }

  #takePeers({ Peers, PeersChanged, PeersRemoved, PeersChangedPatch }: MapResponse): void {
    if (Peers !== undefined && Peers.length > 0) {
      this.peers.clear();
      for (const peer of Peers) this.#put(peer);
      const ids = Peers.map(({ ID }) => ID);
      if (ids.some((id, i) => i > 0 && id <= (ids[i - 1] ?? 0))) this.faults.push('Peers by ID');
    }
    for (const peer of PeersChanged ?? []) this.#put(peer);
    for (const id of PeersRemoved ?? [])
      if (!this.peers.delete(id)) this.faults.push(`${id} is removed and was not there`);
    for (const { NodeID, DERPRegion, ...fields } of PeersChangedPatch ?? []) {
      const peer = this.peers.get(NodeID);
      if (peer === undefined) {
        this.faults.push(`a patch of ${NodeID}, which is not there`);
        continue;
      }
      if (DERPRegion) peer['HomeDERP'] = DERPRegion;
      // Absent, null, 0 and an empty list: as before.
      for (const [name, value] of Object.entries(fields))
        if (value || value === false)
          if (!(Array.isArray(value) && value.length === 0)) peer[name] = value;
    }
  }

  #put(peer: Node): void {
    this.peers.set(peer.ID, { ...peer });
  }
}
