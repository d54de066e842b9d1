/**
 * An interface that only remembers, by the plainest reading of wireguard.com/xplatform: it stands in for the
 * tunnel where the judge is wg(8).
 */

import type { Endpoint } from '../../../src/base/endpoint.ts';
import type { NodePrivate, PresharedKey } from '../../../src/base/keys.ts';
import { keyText } from '../../../src/base/keys.ts';
import type { Prefix } from '../../../src/base/prefix.ts';
import { equalPrefix } from '../../../src/base/prefix.ts';
import { unixMillis } from '../../../src/base/time.ts';
import type {
  ConfigurableInterface,
  InterfaceChange,
  InterfaceStatus,
  PeerChange,
  PeerStatus,
} from '../../../src/node/tunnel/configuration.ts';
import type { InterfaceReport } from '../../../src/protocol/localapi/status.ts';

type Peer = { -readonly [K in keyof PeerStatus]: PeerStatus[K] };

export class FakeInterface implements ConfigurableInterface {
  readonly peers: Map<string, Peer> = new Map();
  readonly changes: InterfaceChange[] = [];
  privateKey: NodePrivate | null = null;
  listenPort = 0;
  fwmark = 0;

  configure(change: InterfaceChange): void {
    this.changes.push(change);
    if (change.privateKey !== undefined) this.privateKey = change.privateKey;
    if (change.listenPort !== undefined) this.listenPort = change.listenPort;
    if (change.fwmark !== undefined) this.fwmark = change.fwmark;
    if (change.replacePeers) this.peers.clear();
    for (const peer of change.peers) this.#change(peer);
  }

  #change(change: PeerChange): void {
    const text = keyText(change.publicKey);
    if (change.remove) {
      this.peers.delete(text);
      return;
    }
    if (change.updateOnly && !this.peers.has(text)) return;
    const peer = this.peers.get(text) ?? newPeer(change.publicKey);
    this.peers.set(text, peer);
    const { presharedKey, endpoint, persistentKeepaliveSeconds } = change;
    if (presharedKey !== undefined) peer.presharedKey = presharedKey as PresharedKey | null;
    if (endpoint !== undefined) peer.endpoint = endpoint as Endpoint;
    if (persistentKeepaliveSeconds !== undefined)
      peer.persistentKeepaliveSeconds = persistentKeepaliveSeconds;
    if (change.replaceAllowedIps) peer.allowedIps = [];
    for (const { prefix, remove } of change.allowedIps) {
      const without = (list: readonly Prefix[]): Prefix[] =>
        list.filter((other) => !equalPrefix(other, prefix));
      if (!remove)
        for (const other of this.peers.values()) other.allowedIps = without(other.allowedIps);
      peer.allowedIps = remove ? without(peer.allowedIps) : [...peer.allowedIps, prefix];
    }
  }

  status(): InterfaceStatus {
    const { privateKey, listenPort, fwmark } = this;
    return { privateKey, listenPort, fwmark, peers: [...this.peers.values()] };
  }
}

/** What an interface without peers and troubles says of itself. */
export function fakeReport(name: string, changes: Partial<InterfaceReport> = {}): InterfaceReport {
  return {
    name,
    pid: 1,
    version: '1.2.3',
    up: true,
    publicKey: null,
    listenPort: 51820,
    fwmark: 0,
    mtuBytes: 1420,
    uptimeSeconds: 7384,
    aead: { name: 'openssl-raw', passedOver: [] },
    offload: { tun: 'full', udp4Gso: true, udp6Gso: false },
    peers: [],
    activePeers: 0,
    activePeersMost: 1024,
    counters: {
      packetsSent: 0,
      packetsReceived: 0,
      sendCalls: 0,
      refusedDatagrams: 0,
      drops: {},
      handshakes: {},
      peerEvictions: 0,
      flowEvictions: 0,
    },
    health: [],
    ...changes,
  };
}

function newPeer(publicKey: PeerStatus['publicKey']): Peer {
  return {
    publicKey,
    presharedKey: null,
    endpoint: undefined,
    lastHandshake: unixMillis(0),
    bytesReceived: 0,
    bytesSent: 0,
    persistentKeepaliveSeconds: 0,
    allowedIps: [],
  };
}
