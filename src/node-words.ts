/** A node of the map, told in the words of `status --json`. */

import { formatIp } from './base/ip.ts';
import type { Netmap } from './node/session/netmap.ts';
import { prefixes } from './node-apply.ts';
import type { PeerStatus, UserProfile } from './protocol/localapi/node-status.ts';
import { NO_TIME } from './protocol/localapi/node-status.ts';
import type { Node } from './protocol/tailcfg/types.ts';

export const EMPTY_PEER: PeerStatus = {
  ID: '',
  PublicKey: '',
  HostName: '',
  DNSName: '',
  OS: '',
  UserID: 0,
  TailscaleIPs: [],
  Addrs: [],
  CurAddr: '',
  Relay: '',
  PeerRelay: '',
  RxBytes: 0,
  TxBytes: 0,
  Created: NO_TIME,
  LastWrite: NO_TIME,
  LastSeen: NO_TIME,
  LastHandshake: NO_TIME,
  Online: false,
  ExitNode: false,
  ExitNodeOption: false,
  Active: false,
  PeerAPIURL: [],
  InNetworkMap: false,
  InMagicSock: false,
  InEngine: false,
};

/** What the map says of a node. */
export function ofNode(node: Node): Partial<PeerStatus> {
  return {
    ID: node.StableID,
    NodeID: node.ID,
    PublicKey: node.Key,
    HostName: node.Hostinfo.Hostname ?? '',
    DNSName: node.Name,
    OS: node.Hostinfo.OS ?? '',
    UserID: node.User,
    TailscaleIPs: addressesOf(node),
    AllowedIPs: node.AllowedIPs ?? node.Addresses,
    ...(node.PrimaryRoutes === undefined ? {} : { PrimaryRoutes: node.PrimaryRoutes }),
    ...(node.Tags === undefined ? {} : { Tags: node.Tags }),
    Created: node.Created ?? NO_TIME,
    LastSeen: node.LastSeen ?? NO_TIME,
    Online: node.Online === true,
    ...(node.CapMap === undefined ? {} : { CapMap: node.CapMap }),
    ...(node.Expired === true ? { Expired: true } : {}),
    ...(node.KeyExpiry === undefined ? {} : { KeyExpiry: node.KeyExpiry }),
  };
}

export function addressesOf(node: Pick<Node, 'Addresses'> | undefined): readonly string[] {
  return prefixes(node?.Addresses ?? []).map(({ address }) => formatIp(address));
}

export function users({ users: known }: Netmap): Readonly<Record<string, UserProfile>> {
  return Object.fromEntries(
    [...known].map(([id, { LoginName, DisplayName, ProfilePicURL }]) => [
      String(id),
      {
        ID: id,
        LoginName,
        DisplayName,
        ...(ProfilePicURL === undefined ? {} : { ProfilePicURL }),
      },
    ]),
  );
}

export const iso = (wall: number): string => new Date(wall).toISOString();
