/** What may be read back of a peer: what was set, and what the arena's marks say of it. */

import type { ActivePeers } from './active.ts';
import type { PeerStatus } from './configuration.ts';
import type { Peer } from './peer.ts';
import type { PeerTable } from './peer-table.ts';

export function peerStatus(peer: Peer, active: ActivePeers, peers: PeerTable): PeerStatus {
  const marks = peer.slot < 0 ? undefined : active.marks(peer);
  return {
    publicKey: peer.publicKey,
    presharedKey: peer.presharedKey,
    endpoint: active.endpoint(peer),
    lastHandshake: peer.lastHandshake,
    bytesReceived: peer.bytesReceived + (marks?.bytesReceived ?? 0),
    bytesSent: peer.bytesSent + (marks?.bytesSent ?? 0),
    persistentKeepaliveSeconds: peer.persistentKeepaliveSeconds,
    allowedIps: peers.allowedIps(peer),
  };
}
