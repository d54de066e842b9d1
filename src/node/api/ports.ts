/**
 * What the API needs of the node. Main fits it: the API knows no other room of the node.
 *
 * A method that cannot do what is asked throws by what the asker should do (base/errors.ts): ConfigError with what
 * to change, NetError to try again, DeniedError. Whatever else it throws is a fault of ours, and logged as one.
 */

import type {
  DnsQueryReport,
  DnsStatusReport,
  DropsReport,
  LanDeviceReport,
  NetcheckReport,
  PathsReport,
  PingReport,
} from '../../protocol/localapi/node-reports.ts';
import type {
  LanAddRequest,
  LoginRequest,
  PingRequest,
  SettingsRequest,
  UpRequest,
} from '../../protocol/localapi/node-requests.ts';
import type {
  KeyState,
  NodeNotice,
  NodeSettings,
  NodeStatus,
} from '../../protocol/localapi/node-status.ts';

/** A ping whose peer was found. */
export interface PeerPing extends Required<Omit<PingRequest, 'peer'>> {
  /** `nodekey:…` */
  readonly key: string;
  /** What was asked for: an address of the peer, or one behind it. */
  readonly address: string;
}

export interface NodeBackend {
  status(): NodeStatus;
  /** Of this moment; cheap, since it is asked for each change and each watcher. */
  notice(): NodeNotice;
  /** Calls `changed` after each change of what `notice` tells; the result ends that. */
  onChange(changed: () => void): () => void;

  /**
   * Notes that the node is wanted, and the settings named; saved when it resolves. `notice` then tells of the new
   * wish already: LoginPending where it takes a login, until that is granted or refused, and a LoginError of before
   * is gone.
   */
  up(request: UpRequest): Promise<void>;
  down(): Promise<void>;
  /** @param request `exitNode` is a stable id, an address that no map knows yet, or empty */
  set(request: SettingsRequest): Promise<NodeSettings>;
  /** As `up` with `forceReauth`. */
  login(request: LoginRequest): Promise<void>;
  /** Ends the node key at the server, as far as that answers, and forgets it. */
  logout(): Promise<void>;

  /** One; undefined: nobody answered in time, or `gone`. */
  ping(request: PeerPing, gone: AbortSignal): Promise<PingReport | undefined>;
  /** Measures anew. */
  netcheck(gone: AbortSignal): Promise<NetcheckReport>;
  dnsStatus(): Promise<DnsStatusReport>;
  dnsQuery(name: string, type: string, gone: AbortSignal): Promise<DnsQueryReport>;
  /** Addresses that a name of the network has: a node's, a LAN device's, an extra record's. No dot at its end. */
  addressesOf(name: string): readonly string[];
  /** The name behind an address that is no node's own; undefined: none. */
  nameOf(address: string): string | undefined;
  /** What the packet filter grants to the owner of an address (CapGrant), by capability. */
  grantsOf(address: string): Readonly<Record<string, unknown>>;

  /** The folded map; no secret in it. */
  netmap(): unknown;
  drops(): Promise<DropsReport>;
  paths(): PathsReport;
  /** Prometheus' text format. */
  metrics(): Promise<string>;
  /** Of a bug report what nothing else tells: versions, kernel, sizes, the last log lines. No secret. */
  machineFacts(): Promise<Readonly<Record<string, unknown>>>;

  readonly lan: {
    list(): readonly LanDeviceReport[];
    /** Name and address are well-formed; @throws ConfigError where one is taken or cannot be */
    add(request: LanAddRequest): Promise<LanDeviceReport>;
    /** undefined: there is none of that name. So below. */
    remove(name: string): Promise<boolean>;
    share(name: string): Promise<LanDeviceReport | undefined>;
    unshare(name: string): Promise<LanDeviceReport | undefined>;
  };
  /** A new node key, now; the old one works until the server has taken the new. */
  rotateKey(): Promise<KeyState>;
}

/** Files of the system that say who is in a group; the text, or undefined where there is no such file. */
export type ReadSystemFile = (path: '/etc/passwd' | '/etc/group') => string | undefined;
