/**
 * Answers of `node.sock` but for the status. Names with a capital are those of the other program's `--json`
 * (tailscale 1.102: PingResult, WhoIsResponse, netcheck's Report, DNSStatusResult, DNSQueryResult).
 */

import type { UserProfile } from './node-status.ts';

export interface IpReport {
  /** Full name, without the dot at its end; empty before the first map. */
  readonly name: string;
  readonly self: boolean;
  /** IPv4 first. */
  readonly addresses: readonly string[];
}

/** Of one ping. Where nobody answers in time there is no report, but an error. */
export interface PingReport {
  /** What was asked for; behind a subnet router another than NodeIP. */
  readonly IP: string;
  readonly NodeIP: string;
  readonly NodeName: string;
  /** Why it cannot be pinged at all; empty for a pong. */
  readonly Err: string;
  readonly LatencySeconds: number;
  /** Of a direct path; empty by relay. */
  readonly Endpoint: string;
  readonly PeerRelay: string;
  /** 0: not by relay. */
  readonly DERPRegionID: number;
  readonly DERPRegionCode: string;
  readonly IsLocalIP?: boolean;
}

export interface WhoisReport {
  readonly Node: {
    readonly ID: number;
    readonly StableID: string;
    /** Full name with a dot at its end. */
    readonly Name: string;
    readonly Key: string;
    readonly User: number;
    readonly Addresses: readonly string[];
    readonly AllowedIPs: readonly string[];
    readonly Tags?: readonly string[];
    readonly KeyExpiry?: string;
    readonly Online?: boolean;
    readonly Hostinfo: { readonly OS?: string; readonly Hostname?: string };
  };
  readonly UserProfile: UserProfile;
  readonly CapMap: Readonly<Record<string, unknown>>;
  /** Ours: the LAN device that has the address, where it is none of the node's own. */
  readonly Device?: { readonly name: string; readonly address: string };
}

/** Latencies in nanoseconds by region number, as Go writes them; null: nobody looked. */
export interface NetcheckReport {
  readonly Now: string;
  readonly UDP: boolean;
  readonly IPv4: boolean;
  readonly IPv6: boolean;
  readonly IPv4CanSend: boolean;
  readonly IPv6CanSend: boolean;
  readonly OSHasIPv6: boolean;
  readonly MappingVariesByDestIP: boolean | null;
  readonly HairPinning: boolean | null;
  readonly UPnP: boolean | null;
  readonly PMP: boolean | null;
  readonly PCP: boolean | null;
  readonly PreferredDERP: number;
  readonly RegionLatency: Readonly<Record<string, number>>;
  readonly RegionV4Latency: Readonly<Record<string, number>>;
  readonly RegionV6Latency: Readonly<Record<string, number>>;
  readonly GlobalV4: string;
  readonly GlobalV6: string;
  readonly CaptivePortal: boolean | null;
  /** Ours: what the numbers of regions are called. */
  readonly Regions: Readonly<Record<string, { readonly Code: string; readonly Name: string }>>;
  /** Ours: the address that a router opened for us; empty: none. */
  readonly PortMapping: string;
}

export interface DnsResolver {
  readonly Addr: string;
  readonly BootstrapResolution?: readonly string[];
}

export interface DnsStatusReport {
  /** We answer for this machine (--accept-dns). */
  readonly TailscaleDNS: boolean;
  readonly CurrentTailnet: {
    readonly MagicDNSEnabled: boolean;
    readonly MagicDNSSuffix: string;
    readonly SelfDNSName: string;
  } | null;
  readonly Resolvers: readonly DnsResolver[];
  readonly SplitDNSRoutes: Readonly<Record<string, readonly DnsResolver[]>>;
  readonly FallbackResolvers: readonly DnsResolver[];
  readonly SearchDomains: readonly string[];
  readonly CertDomains: readonly string[];
  readonly ExtraRecords: readonly {
    readonly Name: string;
    readonly Type?: string;
    readonly Value: string;
  }[];
  readonly SystemDNS: {
    readonly Nameservers: readonly string[];
    readonly SearchDomains: readonly string[];
  } | null;
  readonly SystemDNSError?: string;
  /** Ours: how this machine's resolver is managed (`systemd-resolved`, `resolvconf`, `file`, `none`). */
  readonly Manager: string;
}

export interface DnsQueryReport {
  readonly Name: string;
  readonly QueryType: string;
  /** `RCodeSuccess`, `RCodeNameError`, … as the other program names them. */
  readonly ResponseCode: string;
  /** Who was asked; empty: we knew it. */
  readonly Resolvers: readonly DnsResolver[];
  readonly Answers: readonly {
    readonly Name: string;
    readonly TTL: number;
    readonly Class: string;
    readonly Type: string;
    readonly Body: string;
  }[];
}

export interface DropsReport {
  /** Packets by reason since the start. */
  readonly drops: Readonly<Record<string, number>>;
  /** Some of the last ones, the newest first. */
  readonly samples: readonly {
    readonly at: string;
    readonly reason: string;
    /** `nodekey:…`, where it came from a peer. */
    readonly peer: string | null;
    /** `tcp 100.64.0.2:51000 -> 100.64.0.1:22`. */
    readonly packet: string;
  }[];
}

/** All that is known of the ways to one peer. */
export interface PathsReport {
  readonly peers: readonly {
    readonly peer: string;
    readonly name: string;
    readonly state: string;
    readonly candidates: readonly {
      readonly endpoint: string;
      /** Who told of it: `map`, `call-me-maybe`, `ping`, … */
      readonly source: string;
      readonly latencyMillis: number | null;
      readonly lastPong: string | null;
      readonly trusted: boolean;
    }[];
  }[];
  /** Where we can be reached, as told to the others. */
  readonly own: readonly { readonly endpoint: string; readonly source: string }[];
}

/** For whoever helps. It holds addresses and names, and no secret. */
export interface BugReport {
  /** To be quoted, also found in the node's log. */
  readonly marker: string;
  readonly note: string;
  readonly report: Readonly<Record<string, unknown>>;
}

export type LanMode = 'route' | 'gateway';

export interface LanDeviceReport {
  readonly name: string;
  /** Full name in the network; null: not shared yet, or the server is away. */
  readonly fqdn: string | null;
  /** In the LAN. */
  readonly address: string;
  /** In the network; null as for fqdn. */
  readonly meshAddress: string | null;
  readonly mode: LanMode;
  readonly sshPort: number;
  readonly shared: boolean;
}
