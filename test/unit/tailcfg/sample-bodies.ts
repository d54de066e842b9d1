/** One body of each kind that uses every field at least once, and a map of any number of peers. */

import type { MapResponse } from '../../../src/protocol/tailcfg/map-types.ts';
import type {
  Hostinfo,
  MapRequest,
  Node,
  RegisterRequest,
  RegisterResponse,
} from '../../../src/protocol/tailcfg/types.ts';

const digits = (id: number): string => id.toString(16).padStart(64, '0');

export const HOSTINFO: Hostinfo = {
  IPNVersion: '1.102.3',
  BackendLogID: digits(9),
  OS: 'linux',
  OSVersion: '6.12.0',
  Container: false,
  Env: 'k8s',
  Distro: 'debian',
  DistroVersion: '13',
  DistroCodeName: 'trixie',
  App: 'app',
  Desktop: true,
  Package: 'deb',
  DeviceModel: 'Board',
  Hostname: 'cam',
  ShieldsUp: false,
  NoLogsNoSupport: true,
  AllowsUpdate: true,
  Machine: 'aarch64',
  GoArch: 'arm64',
  GoArchVar: 'v8',
  GoVersion: 'go1.26.8',
  RoutableIPs: ['192.168.1.0/24', 'fd00::/64'],
  RequestTags: ['tag:cam'],
  Services: [{ Proto: 'peerapi4', Port: 46_590, Description: 'http' }],
  NetInfo: {
    MappingVariesByDestIP: false,
    WorkingIPv6: true,
    OSHasIPv6: true,
    WorkingUDP: true,
    WorkingICMPv4: false,
    HavePortMap: true,
    UPnP: false,
    PMP: false,
    PCP: true,
    PreferredDERP: 900,
    LinkType: 'wired',
    DERPLatency: { '900-v4': 0.000_422, '900-v6': 0.1 },
    FirewallMode: 'nft-forced',
  },
  sshHostKeys: ['ssh-ed25519 AAAAC3NzaC1lZDI1NTE5'],
  Userspace: false,
  UserspaceRouter: false,
  AppConnector: false,
  ExitNodeID: 'n3',
  StateEncrypted: true,
};

export const REGISTER: RegisterRequest = {
  Version: 142,
  NodeKey: `nodekey:${digits(1)}`,
  OldNodeKey: `nodekey:${digits(0)}`,
  Auth: { AuthKey: 'not-a-real-key' },
  Expiry: '0001-01-01T00:00:00Z',
  Followup: 'https://control.example/register/1',
  Hostinfo: HOSTINFO,
  Ephemeral: true,
  Tailnet: 'home',
};

export const REGISTERED: RegisterResponse = {
  User: { ID: 1, DisplayName: 'Dan', ProfilePicURL: '', Created: '2026-11-23T06:39:16.2459Z' },
  Login: { ID: 1, Provider: '', LoginName: 'dan@', DisplayName: 'Dan', ProfilePicURL: '' },
  NodeKeyExpired: false,
  MachineAuthorized: true,
  AuthURL: '',
  Error: '',
  NodeKeySignature: 'AAAA',
};

export const MAP: MapRequest = {
  Version: 142,
  NodeKey: `nodekey:${digits(1)}`,
  DiscoKey: `discokey:${digits(2)}`,
  Stream: true,
  OmitPeers: false,
  KeepAlive: true,
  Compress: 'zstd',
  Hostinfo: HOSTINFO,
  Endpoints: ['10.0.0.3:41641', '[fd00::3]:41641', '[fe80::1%eth0]:41641'],
  EndpointTypes: [2, 1, 1],
};

export function node(id: number): Node {
  return {
    ID: id,
    StableID: `n${id}`,
    Name: `node-${id}.mesh.internal.`,
    User: 1,
    Key: `nodekey:${digits(id)}`,
    KeyExpiry: '2027-01-01T00:00:00Z',
    Expired: false,
    Machine: `mkey:${digits(id)}`,
    DiscoKey: `discokey:${digits(id)}`,
    Addresses: [`100.64.${id >> 8}.${id & 255}/32`, `fd7a:115c:a1e0::${id.toString(16)}/128`],
    AllowedIPs: [
      `100.64.${id >> 8}.${id & 255}/32`,
      `fd7a:115c:a1e0::${id.toString(16)}/128`,
      '192.168.1.0/24',
    ],
    PrimaryRoutes: ['192.168.1.0/24'],
    Endpoints: [`10.0.${id >> 8}.${id & 255}:41641`, '[fd00::1]:41641'],
    HomeDERP: 900,
    Hostinfo: HOSTINFO,
    Created: '2026-11-23T06:39:35.420673072Z',
    Cap: 142,
    Tags: ['tag:cam'],
    Online: true,
    LastSeen: '2026-11-23T06:54:39+01:00',
    MachineAuthorized: true,
    CapMap: { 'https://tailscale.com/cap/ssh': [], knob: [{ a: [1, null] }, 'x', false] },
  };
}

const RULES = [
  {
    SrcIPs: ['100.64.0.1', '100.64.0.0/10', '100.64.0.1-100.64.0.9', 'fd7a:115c:a1e0::1'],
    DstPorts: [{ IP: '*', Ports: { First: 0, Last: 65_535 } }],
    IPProto: [6, 17],
    CapGrant: [{ Dsts: ['100.64.0.1/32'], CapMap: { 'cap/relay': [] } }],
  },
];
const RESOLVERS = [{ Addr: '1.1.1.1', BootstrapResolution: ['1.1.1.1'], UseWithExitNode: true }];

/** @param peers how many */
export function map(peers: number): MapResponse {
  return {
    KeepAlive: false,
    PingRequest: {
      URL: 'https://control.example/ping/1',
      URLIsNoise: true,
      Log: true,
      Types: 'disco',
      IP: '100.64.0.1',
      Payload: 'aGk=',
    },
    PopBrowserURL: 'https://control.example/',
    Node: node(60_000),
    Peers: Array.from({ length: peers }, (_, i) => node(i + 1)),
    PeersChanged: [node(50_000)],
    PeersRemoved: [7],
    PeersChangedPatch: [
      {
        NodeID: 3,
        DERPRegion: 900,
        Cap: 142,
        CapMap: {},
        Endpoints: ['10.0.0.1:1'],
        Key: `nodekey:${digits(3)}`,
        DiscoKey: `discokey:${digits(3)}`,
        Online: false,
        LastSeen: '2026-11-23T06:54:39Z',
        KeyExpiry: '0001-01-01T00:00:00Z',
      },
    ],
    PeerSeenChange: { '3': true },
    OnlineChange: { '3': false },
    DERPMap: {
      Regions: {
        '900': {
          RegionID: 900,
          RegionCode: 'home',
          RegionName: 'Home',
          Avoid: false,
          NoMeasureNoHome: false,
          Nodes: [
            {
              Name: '900a',
              RegionID: 900,
              HostName: 'control.example',
              CertName: `sha256-raw:${digits(1)}`,
              IPv4: '10.0.0.1',
              IPv6: 'none',
              STUNPort: 3478,
              STUNOnly: false,
              DERPPort: 8443,
              InsecureForTests: false,
              STUNTestIP: '',
              CanPort80: false,
            },
          ],
        },
      },
      omitDefaultRegions: true,
    },
    DNSConfig: {
      Resolvers: RESOLVERS,
      FallbackResolvers: RESOLVERS,
      Routes: { 'mesh.internal': [], 'corp.example': RESOLVERS },
      Domains: ['mesh.internal'],
      Proxied: true,
      CertDomains: ['cam.mesh.internal'],
      ExtraRecords: [{ Name: 'nas.mesh.internal', Type: 'AAAA', Value: 'fd7a:115c:a1e0::9' }],
      ExitNodeFilteredSet: ['.internal'],
    },
    Domain: 'home',
    CollectServices: false,
    PacketFilter: RULES,
    PacketFilters: { base: RULES, old: null },
    UserProfiles: [{ ID: 1, LoginName: 'dan@', DisplayName: 'Dan', ProfilePicURL: '' }],
    Health: ['all is well'],
    DisplayMessages: {
      gone: null,
      'clock-off': {
        Title: 'Clock',
        Text: 'is off',
        Severity: 'low',
        ImpactsConnectivity: true,
        PrimaryAction: { URL: 'https://control.example/clock', Label: 'See' },
      },
    },
    SSHPolicy: {
      rules: [
        {
          ruleExpires: '2027-01-01T00:00:00Z',
          principals: [{ any: true }, { node: 'n1', nodeIP: '100.64.0.1', userLogin: 'dan@' }],
          sshUsers: { '*': '=', root: '' },
          action: {
            message: 'hello',
            reject: false,
            accept: true,
            sessionDuration: 3_600_000_000_000,
            allowAgentForwarding: true,
            allowLocalPortForwarding: true,
            allowRemotePortForwarding: true,
            holdAndDelegate: 'https://unused/machine/ssh/action/1/to/2',
            recorders: ['100.64.0.9:80'],
            onRecordingFailure: {
              RejectSessionWithMessage: 'no',
              TerminateSessionWithMessage: 'ended',
              NotifyURL: 'https://unused/notify',
            },
          },
          acceptEnv: ['LANG'],
        },
      ],
    },
    ControlTime: '2026-11-23T06:50:03.594362121Z',
    Debug: { DisableLogTail: true, SleepSeconds: 0.5 },
  };
}
