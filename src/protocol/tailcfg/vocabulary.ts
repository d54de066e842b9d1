/**
 * The shapes of types.ts: what a machine sends, and what describes a node. map-vocabulary.ts has the rest.
 *
 * Limits are ours, several times what stock clients are known to send; they bound what one machine can make us
 * keep. A number is what Go's type can hold, or less.
 */

import { isAddress, isBase64, isEndpoint, isFullName, isPrefix } from './formats.ts';
import type { DiscoKeyText, MachineKeyText, NodeKeyText } from './keys.ts';
import { isKeyText, isNoKey } from './keys.ts';
import type { Shape } from './shape.ts';
import {
  bool,
  json,
  leaf,
  list,
  maybe,
  object,
  oneOf,
  real,
  record,
  text,
  whole,
} from './shape.ts';
import { parseTime } from './time.ts';
import type {
  CapMap,
  DERPMap,
  DERPNode,
  DERPRegion,
  DNSConfig,
  Hostinfo,
  MapRequest,
  NetInfo,
  Node,
  PeerChange,
  RegisterRequest,
  RegisterResponse,
  Resolver,
  Service,
} from './types.ts';

/** A word or a version, a line for a person, an address of the web. */
export const word: Shape<string> = text(256);
export const line: Shape<string> = text(4096);
export const url: Shape<string> = text(4096);

export const time: Shape<string> = text(64, 'a time', (value) => parseTime(value) !== undefined);
export const address: Shape<string> = text(64, 'an address', isAddress);
export const prefix: Shape<string> = text(64, 'a prefix', isPrefix);
export const endpoint: Shape<string> = text(80, 'an address and port', isEndpoint);
export const base64: Shape<string> = text(65_536, 'base64', isBase64);
export const port: Shape<number> = whole(0, 65_535);
/** A user's or a node's number; 0 stands for nobody. */
export const id: Shape<number> = whole(0, Number.MAX_SAFE_INTEGER);
const nodeId: Shape<number> = whole(1, Number.MAX_SAFE_INTEGER);
export const nodeIds: Shape<readonly number[]> = list(nodeId, 100_000);

const capability: Shape<number> = whole(0, 65_535);
const region: Shape<number> = whole(0, 2 ** 31 - 1);

const nodeKeyOrNone = key<NodeKeyText>('nodekey:', true);
const nodeKey = key<NodeKeyText>('nodekey:', false);
const discoKey = key<DiscoKeyText>('discokey:', true);
const machineKey = key<MachineKeyText>('mkey:', true);

function key<T extends string>(kind: string, orNone: boolean): Shape<T> {
  return leaf<T>(
    orNone ? `a ${kind}` : `a ${kind} that is not zero`,
    (value) => typeof value === 'string' && isKeyText(value, kind) && (orNone || !isNoKey(value)),
  );
}

const NET_INFO: Shape<NetInfo> = object<NetInfo>({
  MappingVariesByDestIP: maybe(bool),
  WorkingIPv6: maybe(bool),
  OSHasIPv6: maybe(bool),
  WorkingUDP: maybe(bool),
  WorkingICMPv4: maybe(bool),
  HavePortMap: maybe(bool),
  UPnP: maybe(bool),
  PMP: maybe(bool),
  PCP: maybe(bool),
  PreferredDERP: maybe(region),
  LinkType: maybe(word),
  DERPLatency: maybe(record(real, 1024, word)),
  FirewallMode: maybe(word),
});

const SERVICE: Shape<Service> = object<Service>({
  Proto: word,
  Port: port,
  Description: maybe(line),
});

const HOSTINFO: Shape<Hostinfo> = object<Hostinfo>({
  IPNVersion: maybe(word),
  BackendLogID: maybe(word),
  OS: maybe(word),
  OSVersion: maybe(word),
  Container: maybe(bool),
  Env: maybe(word),
  Distro: maybe(word),
  DistroVersion: maybe(word),
  DistroCodeName: maybe(word),
  App: maybe(word),
  Desktop: maybe(bool),
  Package: maybe(word),
  DeviceModel: maybe(word),
  Hostname: maybe(word),
  ShieldsUp: maybe(bool),
  NoLogsNoSupport: maybe(bool),
  AllowsUpdate: maybe(bool),
  Machine: maybe(word),
  GoArch: maybe(word),
  GoArchVar: maybe(word),
  GoVersion: maybe(word),
  RoutableIPs: maybe(list(prefix, 1024)),
  RequestTags: maybe(list(word, 64)),
  Services: maybe(list(SERVICE, 1024)),
  NetInfo: maybe(NET_INFO),
  // A line of RSA with 16,384 bits has 2,800 characters.
  sshHostKeys: maybe(list(line, 16)),
  Userspace: maybe(bool),
  UserspaceRouter: maybe(bool),
  AppConnector: maybe(bool),
  ExitNodeID: maybe(word),
  StateEncrypted: maybe(bool),
});

export const REGISTER_REQUEST: Shape<RegisterRequest> = object<RegisterRequest>({
  Version: capability,
  NodeKey: nodeKey,
  OldNodeKey: maybe(nodeKeyOrNone),
  Auth: maybe(object<NonNullable<RegisterRequest['Auth']>>({ AuthKey: maybe(word) })),
  Expiry: maybe(time),
  Followup: maybe(url),
  Hostinfo: maybe(HOSTINFO),
  Ephemeral: maybe(bool),
  RotateNodeKey: maybe(bool),
  Tailnet: maybe(word),
});

export const MAP_REQUEST: Shape<MapRequest> = object<MapRequest>({
  Version: capability,
  NodeKey: nodeKey,
  DiscoKey: maybe(discoKey),
  Stream: maybe(bool),
  OmitPeers: maybe(bool),
  KeepAlive: maybe(bool),
  Compress: maybe(word),
  Hostinfo: maybe(HOSTINFO),
  Endpoints: maybe(list(endpoint, 256)),
  EndpointTypes: maybe(list(whole(0, 255), 256)),
});

export const REGISTER_RESPONSE: Shape<RegisterResponse> = object<RegisterResponse>({
  User: object<RegisterResponse['User']>({
    ID: id,
    DisplayName: word,
    ProfilePicURL: maybe(url),
    Created: maybe(time),
  }),
  Login: object<RegisterResponse['Login']>({
    ID: id,
    Provider: word,
    LoginName: word,
    DisplayName: word,
    ProfilePicURL: maybe(url),
  }),
  NodeKeyExpired: bool,
  MachineAuthorized: bool,
  AuthURL: url,
  Error: maybe(line),
  NodeKeySignature: maybe(base64),
});

export const CAP_MAP: Shape<CapMap> = record(list(json(8, 4096), 1024), 1024, word);

export const NODE: Shape<Node> = object<Node>({
  ID: nodeId,
  StableID: word,
  Name: text(254, 'a full name', isFullName),
  User: id,
  Key: nodeKeyOrNone,
  KeyExpiry: maybe(time),
  Expired: maybe(bool),
  Machine: maybe(machineKey),
  DiscoKey: maybe(discoKey),
  Addresses: list(prefix, 16),
  AllowedIPs: maybe(list(prefix, 65_536)),
  PrimaryRoutes: maybe(list(prefix, 4096)),
  Endpoints: maybe(list(endpoint, 256)),
  HomeDERP: maybe(region),
  Hostinfo: HOSTINFO,
  Created: maybe(time),
  Cap: maybe(capability),
  Tags: maybe(list(word, 256)),
  Online: maybe(bool),
  LastSeen: maybe(time),
  MachineAuthorized: maybe(bool),
  CapMap: maybe(CAP_MAP),
});

export const PEER_CHANGE: Shape<PeerChange> = object<PeerChange>({
  NodeID: nodeId,
  DERPRegion: maybe(region),
  Cap: maybe(capability),
  CapMap: maybe(CAP_MAP),
  Endpoints: maybe(list(endpoint, 256)),
  Key: maybe(nodeKey),
  DiscoKey: maybe(discoKey),
  Online: maybe(bool),
  LastSeen: maybe(time),
  KeyExpiry: maybe(time),
});

const DERP_NODE: Shape<DERPNode> = object<DERPNode>({
  Name: word,
  RegionID: region,
  HostName: word,
  CertName: maybe(word),
  // A client takes other words too: `none` switches a family off.
  IPv4: maybe(word),
  IPv6: maybe(word),
  STUNPort: maybe(whole(-1, 65_535)),
  STUNOnly: maybe(bool),
  DERPPort: maybe(port),
  InsecureForTests: maybe(bool),
  STUNTestIP: maybe(word),
  CanPort80: maybe(bool),
});

const DERP_REGION: Shape<DERPRegion> = object<DERPRegion>({
  RegionID: region,
  RegionCode: word,
  RegionName: word,
  Avoid: maybe(bool),
  NoMeasureNoHome: maybe(bool),
  Nodes: list(DERP_NODE, 64),
});

/** A whole number as the name of a field: Go reads it as the key of a map. */
export const numeral: Shape<string> = text(15, 'a whole number', (name) => /^[1-9]\d*$/.test(name));

export const DERP_MAP: Shape<DERPMap> = object<DERPMap>({
  Regions: record(DERP_REGION, 1024, numeral),
  omitDefaultRegions: maybe(bool),
});

const RESOLVERS: Shape<readonly Resolver[]> = list(
  object<Resolver>({
    Addr: url,
    BootstrapResolution: maybe(list(address, 16)),
    UseWithExitNode: maybe(bool),
  }),
  64,
);

export const DNS_CONFIG: Shape<DNSConfig> = object<DNSConfig>({
  Resolvers: maybe(RESOLVERS),
  FallbackResolvers: maybe(RESOLVERS),
  Routes: maybe(record(RESOLVERS, 4096, word)),
  Domains: maybe(list(word, 256)),
  Proxied: maybe(bool),
  CertDomains: maybe(list(word, 256)),
  ExtraRecords: maybe(
    list(
      object<NonNullable<DNSConfig['ExtraRecords']>[number]>({
        Name: word,
        Type: maybe(oneOf('', 'A', 'AAAA')),
        Value: word,
      }),
      65_536,
    ),
  ),
  ExitNodeFilteredSet: maybe(list(word, 1024)),
});
