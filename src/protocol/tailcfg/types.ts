/**
 * The JSON of register and map, by the protocol's own field names: what our server and our node say and
 * understand. A field that neither uses is not here; readers pass over it.
 *
 *     machine                                        server
 *     POST /machine/register   RegisterRequest  ->   RegisterResponse
 *     POST /machine/map        MapRequest       ->   MapResponse, MapResponse, … for a stream; nothing otherwise
 *
 * An absent field of a MapResponse means "as before", an empty list "now none": except `Peers`, where empty
 * means "as before" too. Times are of the form in time.ts, durations nanoseconds, bytes padded base64.
 *
 * vocabulary.ts has the shape of each type here, and does not compile without one for each field.
 */

import type { DiscoKeyText, MachineKeyText, NodeKeyText } from './keys.ts';
import type { Json } from './shape.ts';

/** `100.64.0.1/32` */
export type PrefixText = string;
/** `10.0.0.1:41641` */
export type EndpointText = string;
export type TimeText = string;

/** The answer of `GET /key`. */
export interface ControlKeys {
  readonly publicKey: MachineKeyText;
  /** All zeros: the protocol before ts2021 is not spoken. */
  readonly legacyPublicKey: MachineKeyText;
}

export interface NetInfo {
  readonly MappingVariesByDestIP?: boolean;
  readonly WorkingIPv6?: boolean;
  readonly OSHasIPv6?: boolean;
  readonly WorkingUDP?: boolean;
  readonly WorkingICMPv4?: boolean;
  readonly HavePortMap?: boolean;
  readonly UPnP?: boolean;
  readonly PMP?: boolean;
  readonly PCP?: boolean;
  /** Region of the home relay; 0 or absent: none yet. */
  readonly PreferredDERP?: number;
  readonly LinkType?: string;
  /** Seconds, by `900-v4` and `900-v6`. */
  readonly DERPLatency?: Readonly<Record<string, number>>;
  readonly FirewallMode?: string;
}

export interface Service {
  /** `tcp`, `udp`, `peerapi4`, `peerapi6`, `peerapi-dns-proxy` and later ones. */
  readonly Proto: string;
  readonly Port: number;
  readonly Description?: string;
}

export interface Hostinfo {
  readonly IPNVersion?: string;
  readonly BackendLogID?: string;
  readonly OS?: string;
  readonly OSVersion?: string;
  readonly Container?: boolean;
  readonly Env?: string;
  readonly Distro?: string;
  readonly DistroVersion?: string;
  readonly DistroCodeName?: string;
  readonly App?: string;
  readonly Desktop?: boolean;
  readonly Package?: string;
  readonly DeviceModel?: string;
  readonly Hostname?: string;
  readonly ShieldsUp?: boolean;
  readonly NoLogsNoSupport?: boolean;
  readonly AllowsUpdate?: boolean;
  readonly Machine?: string;
  readonly GoArch?: string;
  readonly GoArchVar?: string;
  readonly GoVersion?: string;
  /** Routes that the node offers; they count when they are approved. */
  readonly RoutableIPs?: readonly PrefixText[];
  readonly RequestTags?: readonly string[];
  readonly Services?: readonly Service[];
  /** May be left out after it was sent once, and is then as it was. */
  readonly NetInfo?: NetInfo;
  /** Lines as in authorized_keys; to have any means that the node serves SSH. */
  readonly sshHostKeys?: readonly string[];
  readonly Userspace?: boolean;
  readonly UserspaceRouter?: boolean;
  readonly AppConnector?: boolean;
  readonly ExitNodeID?: string;
  readonly StateEncrypted?: boolean;
}

export interface RegisterRequest {
  readonly Version: number;
  readonly NodeKey: NodeKeyText;
  /** The key that `NodeKey` takes the place of; zeros for none. */
  readonly OldNodeKey?: NodeKeyText;
  readonly Auth?: { readonly AuthKey?: string };
  /** In the past: log me out. Unset in any other request of a stock client. */
  readonly Expiry?: TimeText;
  /** The AuthURL of an earlier answer: tell me when it has been visited. */
  readonly Followup?: string;
  readonly Hostinfo?: Hostinfo;
  readonly Ephemeral?: boolean;
  /**
   * Ours: NodeKey is to take the place of OldNodeKey within the same login, which goes on as long as it would have.
   * A server that does not know it asks for a login.
   */
  readonly RotateNodeKey?: boolean;
  readonly Tailnet?: string;
}

export interface RegisterResponse {
  readonly User: {
    readonly ID: number;
    readonly DisplayName: string;
    readonly ProfilePicURL?: string;
    readonly Created?: TimeText;
  };
  readonly Login: {
    readonly ID: number;
    readonly Provider: string;
    readonly LoginName: string;
    readonly DisplayName: string;
    readonly ProfilePicURL?: string;
  };
  readonly NodeKeyExpired: boolean;
  readonly MachineAuthorized: boolean;
  readonly AuthURL: string;
  /** Shown to the user as it stands. */
  readonly Error?: string;
  /** Of tailnet lock; set, it makes a client change its key. Ours is always null. */
  readonly NodeKeySignature?: string;
}

export interface MapRequest {
  readonly Version: number;
  readonly NodeKey: NodeKeyText;
  readonly DiscoKey?: DiscoKeyText;
  /** A stream is asked for; its Hostinfo, Endpoints and DiscoKey may be stale and do not count. */
  readonly Stream?: boolean;
  /** With no Stream: an update of the node's own facts, answered by an empty 200. */
  readonly OmitPeers?: boolean;
  readonly KeepAlive?: boolean;
  /** `zstd`, or empty for plain JSON. */
  readonly Compress?: string;
  readonly Hostinfo?: Hostinfo;
  readonly Endpoints?: readonly EndpointText[];
  /** For each endpoint: 0 unknown, 1 local, 2 STUN, 3 port mapped, 4 STUN with the local port, 5 configured. */
  readonly EndpointTypes?: readonly number[];
}

export type CapMap = Readonly<Record<string, readonly Json[]>>;

export interface Node {
  /** Never used again for another node. */
  readonly ID: number;
  readonly StableID: string;
  /** In full, with a dot at the end. */
  readonly Name: string;
  readonly User: number;
  readonly Key: NodeKeyText;
  readonly KeyExpiry?: TimeText;
  readonly Expired?: boolean;
  readonly Machine?: MachineKeyText;
  readonly DiscoKey?: DiscoKeyText;
  readonly Addresses: readonly PrefixText[];
  /** Addresses and routes. */
  readonly AllowedIPs?: readonly PrefixText[];
  readonly PrimaryRoutes?: readonly PrefixText[];
  readonly Endpoints?: readonly EndpointText[];
  readonly HomeDERP?: number;
  readonly Hostinfo: Hostinfo;
  readonly Created?: TimeText;
  readonly Cap?: number;
  readonly Tags?: readonly string[];
  readonly Online?: boolean;
  /** Only of a node that is not online: with it a node is shown as offline. */
  readonly LastSeen?: TimeText;
  readonly MachineAuthorized?: boolean;
  readonly CapMap?: CapMap;
}

/** What changed of a peer. An absent field is as it was. */
export interface PeerChange {
  readonly NodeID: number;
  readonly DERPRegion?: number;
  readonly Cap?: number;
  readonly CapMap?: CapMap;
  readonly Endpoints?: readonly EndpointText[];
  readonly Key?: NodeKeyText;
  readonly DiscoKey?: DiscoKeyText;
  readonly Online?: boolean;
  readonly LastSeen?: TimeText;
  readonly KeyExpiry?: TimeText;
}

export interface DERPNode {
  readonly Name: string;
  readonly RegionID: number;
  readonly HostName: string;
  /** `sha256-raw:` and 64 hexadecimal digits pins a self-signed certificate. */
  readonly CertName?: string;
  readonly IPv4?: string;
  readonly IPv6?: string;
  /** 0: 3478; -1: none. */
  readonly STUNPort?: number;
  readonly STUNOnly?: boolean;
  readonly DERPPort?: number;
  readonly InsecureForTests?: boolean;
  readonly STUNTestIP?: string;
  readonly CanPort80?: boolean;
}

export interface DERPRegion {
  readonly RegionID: number;
  readonly RegionCode: string;
  readonly RegionName: string;
  readonly Avoid?: boolean;
  readonly NoMeasureNoHome?: boolean;
  readonly Nodes: readonly DERPNode[];
}

export interface DERPMap {
  /** By region number; 900 to 999 are for servers of one's own. */
  readonly Regions: Readonly<Record<string, DERPRegion>>;
  readonly omitDefaultRegions?: boolean;
}

export interface Resolver {
  readonly Addr: string;
  readonly BootstrapResolution?: readonly string[];
  readonly UseWithExitNode?: boolean;
}

export interface DNSConfig {
  readonly Resolvers?: readonly Resolver[];
  readonly FallbackResolvers?: readonly Resolver[];
  /** By suffix; an empty list: the node answers itself. Never null, which a client would forget. */
  readonly Routes?: Readonly<Record<string, readonly Resolver[]>>;
  readonly Domains?: readonly string[];
  /** MagicDNS is on. */
  readonly Proxied?: boolean;
  readonly CertDomains?: readonly string[];
  readonly ExtraRecords?: readonly { Name: string; Type?: '' | 'A' | 'AAAA'; Value: string }[];
  readonly ExitNodeFilteredSet?: readonly string[];
}
