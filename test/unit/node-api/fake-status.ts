/** A network of four machines, as the node of one of them tells it. */

import type {
  NodeSettings,
  NodeStatus,
  PeerStatus,
} from '../../../src/protocol/localapi/node-status.ts';
import { NO_TIME } from '../../../src/protocol/localapi/node-status.ts';

export const NOW = '2026-11-24T12:00:00.000Z';
export const LOGIN_URL = 'https://mesh.example/a/0123456789ab';

export const keyOf = (number: number): string => `nodekey:${String(number).padStart(64, '0')}`;

export function peer(number: number, name: string, more: Partial<PeerStatus> = {}): PeerStatus {
  return {
    ID: `n${number}`,
    NodeID: number,
    PublicKey: keyOf(number),
    HostName: name,
    DNSName: `${name}.mesh.example.`,
    OS: 'linux',
    UserID: 7,
    TailscaleIPs: [`100.64.0.${number}`, `fd7a::${number}`],
    AllowedIPs: [`100.64.0.${number}/32`, `fd7a::${number}/128`, ...(more.AllowedIPs ?? [])],
    Addrs: [],
    CurAddr: '',
    Relay: 'fra',
    PeerRelay: '',
    RxBytes: 0,
    TxBytes: 0,
    Created: NOW,
    LastWrite: NO_TIME,
    LastSeen: NO_TIME,
    LastHandshake: NO_TIME,
    Online: true,
    ExitNode: false,
    ExitNodeOption: false,
    Active: false,
    PeerAPIURL: [],
    InNetworkMap: true,
    InMagicSock: true,
    InEngine: true,
    ...Object.fromEntries(Object.entries(more).filter(([field]) => field !== 'AllowedIPs')),
  };
}

export const SETTINGS: NodeSettings = {
  wanted: true,
  loginServer: 'https://mesh.example',
  hostname: '',
  acceptDns: true,
  acceptRoutes: false,
  advertiseRoutes: [],
  advertiseExitNode: false,
  advertiseTags: [],
  exitNode: '',
  exitNodeAllowLanAccess: false,
  shieldsUp: false,
  snatSubnetRoutes: true,
  snatExcept: [],
  keyRotationSeconds: 90 * 86_400,
};

export const STATUS: NodeStatus = {
  Version: '0.1.0',
  TUN: true,
  BackendState: 'Running',
  HaveNodeKey: true,
  AuthURL: '',
  TailscaleIPs: ['100.64.0.1', 'fd7a::1'],
  Self: peer(1, 'box', { AllowedIPs: ['192.168.8.0/24'], PrimaryRoutes: ['192.168.8.0/24'] }),
  Health: [],
  MagicDNSSuffix: 'mesh.example',
  CurrentTailnet: { Name: 'mesh', MagicDNSSuffix: 'mesh.example', MagicDNSEnabled: true },
  CertDomains: [],
  Peer: {
    [keyOf(2)]: peer(2, 'laptop', { Active: true, CurAddr: '203.0.113.7:41641', RxBytes: 1536 }),
    [keyOf(3)]: peer(3, 'nas', {
      HostName: 'twin',
      Tags: ['tag:store'],
      AllowedIPs: ['10.1.0.0/16', '100.64.9.9/32', '0.0.0.0/0'],
      ExitNodeOption: true,
      PrimaryRoutes: ['10.1.0.0/16'],
      Active: true,
    }),
    [keyOf(4)]: peer(4, 'phone', {
      HostName: 'twin',
      Online: false,
      LastSeen: '2026-11-24T09:00:00Z',
    }),
  },
  User: { '7': { ID: 7, LoginName: 'alice@example.org', DisplayName: 'Alice' } },
  Postern: {
    now: NOW,
    uptimeSeconds: 7380,
    interface: 'postern0',
    control: { url: 'https://mesh.example', connected: true, heard: NOW, fromCache: false },
    key: {
      publicKey: keyOf(1),
      created: NOW,
      expires: '2027-02-22T12:00:00Z',
      rotates: '2027-01-23T12:00:00Z',
    },
    relay: { region: 900, code: 'fra', name: 'Frankfurt', latencyMillis: 12.4 },
    settings: { ...SETTINGS, advertiseRoutes: ['192.168.8.0/24'], advertiseExitNode: true },
    ports: [],
    paths: {
      [keyOf(2)]: {
        kind: 'direct',
        via: '203.0.113.7:41641',
        latencyMillis: 4.21,
        rxBps: 2_100_000,
        txBps: 40_000,
        since: NOW,
      },
      [keyOf(3)]: {
        kind: 'relay',
        via: 'fra',
        latencyMillis: 41.7,
        rxBps: 0,
        txBps: 12_300,
        since: NOW,
      },
    },
    health: [],
  },
};
