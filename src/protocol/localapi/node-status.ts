/**
 * How the node is: the object that `tailscale status --json` prints, so that scripts written for it go on, with
 * one field of our own, `Postern`.
 *
 * Names with a capital are the other program's (ipn/ipnstate of tailscale 1.102), and mean what they mean
 * there; times are RFC 3339, and `0001-01-01T00:00:00Z` stands for never, as Go writes it. What a script of ours
 * needs beyond them is in `Postern`, with `null` for never. Nothing here is secret but AuthURL (node-rights.ts).
 */

import type { HealthItem } from '../../base/health.ts';

/** Go's zero time. */
export const NO_TIME = '0001-01-01T00:00:00Z';

export type BackendState =
  | 'NoState'
  | 'NeedsLogin'
  | 'NeedsMachineAuth'
  | 'Stopped'
  | 'Starting'
  | 'Running';

export interface NodeStatus {
  readonly Version: string;
  readonly TUN: boolean;
  readonly BackendState: BackendState;
  readonly HaveNodeKey: boolean;
  /** Where a person lets this machine in; empty: nobody waits. */
  readonly AuthURL: string;
  readonly TailscaleIPs: readonly string[];
  readonly Self: PeerStatus;
  readonly ExitNodeStatus?: {
    readonly ID: string;
    readonly Online: boolean;
    readonly TailscaleIPs: readonly string[];
  };
  /** The texts of `Postern.health`. */
  readonly Health: readonly string[];
  readonly MagicDNSSuffix: string;
  readonly CurrentTailnet: {
    readonly Name: string;
    readonly MagicDNSSuffix: string;
    readonly MagicDNSEnabled: boolean;
  } | null;
  readonly CertDomains: readonly string[];
  /** By `nodekey:…`. */
  readonly Peer: Readonly<Record<string, PeerStatus>>;
  /** By the number of `UserID`. */
  readonly User: Readonly<Record<string, UserProfile>>;
  readonly Postern: PosternStatus;
}

export interface UserProfile {
  readonly ID: number;
  readonly LoginName: string;
  readonly DisplayName: string;
  readonly ProfilePicURL?: string;
}

export interface PeerStatus {
  /** Stable id. */
  readonly ID: string;
  readonly NodeID?: number;
  /** `nodekey:…` */
  readonly PublicKey: string;
  readonly HostName: string;
  /** Full name with a dot at its end. */
  readonly DNSName: string;
  readonly OS: string;
  readonly UserID: number;
  readonly TailscaleIPs: readonly string[];
  /** Prefixes: its own addresses, LAN devices and routes. */
  readonly AllowedIPs?: readonly string[];
  readonly PrimaryRoutes?: readonly string[];
  readonly Tags?: readonly string[];
  /** Known endpoints; of ourselves, those that were told to the others. */
  readonly Addrs: readonly string[];
  /** Where a trusted direct path leads; empty: by relay, or idle. */
  readonly CurAddr: string;
  /** Code of its home relay's region. */
  readonly Relay: string;
  readonly PeerRelay: string;
  readonly RxBytes: number;
  readonly TxBytes: number;
  readonly Created: string;
  readonly LastWrite: string;
  readonly LastSeen: string;
  readonly LastHandshake: string;
  readonly Online: boolean;
  readonly ExitNode: boolean;
  readonly ExitNodeOption: boolean;
  /** A packet was sent to it within two minutes. */
  readonly Active: boolean;
  readonly PeerAPIURL: readonly string[];
  readonly CapMap?: Readonly<Record<string, unknown>>;
  readonly InNetworkMap: boolean;
  readonly InMagicSock: boolean;
  readonly InEngine: boolean;
  readonly Expired?: boolean;
  readonly KeyExpiry?: string;
}

/** What is ours; all times RFC 3339 or null. */
export interface PosternStatus {
  readonly now: string;
  readonly uptimeSeconds: number;
  /** Of the TUN device. */
  readonly interface: string;
  readonly control: {
    readonly url: string;
    /** A map stream is open. */
    readonly connected: boolean;
    /** When the server was heard last. */
    readonly heard: string | null;
    /** The map comes from the last run, not from the server. */
    readonly fromCache: boolean;
  };
  readonly key: KeyState;
  /** Our own home relay; null: none is chosen. */
  readonly relay: {
    readonly region: number;
    readonly code: string;
    readonly name: string;
    readonly latencyMillis: number | null;
  } | null;
  readonly settings: NodeSettings;
  /** What is open on this machine by us. */
  readonly ports: readonly PortReport[];
  /** Of the peers in use, by `nodekey:…`. */
  readonly paths: Readonly<Record<string, PathReport>>;
  /** The worst first. */
  readonly health: readonly HealthItem[];
}

export interface KeyState {
  /** `nodekey:…`; null before the first login. */
  readonly publicKey: string | null;
  readonly created: string | null;
  readonly expires: string | null;
  /** When it is changed by itself for a new one. */
  readonly rotates: string | null;
}

/** What a person has set; it survives a restart. */
export interface NodeSettings {
  /** Last said: up, and not down. */
  readonly wanted: boolean;
  readonly loginServer: string;
  /** Empty: the machine's own. */
  readonly hostname: string;
  readonly acceptDns: boolean;
  readonly acceptRoutes: boolean;
  readonly advertiseRoutes: readonly string[];
  readonly advertiseExitNode: boolean;
  readonly advertiseTags: readonly string[];
  /** Stable id, or an address while no map knows it; empty: none. */
  readonly exitNode: string;
  readonly exitNodeAllowLanAccess: boolean;
  readonly shieldsUp: boolean;
  readonly snatSubnetRoutes: boolean;
  /** Of the advertised routes, those whose hosts see who really asks, whatever snatSubnetRoutes says. */
  readonly snatExcept: readonly string[];
  /** 0: never by itself. */
  readonly keyRotationSeconds: number;
}

export interface PortReport {
  readonly protocol: 'udp' | 'tcp';
  readonly port: number;
  /** `0.0.0.0`, `::`: all of them. */
  readonly address: string;
  /** Who gets an answer: anyone who can send there, members of the network, or processes of this machine. */
  readonly answers: 'anyone' | 'members' | 'machine';
  /** For a person: `WireGuard and path finding`. */
  readonly what: string;
}

export interface PathReport {
  readonly kind: 'direct' | 'relay' | 'none';
  /** `192.0.2.1:41641`, or the code of the relay's region; empty for none. */
  readonly via: string;
  /** Of the last answer. */
  readonly latencyMillis: number | null;
  /** Over the last seconds. */
  readonly rxBps: number;
  readonly txBps: number;
  /** Since when it is the path; null for none. */
  readonly since: string | null;
}

/** What `watch` tells whenever one of these changes, and first of all once. */
export interface NodeNotice {
  readonly BackendState: BackendState;
  readonly AuthURL: string;
  /** Why the last login failed for good (a key that nobody takes); empty: it did not. */
  readonly LoginError: string;
  /** A login that was wished for is under way; the node may be Running meanwhile, by the key of before. */
  readonly LoginPending?: boolean;
  readonly Health: readonly HealthItem[];
}
