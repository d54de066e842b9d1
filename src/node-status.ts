/**
 * How the node is, as `status --json` prints it (protocol/localapi/node-status.ts): the map told in the other
 * program's words, with what tunnel, paths and relays know of each peer.
 */

import { formatEndpoint } from './base/endpoint.ts';
import type { Env } from './base/env.ts';
import type { NodePublic } from './base/keys.ts';
import { keyText } from './base/keys.ts';
import type { Millis } from './base/time.ts';
import type { PathStatus } from './node/paths/path-status.ts';
import type { Netmap } from './node/session/netmap.ts';
import type { PeerStatus as TunnelPeer } from './node/tunnel/configuration.ts';
import type { MeshNode } from './node.ts';
import { publicOf } from './node.ts';
import { exitNodeOf, offersExit, suffixOf } from './node-apply.ts';
import type { UsedPeer } from './node-path-watch.ts';
import { PathWatch } from './node-path-watch.ts';
import { addressesOf, EMPTY_PEER, iso, ofNode, users } from './node-words.ts';
import type {
  KeyState,
  NodeNotice,
  NodeSettings,
  NodeStatus,
  PathReport,
  PeerStatus,
  PortReport,
} from './protocol/localapi/node-status.ts';
import { NO_TIME } from './protocol/localapi/node-status.ts';
import { formatNodePublic } from './protocol/tailcfg/keys.ts';
import { parseTime } from './protocol/tailcfg/time.ts';
import type { Node } from './protocol/tailcfg/types.ts';

/** A peer to which nothing was sent for so long is idle (as stock clients count). */
const ACTIVE_MILLIS = 120_000;

export interface StatusFacts {
  readonly version: string;
  readonly interface: string;
  readonly startedAt: Millis;
  readonly port: () => number;
  /** `os` of Hostinfo and the like for our own line. */
  readonly hostname: string;
}

export class NodeStatuses {
  readonly #env: Env;
  readonly #node: MeshNode;
  readonly #facts: StatusFacts;
  readonly #watch: PathWatch;

  constructor(env: Env, node: MeshNode, facts: StatusFacts) {
    this.#env = env;
    this.#node = node;
    this.#facts = facts;
    this.#watch = new PathWatch(env, () => this.#used());
  }

  close(): void {
    this.#watch.close();
  }

  notice(): NodeNotice {
    const { session } = this.#node.rooms;
    return {
      BackendState: session.state,
      AuthURL: session.authUrl ?? '',
      LoginError: session.loginError ?? '',
      Health: this.#node.health(),
    };
  }

  status(): NodeStatus {
    const { session, tunnel } = this.#node.rooms;
    const { netmap } = this.#node;
    const exit = exitNodeOf(netmap, session.prefs.exitNode);
    const known = new Map(
      tunnel.status().peers.map((peer): [string, TunnelPeer] => [keyText(peer.publicKey), peer]),
    );
    const peers = [...this.#node.peers.values()].map(({ node, key }): [string, PeerStatus] => [
      node.Key,
      this.#peer(node, key, known.get(keyText(key)), node.ID === exit?.ID),
    ]);
    const suffix = suffixOf(netmap.self);
    const health = this.#node.health();
    return {
      Version: this.#facts.version,
      TUN: true,
      BackendState: session.state,
      HaveNodeKey: session.nodeKey !== undefined,
      AuthURL: session.authUrl ?? '',
      TailscaleIPs: addressesOf(netmap.self),
      Self: this.#self(netmap),
      ...(exit === undefined
        ? {}
        : {
            ExitNodeStatus: {
              ID: exit.StableID,
              Online: exit.Online === true,
              TailscaleIPs: [...exit.Addresses],
            },
          }),
      Health: health.map(({ text }) => text),
      MagicDNSSuffix: suffix,
      CurrentTailnet:
        netmap.self === undefined
          ? null
          : {
              Name: netmap.domain,
              MagicDNSSuffix: suffix,
              MagicDNSEnabled: netmap.dns?.Proxied === true,
            },
      CertDomains: netmap.dns?.CertDomains ?? [],
      Peer: Object.fromEntries(peers),
      User: users(netmap),
      Postern: {
        now: iso(this.#env.wall()),
        uptimeSeconds: Math.floor((this.#env.now() - this.#facts.startedAt) / 1000),
        interface: this.#facts.interface,
        control: {
          url: session.prefs.controlUrl,
          connected: session.connected,
          heard: session.heardAt === undefined ? null : this.#instant(session.heardAt),
          fromCache: session.fromCache,
        },
        key: this.key(),
        relay: this.#relay(netmap),
        settings: this.settings(),
        ports: this.#ports(),
        paths: this.#paths(),
        health,
      },
    };
  }

  key(): KeyState {
    const { session } = this.#node.rooms;
    const { nodeKey, keyCreated, keyRotates } = session;
    const expiry = parseTime(this.#node.netmap.self?.KeyExpiry ?? '');
    return {
      publicKey: nodeKey === undefined ? null : formatNodePublic(publicOf(nodeKey)),
      created: keyCreated === undefined ? null : iso(keyCreated),
      expires: typeof expiry === 'number' ? iso(expiry) : null,
      rotates: keyRotates === undefined ? null : iso(keyRotates),
    };
  }

  settings(): NodeSettings {
    const { prefs } = this.#node.rooms.session;
    return {
      wanted: prefs.wantRunning,
      loginServer: prefs.controlUrl,
      hostname: prefs.hostname,
      acceptDns: prefs.acceptDns,
      acceptRoutes: prefs.acceptRoutes,
      advertiseRoutes: prefs.advertiseRoutes,
      advertiseExitNode: prefs.advertiseExitNode,
      advertiseTags: prefs.advertiseTags,
      exitNode: prefs.exitNode,
      exitNodeAllowLanAccess: prefs.exitNodeAllowLanAccess,
      shieldsUp: prefs.shieldsUp,
      snatSubnetRoutes: prefs.snatSubnetRoutes,
      snatExcept: prefs.snatExcept,
      keyRotationSeconds: prefs.keyRotationSeconds,
    };
  }

  /** What is known of the way to a peer, in a person's words. */
  path(key: NodePublic): PathReport {
    const status = this.#node.rooms.paths.status(key);
    const direct = status?.trusted === true ? status.direct : undefined;
    const region = this.#regionCode(status?.relay ?? 0);
    const watched = this.#watch.of(keyText(key));
    return {
      kind: direct !== undefined ? 'direct' : region === '' ? 'none' : 'relay',
      via: direct !== undefined ? formatEndpoint(direct) : region,
      latencyMillis: direct === undefined ? null : (status?.latencyMillis ?? null),
      rxBps: watched?.rxBps ?? 0,
      txBps: watched?.txBps ?? 0,
      since: watched === undefined ? null : this.#instant(watched.since),
    };
  }

  regionOf(region: number): { readonly code: string; readonly name: string } {
    const found = this.#node.netmap.derpMap?.Regions[String(region)];
    return { code: found?.RegionCode ?? '', name: found?.RegionName ?? '' };
  }

  #regionCode(region: number): string {
    return region === 0 ? '' : this.regionOf(region).code || String(region);
  }

  #self({ self }: Netmap): PeerStatus {
    const { session, paths } = this.#node.rooms;
    const own = paths.endpoints().map(({ endpoint }) => formatEndpoint(endpoint));
    const key = session.nodeKey === undefined ? '' : formatNodePublic(publicOf(session.nodeKey));
    return {
      ...EMPTY_PEER,
      ...(self === undefined ? {} : ofNode(self)),
      PublicKey: key,
      HostName: session.prefs.hostname || this.#facts.hostname,
      OS: 'linux',
      Addrs: own,
      Relay: this.#regionCode(session.homeRelay),
      Online: session.connected,
      InNetworkMap: self !== undefined,
      ExitNodeOption: session.prefs.advertiseExitNode,
    };
  }

  #peer(
    node: Node,
    key: NodePublic,
    tunnel: TunnelPeer | undefined,
    exitNode: boolean,
  ): PeerStatus {
    const { tunnel: engine, paths } = this.#node.rooms;
    const path: PathStatus | undefined = paths.status(key);
    const traffic = engine.mesh?.traffic(key);
    const sent = traffic?.sent ?? (0 as Millis);
    const direct = path?.trusted === true ? path.direct : undefined;
    return {
      ...EMPTY_PEER,
      ...ofNode(node),
      Addrs: (path?.candidates ?? []).map(({ endpoint }) => formatEndpoint(endpoint)),
      CurAddr: direct === undefined ? '' : formatEndpoint(direct),
      RxBytes: tunnel?.bytesReceived ?? 0,
      TxBytes: tunnel?.bytesSent ?? 0,
      LastWrite: sent === 0 ? NO_TIME : this.#instant(sent),
      LastHandshake: tunnel?.lastHandshake ? iso(tunnel.lastHandshake) : NO_TIME,
      Relay: this.#regionCode(node.HomeDERP ?? 0),
      ExitNode: exitNode,
      ExitNodeOption: offersExit(node),
      Active: sent > 0 && this.#env.now() - sent < ACTIVE_MILLIS,
      InNetworkMap: true,
      InMagicSock: true,
      InEngine: tunnel !== undefined,
    };
  }

  #relay(netmap: Netmap): NodeStatus['Postern']['relay'] {
    const region = this.#node.rooms.session.homeRelay;
    if (region === 0 || netmap.self === undefined) return null;
    return { region, ...this.regionOf(region), latencyMillis: null };
  }

  #ports(): readonly PortReport[] {
    const port = this.#facts.port();
    const { names } = this.#node.rooms;
    const mesh: readonly PortReport[] =
      port === 0
        ? []
        : ['0.0.0.0', '::'].map((address) => ({
            protocol: 'udp',
            port,
            address,
            answers: 'members',
            what: 'WireGuard and path finding; silent to everybody else',
          }));
    const dns = names.status().listening.flatMap((address): readonly PortReport[] =>
      (['udp', 'tcp'] as const).map((protocol) => ({
        protocol,
        port: 53,
        address,
        answers: 'machine',
        what: 'names of the network, for this machine',
      })),
    );
    return [...mesh, ...dns];
  }

  #paths(): Readonly<Record<string, PathReport>> {
    const { paths } = this.#node.rooms;
    const used = [...this.#node.peers.values()].filter(({ key }) => paths.status(key)?.active);
    return Object.fromEntries(used.map(({ node, key }) => [node.Key, this.path(key)]));
  }

  /** Counters are asked for only where somebody is in use. */
  #used(): readonly UsedPeer[] {
    const { paths, tunnel } = this.#node.rooms;
    const used = [...this.#node.peers.values()].filter(({ key }) => paths.status(key)?.active);
    if (used.length === 0) return [];
    const known = new Map(
      tunnel.status().peers.map((peer): [string, TunnelPeer] => [keyText(peer.publicKey), peer]),
    );
    return used.map(({ key }) => {
      const status = paths.status(key);
      const direct = status?.trusted === true ? status.direct : undefined;
      const { bytesReceived = 0, bytesSent = 0 } = known.get(keyText(key)) ?? {};
      const way = direct === undefined ? `relay ${status?.relay}` : formatEndpoint(direct);
      return { key: keyText(key), way, bytesReceived, bytesSent };
    });
  }

  /** A moment of the monotonic clock, as the wall clock of now counts it. */
  #instant(at: Millis): string {
    return iso(this.#env.wall() - (this.#env.now() - at));
  }
}
