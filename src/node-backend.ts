/**
 * What the local API asks of a node (node/api/ports.ts), fitted to its rooms.
 */

import { formatEndpoint } from './base/endpoint.ts';
import type { Env } from './base/env.ts';
import { ConfigError, NetError } from './base/errors.ts';
import { formatIp, parseIp } from './base/ip.ts';
import { contains } from './base/prefix.ts';
import { millis } from './base/time.ts';
import type { NodeBackend, PeerPing } from './node/api/ports.ts';
import type { LanDeviceState } from './node/lan/lan.ts';
import type { Prefs } from './node/session/prefs.ts';
import { DEFAULT_PREFS } from './node/session/prefs.ts';
import type { MeshNode } from './node.ts';
import { nameOf, namesSetting, prefixes, suffixOf } from './node-apply.ts';
import { dnsAnswer, dnsReport, dropsReport, netcheckReport, pathsReport } from './node-reports.ts';
import type { NodeStatuses } from './node-status.ts';
import type { LanDeviceReport, PingReport } from './protocol/localapi/node-reports.ts';
import type { SettingsRequest } from './protocol/localapi/node-requests.ts';
import { keyRotationSeconds } from './protocol/localapi/node-requests.ts';

export interface BackendPorts {
  readonly statuses: NodeStatuses;
  /** The system's own `ping`: round trip in milliseconds, undefined for no answer. */
  icmpPing(address: string, timeoutMillis: number, gone: AbortSignal): Promise<number | undefined>;
  metrics(): Promise<string>;
  machineFacts(): Promise<Readonly<Record<string, unknown>>>;
}

export class Backend implements NodeBackend {
  readonly #env: Env;
  readonly #node: MeshNode;
  readonly #ports: BackendPorts;
  /** Logins that the server has not answered. */
  #logins = 0;

  constructor(env: Env, node: MeshNode, ports: BackendPorts) {
    this.#env = env;
    this.#node = node;
    this.#ports = ports;
  }

  status: NodeBackend['status'] = () => this.#ports.statuses.status();
  notice: NodeBackend['notice'] = () => ({
    ...this.#ports.statuses.notice(),
    LoginPending: this.#logins > 0,
  });
  onChange: NodeBackend['onChange'] = (changed) => this.#node.onChange(changed);
  metrics: NodeBackend['metrics'] = () => this.#ports.metrics();
  machineFacts: NodeBackend['machineFacts'] = () => this.#ports.machineFacts();

  up: NodeBackend['up'] = async (request) => {
    const { session } = this.#node.rooms;
    const { loginServer, authKey, forceReauth, reset } = request;
    const before = session.prefs;
    const controlUrl = loginServer ?? before.controlUrl;
    if (controlUrl === '')
      throw new ConfigError('no network is known yet: name its server with --login-server URL');
    const { controlUrl: _url, ...usual } = DEFAULT_PREFS;
    await session.edit({
      ...(reset === true ? usual : {}),
      ...prefsOf(request),
      controlUrl,
      wantRunning: true,
    });
    const login = authKey !== undefined || forceReauth === true || session.state === 'NeedsLogin';
    // It ends when the server has answered; what it says is in `notice` then.
    if (login) {
      this.#logins++;
      session
        .login({
          ...(authKey === undefined ? {} : { authKey }),
          ...(forceReauth === undefined ? {} : { force: forceReauth }),
        })
        .catch(() => {})
        .finally(() => {
          this.#logins--;
          this.#node.told();
        });
    }
    this.#node.settingsChanged();
  };

  down: NodeBackend['down'] = async () => {
    await this.#node.rooms.session.edit({ wantRunning: false });
    this.#node.settingsChanged();
  };

  set: NodeBackend['set'] = async (request) => {
    await this.#node.rooms.session.edit(prefsOf(request));
    this.#node.settingsChanged();
    return this.#ports.statuses.settings();
  };

  login: NodeBackend['login'] = (request) => this.up({ ...request, forceReauth: true });

  logout: NodeBackend['logout'] = () => this.#node.rooms.session.logout();

  rotateKey: NodeBackend['rotateKey'] = async () => {
    await this.#node.rooms.session.rotateKey();
    return this.#ports.statuses.key();
  };

  ping: NodeBackend['ping'] = async (request, gone) => {
    const peer = [...this.#node.peers.values()].find(({ node }) => node.Key === request.key);
    if (peer === undefined) return undefined;
    const [nodeIp = ''] = prefixes(peer.node.Addresses).map(({ address }) => formatIp(address));
    const report = {
      IP: request.address,
      NodeIP: nodeIp,
      NodeName: nameOf(peer.node).split('.')[0] ?? '',
      Err: '',
      LatencySeconds: 0,
      Endpoint: '',
      PeerRelay: '',
      DERPRegionID: 0,
      DERPRegionCode: '',
    };
    if (request.type === 'disco') return this.#discoPing(request, peer.key, report);
    const took =
      request.type === 'ICMP'
        ? await this.#ports.icmpPing(request.address, request.timeoutMillis, gone)
        : await this.#tsmpPing(request, peer.key);
    return took === undefined ? undefined : { ...report, LatencySeconds: took / 1000 };
  };

  netcheck: NodeBackend['netcheck'] = () => netcheckReport(this.#node, this.#env.wall());
  dnsStatus: NodeBackend['dnsStatus'] = async () => dnsReport(this.#node);
  dnsQuery: NodeBackend['dnsQuery'] = (name, type) => dnsAnswer(this.#node, name, type);
  drops: NodeBackend['drops'] = () => dropsReport(this.#node, this.#env);
  paths: NodeBackend['paths'] = () => pathsReport(this.#node, this.#ports.statuses);

  addressesOf: NodeBackend['addressesOf'] = (name) => {
    const { netmap } = this.#node;
    const { hosts } = namesSetting(netmap, this.#node.rooms.session.prefs);
    const wanted = name.toLowerCase();
    const found = hosts.get(wanted) ?? hosts.get(`${wanted}.${suffixOf(netmap.self)}`) ?? [];
    return found.map((address) => formatIp(address));
  };

  nameOf: NodeBackend['nameOf'] = (address) => {
    const record = this.#node.netmap.dns?.ExtraRecords?.find(({ Value }) => Value === address);
    return record?.Name.replace(/\.$/, '');
  };

  grantsOf: NodeBackend['grantsOf'] = (text) => {
    const address = parseIp(text);
    if (address === undefined) return {};
    const grants: Record<string, unknown> = {};
    for (const { SrcIPs, CapGrant } of this.#node.netmap.filters ?? [])
      if (
        CapGrant !== undefined &&
        (SrcIPs.includes('*') || prefixes(SrcIPs).some((prefix) => contains(prefix, address)))
      )
        for (const { CapMap } of CapGrant) Object.assign(grants, CapMap);
    return grants;
  };

  netmap: NodeBackend['netmap'] = () => {
    const { peers, users, messages, ...rest } = this.#node.netmap;
    return {
      ...rest,
      peers: [...peers.values()],
      users: [...users.values()],
      messages: Object.fromEntries(messages),
    };
  };

  readonly lan: NodeBackend['lan'] = {
    list: () => this.#node.rooms.lan.list().map(deviceReport),
    add: async ({ name, address, mode, sshPort }) => {
      if (mode === 'gateway')
        throw new ConfigError('gateway mode is not built yet: leave --mode out, or say route');
      return deviceReport(await this.#node.rooms.lan.add(name, address, sshPort));
    },
    remove: async (name) => {
      if (!this.#isDevice(name)) return false;
      await this.#node.rooms.lan.remove(name);
      return true;
    },
    share: async (name) =>
      this.#isDevice(name) ? deviceReport(await this.#node.rooms.lan.share(name)) : undefined,
    unshare: async (name) =>
      this.#isDevice(name) ? deviceReport(await this.#node.rooms.lan.unshare(name)) : undefined,
  };

  #isDevice(name: string): boolean {
    return this.#node.rooms.lan.list().some((device) => device.name === name);
  }

  async #discoPing(
    { timeoutMillis }: PeerPing,
    key: Parameters<MeshNode['rooms']['paths']['ping']>[0],
    report: PingReport,
  ): Promise<PingReport | undefined> {
    const { paths } = this.#node.rooms;
    try {
      const { via, rttMillis } = await paths.ping(key, { patience: millis(timeoutMillis) });
      const latency = { ...report, LatencySeconds: rttMillis / 1000 };
      if (!('relay' in via)) return { ...latency, Endpoint: formatEndpoint(via) };
      const { code } = this.#ports.statuses.regionOf(via.relay);
      return { ...latency, DERPRegionID: via.relay, DERPRegionCode: code || String(via.relay) };
    } catch (error) {
      if (error instanceof NetError) return undefined;
      throw error;
    }
  }

  #tsmpPing(
    { address, timeoutMillis }: PeerPing,
    key: Parameters<MeshNode['rooms']['paths']['ping']>[0],
  ): Promise<number | undefined> {
    const target = parseIp(address);
    const own = prefixes(this.#node.netmap.self?.Addresses ?? []).map((prefix) => prefix.address);
    const source = own.find(({ length }) => length === target?.length);
    if (target === undefined || source === undefined) return Promise.resolve(undefined);
    return this.#node.rooms.wires.tsmpPing(key, source, target, millis(timeoutMillis));
  }
}

function prefsOf(request: SettingsRequest): Partial<Prefs> {
  const { keyRotation, ...same } = request;
  const known = Object.fromEntries(
    Object.entries(same).filter(([name, value]) => name in DEFAULT_PREFS && value !== undefined),
  ) as Partial<Prefs>;
  if (keyRotation === undefined) return known;
  return { ...known, keyRotationSeconds: keyRotationSeconds(keyRotation) ?? 0 };
}

function deviceReport({ mapped: _mapped, ...device }: LanDeviceState): LanDeviceReport {
  return device;
}
