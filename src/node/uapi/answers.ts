/** What is answered on the userspace socket; see protocol.ts for the form of a conversation. */

import { toHex } from '../../base/bytes.ts';
import { formatEndpoint } from '../../base/endpoint.ts';
import { KEY_BYTES } from '../../base/keys.ts';
import { formatPrefix } from '../../base/prefix.ts';
import type { InterfaceStatus } from '../tunnel/configuration.ts';

/** The lines that answer `get=1`, without the errno. They hold the private key. */
export function formatStatus(status: InterfaceStatus): string {
  const lines: string[] = [];
  if (status.privateKey !== null) lines.push(`private_key=${toHex(status.privateKey.expose())}`);
  if (status.listenPort !== 0) lines.push(`listen_port=${status.listenPort}`);
  if (status.fwmark !== 0) lines.push(`fwmark=${status.fwmark}`);
  for (const peer of status.peers) {
    const preshared = peer.presharedKey?.expose() ?? new Uint8Array(KEY_BYTES);
    lines.push(`public_key=${toHex(peer.publicKey)}`, `preshared_key=${toHex(preshared)}`);
    lines.push('protocol_version=1');
    if (peer.endpoint !== undefined) lines.push(`endpoint=${formatEndpoint(peer.endpoint)}`);
    lines.push(
      `last_handshake_time_sec=${Math.floor(peer.lastHandshake / 1000)}`,
      `last_handshake_time_nsec=${Math.floor(peer.lastHandshake % 1000) * 1_000_000}`,
      `tx_bytes=${peer.bytesSent}`,
      `rx_bytes=${peer.bytesReceived}`,
      `persistent_keepalive_interval=${peer.persistentKeepaliveSeconds}`,
    );
    for (const prefix of peer.allowedIps) lines.push(`allowed_ip=${formatPrefix(prefix)}`);
  }
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`;
}

/** The last lines of an answer. */
export const formatErrno = (errno: number): string => `errno=${errno}\n\n`;
