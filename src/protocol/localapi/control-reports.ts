/**
 * What the coordination server tells of itself on `control.sock`, and what `--json` prints. The names stay;
 * others may come. Instants are RFC 3339 in UTC. No secret is in here but the text of a key that was just
 * made (`keys.create`).
 */

import type { HealthItem } from '../../base/health.ts';
import type { Role } from './control-rights.ts';

export interface UserReport {
  readonly id: number;
  readonly login: string;
  readonly displayName: string;
  readonly role: Role;
  readonly created: string;
  /** How many nodes are his. */
  readonly nodes: number;
}

export interface KeyReport {
  readonly id: number;
  /** What a key begins with, behind `pkey-`. */
  readonly prefix: string;
  /** null: its nodes belong to its tags. */
  readonly user: string | null;
  readonly tags: readonly string[];
  readonly reusable: boolean;
  readonly ephemeral: boolean;
  readonly created: string;
  /** null: until it is revoked. */
  readonly expires: string | null;
  readonly uses: number;
  /** Why it lets nobody in; null: it does. */
  readonly fault: string | null;
}

export interface NodeReport {
  readonly id: number;
  readonly stableId: string;
  readonly name: string;
  readonly fqdn: string;
  /** As the machine calls itself. */
  readonly hostname: string;
  /** null: it belongs to its tags. */
  readonly user: string | null;
  readonly tags: readonly string[];
  /** IPv4, then IPv6. */
  readonly addresses: readonly string[];
  readonly online: boolean;
  /** null: never. While it is online, now. */
  readonly lastSeen: string | null;
  readonly created: string;
  /** null: it does not expire. */
  readonly keyExpires: string | null;
  readonly expired: boolean;
  readonly ephemeral: boolean;
  readonly routes: {
    readonly announced: readonly string[];
    readonly approved: readonly string[];
    /** Those of which this node is the router now. */
    readonly primary: readonly string[];
  };
  /** Empty until the machine has told. */
  readonly version: string;
  readonly os: string;
}

export interface NodeDetail extends NodeReport {
  readonly machineKey: string;
  readonly nodeKey: string;
  /** The pre-auth key that it joined by; null: a login. */
  readonly authKey: number | null;
  readonly endpoints: readonly string[];
  /** The region of its relay; 0: none yet. */
  readonly homeDerp: number;
  readonly capVersion: number;
  readonly devices: readonly DeviceReport[];
}

/** A LAN device behind a node, or a plain WireGuard device that it serves. */
export interface DeviceReport {
  readonly id: string;
  readonly kind: 'lan' | 'wireguard';
  readonly name: string;
  readonly fqdn: string;
  readonly addresses: readonly string[];
  readonly sshPort: number;
  readonly mode: 'route' | 'gateway';
  /** False: withdrawn; address and name stay its own. */
  readonly shared: boolean;
}

/** A login that waits for a person. */
export interface WaitingReport {
  readonly id: string;
  readonly hostname: string;
  readonly machineKey: string;
  readonly from: string;
  readonly requestTags: readonly string[];
  readonly announced: readonly string[];
  readonly ephemeral: boolean;
  readonly expires: string;
}

export interface RouteReport {
  readonly prefix: string;
  readonly node: string;
  readonly nodeId: number;
  readonly exit: boolean;
  readonly announced: boolean;
  readonly approved: boolean;
  readonly primary: boolean;
  readonly online: boolean;
}

export interface DnsRecordReport {
  readonly name: string;
  readonly type: 'A' | 'AAAA';
  readonly value: string;
}

export interface DnsReport {
  readonly baseDomain: string;
  readonly nameservers: readonly string[];
  /** Resolvers by the suffix that they answer for. */
  readonly splitDns: Readonly<Record<string, readonly string[]>>;
  readonly searchDomains: readonly string[];
  readonly overrideLocalDns: boolean;
  readonly records: readonly DnsRecordReport[];
}

export interface RelayStatus {
  /** False: this server runs none, and the numbers are zero. */
  readonly on: boolean;
  readonly connections: number;
  readonly clients: number;
  readonly packets: number;
  readonly packetBytes: number;
  readonly dropped: number;
  readonly stunAnswers: number;
  /** What came to nothing, by reason. */
  readonly refused: Readonly<Record<string, number>>;
}

export interface AuditReport {
  readonly id: number;
  readonly at: string;
  readonly by: { readonly kind: string; readonly name: string; readonly from: string };
  readonly action: string;
  readonly target: string;
  readonly before: unknown;
  readonly after: unknown;
}

export interface ServerReport {
  readonly version: string;
  readonly users: number;
  readonly nodes: number;
  readonly online: number;
  /** Logins that wait for a person. */
  readonly waiting: number;
  /** The network's time. */
  readonly now: string;
  /** The worst first; empty: all is well. */
  readonly health: readonly HealthItem[];
}
