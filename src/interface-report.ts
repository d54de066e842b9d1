/** Puts together what `postern status` shows, from the tunnel, its worker and the device. */

import { toBase64 } from './base/bytes.ts';
import { formatEndpoint } from './base/endpoint.ts';
import type { HealthItem } from './base/health.ts';
import type { NodePublic } from './base/keys.ts';
import { formatPrefix } from './base/prefix.ts';
import { buildInfo } from './build-info.ts';
import type { InterfaceStatus, PeerStatus } from './node/tunnel/configuration.ts';
import type { TunnelReport } from './node/tunnel/ports.ts';
import type { InterfaceReport, PeerReport } from './protocol/localapi/status.ts';

export interface InterfaceFacts {
  readonly name: string;
  readonly up: boolean;
  readonly publicKey: NodePublic | null;
  readonly mtuBytes: number;
  readonly uptimeSeconds: number;
  readonly aead: InterfaceReport['aead'];
  readonly tunOffload: InterfaceReport['offload']['tun'];
  readonly activePeersMost: number;
  readonly status: InterfaceStatus;
  readonly report: TunnelReport;
  readonly health: readonly HealthItem[];
}

export function interfaceReport(facts: InterfaceFacts): InterfaceReport {
  const { name, up, publicKey, mtuBytes, uptimeSeconds, aead, status, report, health } = facts;
  return {
    name,
    pid: process.pid,
    version: buildInfo().version,
    up,
    publicKey: publicKey === null ? null : toBase64(publicKey),
    listenPort: status.listenPort,
    fwmark: status.fwmark,
    mtuBytes,
    uptimeSeconds,
    aead,
    offload: { tun: facts.tunOffload, udp4Gso: report.gso.udp4, udp6Gso: report.gso.udp6 },
    peers: status.peers.map(peerReport),
    activePeers: report.activePeers,
    activePeersMost: facts.activePeersMost,
    counters: {
      packetsSent: report.packetsSent,
      packetsReceived: report.packetsReceived,
      sendCalls: report.sendCalls,
      refusedDatagrams: report.refusedDatagrams,
      drops: report.drops,
      handshakes: report.handshakes,
      peerEvictions: report.evictions,
      flowEvictions: report.flowsEvicted,
    },
    health,
  };
}

function peerReport(peer: PeerStatus): PeerReport {
  const { publicKey, endpoint, lastHandshake, bytesReceived, bytesSent } = peer;
  return {
    publicKey: toBase64(publicKey),
    endpoint: endpoint === undefined ? null : formatEndpoint(endpoint),
    lastHandshake: lastHandshake === 0 ? null : new Date(lastHandshake).toISOString(),
    bytesReceived,
    bytesSent,
    persistentKeepaliveSeconds: peer.persistentKeepaliveSeconds,
    allowedIps: peer.allowedIps.map(formatPrefix),
  };
}
