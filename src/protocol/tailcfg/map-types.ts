/**
 * The JSON of a map that types.ts does not have: rules, messages, and MapResponse itself.
 *
 * vocabulary.ts and map-vocabulary.ts have the shapes.
 */

import type {
  CapMap,
  DERPMap,
  DNSConfig,
  EndpointText,
  Node,
  PeerChange,
  PrefixText,
  TimeText,
} from './types.ts';

export interface PortRange {
  readonly First: number;
  readonly Last: number;
}

/** What a node lets in: from SrcIPs to DstPorts, or the application grants in CapGrant. */
export interface FilterRule {
  /** `*`, addresses, prefixes, `first-last`. */
  readonly SrcIPs: readonly string[];
  readonly DstPorts?: readonly { readonly IP: string; readonly Ports: PortRange }[];
  /** Protocol numbers; absent: TCP, UDP and ICMP. */
  readonly IPProto?: readonly number[];
  readonly CapGrant?: readonly {
    readonly Dsts: readonly PrefixText[];
    readonly CapMap?: CapMap;
  }[];
}

export interface SSHPrincipal {
  readonly any?: boolean;
  /** StableID. */
  readonly node?: string;
  readonly nodeIP?: string;
  readonly userLogin?: string;
}

export interface SSHAction {
  readonly message?: string;
  readonly reject?: boolean;
  readonly accept?: boolean;
  readonly sessionDuration?: number;
  readonly allowAgentForwarding?: boolean;
  readonly allowLocalPortForwarding?: boolean;
  readonly allowRemotePortForwarding?: boolean;
  readonly holdAndDelegate?: string;
  readonly recorders?: readonly EndpointText[];
  readonly onRecordingFailure?: {
    readonly RejectSessionWithMessage?: string;
    readonly TerminateSessionWithMessage?: string;
    readonly NotifyURL?: string;
  };
}

export interface SSHRule {
  readonly ruleExpires?: TimeText;
  readonly principals: readonly SSHPrincipal[];
  /** From the user asked for, or `*`, to the local one; `=`: the same; empty: nobody. */
  readonly sshUsers: Readonly<Record<string, string>>;
  readonly action: SSHAction;
  readonly acceptEnv?: readonly string[];
}

export interface SSHPolicy {
  /** The first that fits is the answer. */
  readonly rules: readonly SSHRule[];
}

export interface UserProfile {
  readonly ID: number;
  readonly LoginName: string;
  readonly DisplayName: string;
  readonly ProfilePicURL?: string;
}

/** A warning in the client's own pages. */
export interface DisplayMessage {
  readonly Title: string;
  readonly Text: string;
  readonly Severity: 'high' | 'medium' | 'low';
  readonly ImpactsConnectivity?: boolean;
  readonly PrimaryAction?: { readonly URL: string; readonly Label: string };
}

/** URL: a new one each time, and `https:` for what is to be fetched inside the records. */
export interface PingRequest {
  readonly URL: string;
  readonly URLIsNoise?: boolean;
  readonly Log?: boolean;
  /** Of `disco`, `TSMP`, `ICMP`, `peerapi`, with commas; `c2n`; empty: only answer. */
  readonly Types?: string;
  readonly IP?: string;
  readonly Payload?: string;
}

export interface MapResponse {
  /** Alone, or with a PingRequest. */
  readonly KeepAlive?: boolean;
  readonly PingRequest?: PingRequest;
  readonly PopBrowserURL?: string;
  /** The node itself; must be in the first map of a stream. */
  readonly Node?: Node;
  /** Not empty: all peers, by rising ID. */
  readonly Peers?: readonly Node[];
  readonly PeersChanged?: readonly Node[];
  readonly PeersRemoved?: readonly number[];
  readonly PeersChangedPatch?: readonly PeerChange[];
  /** By NodeID: seen now, or not seen. */
  readonly PeerSeenChange?: Readonly<Record<string, boolean>>;
  readonly OnlineChange?: Readonly<Record<string, boolean>>;
  readonly DERPMap?: DERPMap;
  readonly DNSConfig?: DNSConfig;
  readonly Domain?: string;
  readonly CollectServices?: boolean;
  /** The whole list, in the form that PacketFilters replaced. */
  readonly PacketFilter?: readonly FilterRule[];
  /** By name: a list takes the place of that name's, null deletes it, and null for `*` all of them. */
  readonly PacketFilters?: Readonly<Record<string, readonly FilterRule[] | null>>;
  /** Those of self and of each peer, else nobody can say who a node is; they add up. */
  readonly UserProfiles?: readonly UserProfile[];
  readonly Health?: readonly string[];
  /** By a name of ours; null deletes, and null for `*` all. */
  readonly DisplayMessages?: Readonly<Record<string, DisplayMessage | null>>;
  readonly SSHPolicy?: SSHPolicy;
  readonly ControlTime?: TimeText;
  readonly Debug?: { readonly DisableLogTail?: boolean; readonly SleepSeconds?: number };
}
