/**
 * What a running interface says of itself, asked over its userspace socket beside what wg(8) asks.
 *
 *     request   get=status \n \n                 wg(8) never sends this
 *     answer    one line of JSON \n errno=0 \n \n
 *               errno=-N \n \n                   also what another implementation answers, if it answers
 *
 * The names in the JSON stay. It holds no secret: the private key and preshared keys are what `get=1` is for.
 */

import type { HealthItem } from '../../base/health.ts';

export interface InterfaceReport {
  readonly name: string;
  readonly pid: number;
  readonly version: string;
  readonly up: boolean;
  /** Base64; null without a private key. */
  readonly publicKey: string | null;
  /** In use, or wanted for when the interface is up; 0: the kernel chooses then. */
  readonly listenPort: number;
  readonly fwmark: number;
  readonly mtuBytes: number;
  /** Since the start of the process. */
  readonly uptimeSeconds: number;
  readonly aead: {
    readonly name: string;
    /** Faster ones that could not be had, each with its reason. */
    readonly passedOver: readonly string[];
  };
  readonly offload: {
    /** Super-packets of the TUN device: TCP and UDP, TCP only, none. */
    readonly tun: 'full' | 'tcp' | 'plain';
    /** The kernel splits what we send over this family now. */
    readonly udp4Gso: boolean;
    readonly udp6Gso: boolean;
  };
  readonly peers: readonly PeerReport[];
  /** Of `peers`: those that hold keys or shake hands, and how many there may be at once. */
  readonly activePeers: number;
  readonly activePeersMost: number;
  readonly counters: {
    readonly packetsSent: number;
    readonly packetsReceived: number;
    readonly sendCalls: number;
    /** That the kernel did not take. */
    readonly refusedDatagrams: number;
    /** Packets by reason, without those that never happened. */
    readonly drops: Readonly<Record<string, number>>;
    /** Handshake messages by outcome. */
    readonly handshakes: Readonly<Record<string, number>>;
    /** Peers that lost their place among the active ones to another. */
    readonly peerEvictions: number;
    /** Flows that the filter forgot for others. */
    readonly flowEvictions: number;
  };
  /** The worst first; empty: all is well. */
  readonly health: readonly HealthItem[];
}

export interface PeerReport {
  /** Base64. */
  readonly publicKey: string;
  readonly endpoint: string | null;
  /** RFC 3339; null: never. */
  readonly lastHandshake: string | null;
  readonly bytesReceived: number;
  readonly bytesSent: number;
  readonly persistentKeepaliveSeconds: number;
  readonly allowedIps: readonly string[];
}

export const STATUS_REQUEST = 'get=status\n\n';

/** No answer is longer: 4 times that of 10,000 peers. */
export const MAX_STATUS_BYTES: number = 16 * 1024 * 1024;

export function writeStatusAnswer(report: InterfaceReport): string {
  return `${JSON.stringify(report)}\nerrno=0\n\n`;
}

/** Whether the last line of an answer is there. */
export const isWholeAnswer = (text: string): boolean => /(^|\n)errno=-?\d+\n\n$/.test(text);

/** The report in a whole answer; undefined where the other side does not know the question. */
export function readStatusAnswer(text: string): InterfaceReport | undefined {
  const [line = '', errno] = text.split('\n');
  if (errno !== 'errno=0') return undefined;
  try {
    const report = JSON.parse(line) as InterfaceReport;
    return typeof report.name === 'string' && Array.isArray(report.health) ? report : undefined;
  } catch {
    return undefined;
  }
}
