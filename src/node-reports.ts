/** Longer reports of a node for its local API: netcheck, names, drops, paths. */

import { formatEndpoint } from './base/endpoint.ts';
import type { Env } from './base/env.ts';
import { keyText } from './base/keys.ts';
import type { UnixMillis } from './base/time.ts';
import type { MeshNode } from './node.ts';
import { nameOf, suffixOf } from './node-apply.ts';
import type { NodeStatuses } from './node-status.ts';
import { iso } from './node-words.ts';
import { shownPacket } from './packet-text.ts';
import { parseType } from './protocol/dns/constants.ts';
import type {
  DnsQueryReport,
  DnsStatusReport,
  DropsReport,
  NetcheckReport,
  PathsReport,
} from './protocol/localapi/node-reports.ts';

const RCODES: Readonly<Record<string, string>> = {
  NOERROR: 'RCodeSuccess',
  FORMERR: 'RCodeFormatError',
  SERVFAIL: 'RCodeServerFailure',
  NXDOMAIN: 'RCodeNameError',
  NOTIMP: 'RCodeNotImplemented',
  REFUSED: 'RCodeRefused',
};

export async function netcheckReport(node: MeshNode, now: UnixMillis): Promise<NetcheckReport> {
  const report = await node.rooms.paths.netcheck();
  const regions = node.netmap.derpMap?.Regions ?? {};
  const latencies = (over: readonly string[]): Record<string, number> =>
    Object.fromEntries(
      report.latencies
        .filter((one) => over.includes(one.over))
        .map(({ region, millis: took }) => [String(region), Math.round(took * 1e6)]),
    );
  return {
    Now: iso(now),
    UDP: report.udp,
    IPv4: report.ipv4 !== undefined,
    IPv6: report.ipv6 !== undefined,
    IPv4CanSend: report.ipv4 !== undefined,
    IPv6CanSend: report.ipv6 !== undefined,
    OSHasIPv6: true,
    MappingVariesByDestIP: report.mappingVaries ?? null,
    HairPinning: null,
    UPnP: report.portMapping.upnp ?? null,
    PMP: report.portMapping.pmp,
    PCP: report.portMapping.pcp,
    PreferredDERP: report.homeRelay,
    RegionLatency: latencies(['ipv4', 'ipv6', 'https']),
    RegionV4Latency: latencies(['ipv4']),
    RegionV6Latency: latencies(['ipv6']),
    GlobalV4: report.ipv4 === undefined ? '' : formatEndpoint(report.ipv4),
    GlobalV6: report.ipv6 === undefined ? '' : formatEndpoint(report.ipv6),
    CaptivePortal: null,
    Regions: Object.fromEntries(
      Object.entries(regions).map(([id, { RegionCode, RegionName }]) => [
        id,
        { Code: RegionCode, Name: RegionName },
      ]),
    ),
    PortMapping: report.portMapped === undefined ? '' : formatEndpoint(report.portMapped),
  };
}

export function dnsReport(node: MeshNode): DnsStatusReport {
  const { session, names } = node.rooms;
  const { self, dns } = node.netmap;
  const report = names.status();
  const plain = (list: readonly string[]): readonly { readonly Addr: string }[] =>
    list.map((Addr) => ({ Addr }));
  return {
    TailscaleDNS: session.prefs.acceptDns,
    CurrentTailnet:
      self === undefined
        ? null
        : {
            MagicDNSEnabled: dns?.Proxied === true,
            MagicDNSSuffix: suffixOf(self),
            SelfDNSName: self.Name,
          },
    Resolvers: dns?.Resolvers ?? [],
    SplitDNSRoutes: dns?.Routes ?? {},
    FallbackResolvers: dns?.FallbackResolvers ?? [],
    SearchDomains: report.search,
    CertDomains: dns?.CertDomains ?? [],
    ExtraRecords: dns?.ExtraRecords ?? [],
    SystemDNS: {
      Nameservers: plain(report.upstreams).map(({ Addr }) => Addr),
      SearchDomains: report.search,
    },
    ...(report.problems[0] === undefined ? {} : { SystemDNSError: report.problems[0] }),
    Manager: report.managed ? (report.system ?? 'none') : 'none',
  };
}

export async function dnsAnswer(
  node: MeshNode,
  name: string,
  type: string,
): Promise<DnsQueryReport> {
  const answer = await node.rooms.names.query(name, parseType(type) ?? 1);
  return {
    Name: answer.name,
    QueryType: answer.type,
    ResponseCode: RCODES[answer.rcode] ?? answer.rcode,
    Resolvers: answer.resolver === undefined ? [] : [{ Addr: answer.resolver }],
    Answers: answer.records.map((record) => ({
      Name: record.name,
      TTL: record.ttlSeconds,
      Class: 'IN',
      Type: record.type,
      Body: record.data,
    })),
  };
}

export async function dropsReport(
  node: MeshNode,
  env: Pick<Env, 'now' | 'wall'>,
): Promise<DropsReport> {
  const { drops, refused } = await node.rooms.tunnel.report();
  const named = new Map([...node.peers.values()].map(({ node, key }) => [keyText(key), node]));
  return {
    drops: Object.fromEntries(Object.entries(drops).map(([reason, count]) => [reason, count])),
    samples: refused.toReversed().map(({ reason, at, peer, head }) => {
      const key = node.rooms.tunnel.mesh?.keyOf(peer);
      return {
        at: iso(env.wall() - (env.now() - at)),
        reason,
        peer: key === undefined ? null : (named.get(keyText(key))?.Key ?? null),
        packet: shownPacket(head),
      };
    }),
  };
}

export function pathsReport(node: MeshNode, statuses: NodeStatuses): PathsReport {
  const { paths } = node.rooms;
  return {
    peers: [...node.peers.values()].map(({ node, key }) => {
      const status = paths.status(key);
      const best = status?.direct === undefined ? '' : formatEndpoint(status.direct);
      return {
        peer: node.Key,
        name: nameOf(node),
        state: status?.active === true ? statuses.path(key).kind : 'idle',
        candidates: (status?.candidates ?? []).map(({ endpoint, origin, latencyMillis }) => ({
          endpoint: formatEndpoint(endpoint),
          source: origin,
          latencyMillis: latencyMillis ?? null,
          lastPong: null,
          trusted: status?.trusted === true && formatEndpoint(endpoint) === best,
        })),
      };
    }),
    own: paths
      .endpoints()
      .map(({ endpoint, type }) => ({ endpoint: formatEndpoint(endpoint), source: type })),
  };
}
