/**
 * One rule of the filter as the data plane takes it, and what it lets in. Joined by shape with
 * node/dataplane/rules.ts, which has the bytes.
 */

import type { Prefix } from '../base/prefix.ts';
import { contains } from '../base/prefix.ts';

export const ICMP = 1;
export const TCP = 6;
export const UDP = 17;
export const ICMPV6 = 58;
export const SCTP = 132;
export const LAST_PORT = 65_535;

export interface PacketRule {
  /** Undefined: any address of the target's family. */
  readonly source?: Prefix;
  readonly target: Prefix;
  readonly protocol: number;
  readonly firstPort: number;
  readonly lastPort: number;
}

/** A packet that would begin a flow. */
export interface AskedPacket {
  readonly source: Uint8Array;
  readonly target: Uint8Array;
  readonly protocol: number;
  /** Of the target, for TCP, UDP and SCTP. */
  readonly port?: number;
}

export const hasPorts = (protocol: number): boolean =>
  protocol === TCP || protocol === UDP || protocol === SCTP;

/** Whether `rule` lets the packet in. */
export function permits(rule: PacketRule, packet: AskedPacket): boolean {
  const { source, target, protocol, port = -1 } = packet;
  if (rule.protocol !== protocol || !contains(rule.target, target)) return false;
  if (rule.source === undefined ? source.length !== target.length : !contains(rule.source, source))
    return false;
  return !hasPorts(protocol) || (rule.firstPort <= port && port <= rule.lastPort);
}
