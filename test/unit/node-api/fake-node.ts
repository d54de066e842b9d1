/** A node that only remembers what it was asked for, and its API on a socket. */

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import type { Test } from 'tap';
import { lineLog } from '../../../src/base/log.ts';
import type { NodeBackend, PeerPing } from '../../../src/node/api/ports.ts';
import type { NodeApiOptions } from '../../../src/node/api/server.ts';
import { serveNodeApi } from '../../../src/node/api/server.ts';
import type { LanDeviceReport, PingReport } from '../../../src/protocol/localapi/node-reports.ts';
import type {
  NodeNotice,
  NodeSettings,
  NodeStatus,
} from '../../../src/protocol/localapi/node-status.ts';
import { keyOf, NOW, SETTINGS, STATUS } from './fake-status.ts';

export class FakeNode implements NodeBackend {
  readonly asked: { readonly what: string; readonly with?: unknown }[] = [];
  current: NodeStatus = STATUS;
  loginError = '';
  loginPending = false;
  pongs: (PingReport | undefined | 'wait')[] = [];
  device: LanDeviceReport | undefined;
  failure: Error | undefined;
  readonly #watchers = new Set<() => void>();

  get watchers(): number {
    return this.#watchers.size;
  }

  change(more: Partial<NodeStatus>, loginError = ''): void {
    this.current = { ...this.current, ...more };
    this.loginError = loginError;
    for (const tell of this.#watchers) tell();
  }

  status = (): NodeStatus => {
    if (this.failure !== undefined) throw this.failure;
    return this.current;
  };
  notice = (): NodeNotice => ({
    BackendState: this.current.BackendState,
    AuthURL: this.current.AuthURL,
    LoginError: this.loginError,
    LoginPending: this.loginPending,
    Health: this.current.Postern.health,
  });
  onChange = (changed: () => void): (() => void) => {
    this.#watchers.add(changed);
    return () => this.#watchers.delete(changed);
  };
  up = async (request: unknown): Promise<void> => this.#note('up', request);
  down = async (): Promise<void> => this.change({ BackendState: 'Stopped' });
  set = async (request: unknown): Promise<NodeSettings> => {
    this.#note('set', request);
    return { ...SETTINGS, ...(request as object) };
  };
  login = async (request: unknown): Promise<void> => this.#note('login', request);
  logout = async (): Promise<void> => this.#note('logout');
  ping = async (request: PeerPing, gone: AbortSignal): Promise<PingReport | undefined> => {
    this.#note('ping', request);
    const pong = this.pongs.shift();
    if (pong !== 'wait') return pong;
    await new Promise((done) => gone.addEventListener('abort', done));
    this.#note('ping ended');
    return undefined;
  };
  netcheck: NodeBackend['netcheck'] = async () => ({
    Now: NOW,
    UDP: true,
    IPv4: true,
    IPv6: false,
    IPv4CanSend: true,
    IPv6CanSend: false,
    OSHasIPv6: true,
    MappingVariesByDestIP: true,
    HairPinning: null,
    UPnP: null,
    PMP: true,
    PCP: false,
    PreferredDERP: 900,
    RegionLatency: { '901': 41e6, '900': 12.44e6 },
    RegionV4Latency: {},
    RegionV6Latency: {},
    GlobalV4: '203.0.113.5:41641',
    GlobalV6: '',
    CaptivePortal: null,
    Regions: { '900': { Code: 'fra', Name: 'Frankfurt' }, '901': { Code: 'own', Name: 'Home' } },
    PortMapping: '203.0.113.5:7000',
  });
  dnsStatus: NodeBackend['dnsStatus'] = async () => ({
    TailscaleDNS: true,
    CurrentTailnet: null,
    Resolvers: [],
    SplitDNSRoutes: { corp: [{ Addr: '10.0.0.1' }] },
    FallbackResolvers: [],
    SearchDomains: ['mesh.example'],
    CertDomains: [],
    ExtraRecords: [{ Name: 'cam.mesh.example.', Value: '100.64.9.9' }],
    SystemDNS: { Nameservers: ['192.0.2.53'], SearchDomains: [] },
    Manager: 'file',
  });
  dnsQuery: NodeBackend['dnsQuery'] = async (name, type) => ({
    Name: name,
    QueryType: type,
    ResponseCode: name.startsWith('cam') ? 'RCodeSuccess' : 'RCodeNameError',
    Resolvers: [],
    Answers: name.startsWith('cam')
      ? [{ Name: name, TTL: 600, Class: 'ClassINET', Type: 'TypeA', Body: '100.64.9.9' }]
      : [],
  });
  addressesOf = (name: string): readonly string[] =>
    name === 'cam' || name === 'cam.mesh.example' ? ['100.64.9.9'] : [];
  nameOf = (address: string): string | undefined =>
    address === '100.64.9.9' ? 'cam.mesh.example' : undefined;
  grantsOf = (): Readonly<Record<string, unknown>> => ({});
  netmap = (): unknown => ({ domain: 'mesh' });
  drops: NodeBackend['drops'] = async () => ({
    drops: { 'in: filtered': 7, 'in: forged': 0 },
    samples: [
      {
        at: NOW,
        reason: 'in: filtered',
        peer: keyOf(2),
        packet: 'tcp 100.64.0.2:5 -> 100.64.0.1:22',
      },
    ],
  });
  paths: NodeBackend['paths'] = () => ({ peers: [], own: [] });
  metrics = async (): Promise<string> => {
    throw new Error('no numbers today');
  };
  machineFacts = async (): Promise<Readonly<Record<string, unknown>>> => ({ kernel: '6.1' });
  rotateKey: NodeBackend['rotateKey'] = async () => STATUS.Postern.key;

  readonly lan: NodeBackend['lan'] = {
    list: () => (this.device === undefined ? [] : [this.device]),
    add: async ({ name, address, mode = 'route', sshPort = 22 }) => {
      const rest = { fqdn: null, meshAddress: null, mode, sshPort, shared: false };
      this.device = { name, address, ...rest };
      return this.device;
    },
    remove: async (name) => {
      const known = this.device?.name === name;
      if (known) this.device = undefined;
      return known;
    },
    share: async (name) => this.#shared(name, true),
    unshare: async (name) => this.#shared(name, false),
  };

  #shared(name: string, shared: boolean): LanDeviceReport | undefined {
    if (this.device?.name !== name) return undefined;
    this.device = {
      ...this.device,
      shared,
      fqdn: `${name}.mesh.example`,
      meshAddress: '100.64.9.9',
    };
    return this.device;
  }

  #note(what: string, request?: unknown): void {
    this.asked.push(request === undefined ? { what } : { what, with: request });
  }
}

export interface Served {
  readonly node: FakeNode;
  readonly path: string;
  readonly lines: string[];
  close(): Promise<void>;
}

/** @param more by default root asks, whoever runs the test */
export async function served(t: Test, more: Partial<NodeApiOptions> = {}): Promise<Served> {
  const folder = mkdtempSync(`${tmpdir()}/pn-`);
  const node = new FakeNode();
  const lines: string[] = [];
  const server = await serveNodeApi({
    path: `${folder}/node.sock`,
    backend: node,
    env: {
      log: lineLog((line) => lines.push(line), 'info'),
      random: (lengthBytes) => new Uint8Array(lengthBytes).fill(0xab),
    },
    ownUid: 0,
    readFile: () => undefined,
    credentialsOf: () => ({ pid: 1, uid: 0, gid: 0 }),
    ...more,
  });
  t.teardown(async () => {
    await server.close();
    rmSync(folder, { recursive: true });
  });
  return { node, path: server.path, lines, close: () => server.close() };
}
