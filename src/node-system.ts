/** The system as the rooms of a node need it: what main joins to them (start-node.ts). */

import { execFile } from 'node:child_process';
import { lookup } from 'node:dns/promises';
import type { Socket } from 'node:net';
import { arch, hostname, networkInterfaces, release, totalmem } from 'node:os';
import type { Duplex } from 'node:stream';
import type { Endpoint } from './base/endpoint.ts';
import { NetError } from './base/errors.ts';
import type { Health } from './base/health.ts';
import { formatIp, IPV4_BYTES, parseIp } from './base/ip.ts';
import type { DiscoPublic } from './base/keys.ts';
import { discoPublic } from './base/keys.ts';
import { contains } from './base/prefix.ts';
import { unixMillis } from './base/time.ts';
import type { OwnKey } from './crypto/x25519.ts';
import { defaultGateway4, machineAddresses } from './linux/addresses.ts';
import { dialTcp } from './linux/dial.ts';
import type { Native } from './linux/ffi.ts';
import type { GatewayLink } from './linux/gateway-link.ts';
import { openGateway } from './linux/gateway-link.ts';
import { runBatch } from './linux/ip.ts';
import { linkInfo } from './linux/netlink.ts';
import { networkSystem } from './linux/network-system.ts';
import { nodeNetwork } from './node/names/node-network.ts';
import { nodeSystem } from './node/names/node-system.ts';
import type { NamesPorts } from './node/names/ports.ts';
import type { OwnEndpoint } from './node/paths/ports.ts';
import { dialRelay } from './node/relays/tls.ts';
import { MESH_RANGES, OWN_MARK } from './node/router/constants.ts';
import type { RouterPorts } from './node/router/ports.ts';
import type { EndpointKind, OwnEndpoint as ToldEndpoint } from './node/session/own-facts.ts';
import type { SessionPorts } from './node/session/ports.ts';
import type { Surroundings } from './node.ts';
import type { DERPNode, Hostinfo } from './protocol/tailcfg/types.ts';

const KINDS: Readonly<Record<OwnEndpoint['type'], EndpointKind>> = {
  local: 1,
  stun: 2,
  'port-mapped': 3,
  'stun-local-port': 4,
};
/** Of a start without a server. */
const REACH_MILLIS = 1500;
const HOST_BITS = { 4: 32, 16: 128 } as const;

export class NodeSystem {
  readonly #native: Native;
  readonly #clockTrusted: () => boolean;
  #service: { readonly device: string; readonly says: string } = { device: '', says: '' };

  constructor(native: Native, clockTrusted: () => boolean) {
    this.#native = native;
    this.#clockTrusted = clockTrusted;
  }

  get routing(): Pick<RouterPorts, 'ip' | 'nft' | 'sysctl' | 'process'> {
    return networkSystem(process.pid);
  }

  get control(): Pick<SessionPorts, 'dial' | 'clockTrusted'> {
    return {
      dial: (host, port, signal) => this.#dial(host, port, signal),
      clockTrusted: this.#clockTrusted,
    };
  }

  dialRelay = (node: DERPNode): Promise<Duplex> =>
    dialRelay(node, {
      connect: (address, port, signal) =>
        dialTcp(this.#native, address, port, OWN_MARK.value, signal),
      resolve: (host) => this.resolve(host),
      // A board whose clock nobody has set refuses no certificate for its dates.
      wallClock: () => (this.#clockTrusted() ? unixMillis(Date.now()) : undefined),
    });

  async resolve(host: string): Promise<readonly Uint8Array[]> {
    const literal = parseIp(host);
    if (literal !== undefined) return [literal];
    const found = await lookup(host, { all: true, order: 'verbatim' });
    return found.flatMap(({ address }) => parseIp(address) ?? []);
  }

  hasAddress(address: string): boolean {
    return Object.values(networkInterfaces()).some((list) =>
      list?.some((one) => one.address === address),
    );
  }

  /** Whether a server takes connections, within a time that a start may cost. @param url empty: there is none */
  async reaches(url: string): Promise<boolean> {
    const { hostname: host, port, protocol } = URL.parse(url) ?? { hostname: '' };
    if (host === '') return true;
    try {
      const signal = AbortSignal.timeout(REACH_MILLIS);
      const name = host.replace(/^\[|\]$/g, '');
      (await this.#dial(name, Number(port) || (protocol === 'http:' ? 80 : 443), signal)).destroy();
      return true;
    } catch {
      return false;
    }
  }

  board(version: string): Hostinfo {
    return {
      IPNVersion: `1.102.3-postern-${version}`,
      OS: 'linux',
      OSVersion: release(),
      Hostname: hostname(),
      Machine: arch() === 'x64' ? 'x86_64' : 'aarch64',
      GoArch: arch() === 'x64' ? 'amd64' : 'arm64',
      App: 'postern',
      NoLogsNoSupport: true,
    };
  }

  hostname(): string {
    return hostname();
  }

  discoKey(pair: OwnKey): DiscoPublic {
    return discoPublic(pair.publicKey);
  }

  endpointKind = ({ endpoint, type }: OwnEndpoint): ToldEndpoint => ({
    endpoint,
    kind: KINDS[type],
  });

  /** The machine's own addresses with a port; neither the mesh's nor those that only one link knows. */
  endpoints(tunnel: string, port: number): readonly Endpoint[] {
    if (port === 0) return [];
    return machineAddresses()
      .filter((one) => one.interface !== tunnel && !one.loopback && one.scope === 0)
      .filter(({ address }) => !MESH_RANGES.some((range) => contains(range, address)))
      .map(({ address }) => ({ address, port, scope: 0 }));
  }

  surroundings(tunnel: string): Surroundings {
    const others = machineAddresses().filter(
      (one) => one.interface !== tunnel && !one.loopback && one.scope === 0,
    );
    return {
      networks: others.map(({ prefix }) => prefix),
      addresses: others.map(({ address }) => address),
    };
  }

  gateway(): Uint8Array | undefined {
    return defaultGateway4()?.address;
  }

  openGateway(heard: (datagram: Uint8Array, from: Endpoint) => void): GatewayLink {
    return openGateway(this.#native, OWN_MARK.value, heard);
  }

  /**
   * Addresses on the tunnel's interface where services of ours listen. Of IPv6 ones the kernel is told never to
   * choose them as a source (RFC 6724 rule 3); of IPv4 it takes the first, which is our own.
   */
  async setServiceAddresses(device: string, addresses: readonly Uint8Array[]): Promise<void> {
    const says = addresses.map(formatIp).join();
    if (this.#service.device === device && this.#service.says === says) return;
    const words = (address: Uint8Array): readonly string[] => [
      `${formatIp(address)}/${HOST_BITS[address.length as 4 | 16]}`,
      'dev',
      device,
    ];
    await runBatch(
      addresses.map((address) => [
        'address',
        'replace',
        ...words(address),
        ...(address.length === IPV4_BYTES ? [] : ['preferred_lft', '0', 'noprefixroute', 'nodad']),
      ]),
    );
    this.#service = { device, says };
  }

  names(tunnel: string, health: Health): NamesPorts {
    const isOwn = (address: Uint8Array): boolean => {
      const text = formatIp(address);
      if (text === '::1' || (address.length === IPV4_BYTES && address[0] === 127)) return true;
      return this.hasAddress(text);
    };
    return {
      network: nodeNetwork,
      system: nodeSystem,
      health,
      interfaceIndex: () => linkInfo(this.#native, tunnel)?.index ?? 0,
      mayAsk: isOwn,
      isOwnAddress: isOwn,
    };
  }

  /** Calls `action` where addresses or the way to the Internet really are others: most events are our own doing. */
  onlyReal(tunnel: string, action: () => void): () => void {
    const picture = (): string =>
      JSON.stringify([
        machineAddresses()
          .filter((one) => one.interface !== tunnel)
          .map((one) => [one.interface, formatIp(one.address)]),
        defaultGateway4(tunnel)?.address.toHex(),
        defaultGateway4(tunnel)?.interface,
      ]);
    let last = picture();
    return () => {
      const now = picture();
      if (now === last) return;
      last = now;
      action();
    };
  }

  icmpPing = (
    address: string,
    timeoutMillis: number,
    gone: AbortSignal,
  ): Promise<number | undefined> =>
    new Promise((resolve, reject) => {
      const seconds = String(Math.max(1, Math.ceil(timeoutMillis / 1000)));
      const args = ['-n', '-c', '1', '-W', seconds, '--', address];
      execFile('ping', args, { signal: gone }, (error, stdout) => {
        if ((error as NodeJS.ErrnoException | null)?.code === 'ENOENT')
          reject(new NetError("the program 'ping' is not there: install the package iputils-ping"));
        const took = /time=([\d.]+) ms/.exec(stdout)?.[1];
        resolve(took === undefined ? undefined : Number(took));
      });
    });

  async machineFacts(version: string): Promise<Readonly<Record<string, unknown>>> {
    return {
      version,
      kernel: release(),
      arch: arch(),
      node: process.versions.node,
      memoryBytes: totalmem(),
      rss: process.memoryUsage().rss,
    };
  }

  async #dial(host: string, port: number, signal: AbortSignal): Promise<Socket> {
    const addresses = await this.resolve(host);
    let last: unknown = new NetError(`${host} has no address`);
    for (const address of addresses) {
      try {
        return await dialTcp(this.#native, address, port, OWN_MARK.value, signal);
      } catch (error) {
        last = error;
      }
    }
    throw last;
  }
}
