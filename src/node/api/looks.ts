/** What everybody may ask: how the node is, who somebody is, how he is reached. */

import { formatIp, parseIp } from '../../base/ip.ts';
import type { Answered } from '../../protocol/localapi/exchange.ts';
import { answered } from '../../protocol/localapi/exchange.ts';
import type { PingReport, WhoisReport } from '../../protocol/localapi/node-reports.ts';
import type { PingRequest } from '../../protocol/localapi/node-requests.ts';
import type { NodeNotice, PeerStatus, UserProfile } from '../../protocol/localapi/node-status.ts';
import { NO_TIME } from '../../protocol/localapi/node-status.ts';
import type { FoundNode } from './finding.ts';
import { findNode, fullName, shortName } from './finding.ts';
import type { NodeHandlers } from './handler.ts';
import type { NodeBackend } from './ports.ts';

/** As a stock client waits for a pong. */
const PING_MILLIS = 5000;

export const lookHandlers: NodeHandlers<
  'status' | 'ip' | 'ping' | 'whois' | 'netcheck' | 'dns.status' | 'dns.query' | 'version'
> = {
  status: async ({ backend }, _request, { operator }) => {
    const status = backend.status();
    return answered(operator ? status : { ...status, AuthURL: '' });
  },
  ip: async ({ backend }, { peer }) => {
    const status = backend.status();
    const found = peer === undefined ? undefined : findNode(status, backend, peer);
    if (found !== undefined && !found.ok) return found;
    const { node, self, address, behind } = found?.body ?? own(status.Self);
    if (behind) {
      const name = backend.nameOf(address) ?? '';
      return answered({ name, self: false, addresses: addressesBehind(backend, name, address) });
    }
    return answered({ name: fullName(node), self, addresses: ipv4First(node.TailscaleIPs) });
  },
  ping: async ({ backend }, request, _caller, { gone }) => {
    const found = findNode(backend.status(), backend, request.peer);
    return found.ok ? ping(backend, found.body, request, gone) : found;
  },
  whois: async ({ backend }, { address }) => whois(backend, address),
  netcheck: async ({ backend }, _request, _caller, { gone }) =>
    answered(await backend.netcheck(gone)),
  'dns.status': async ({ backend }) => answered(await backend.dnsStatus()),
  'dns.query': async ({ backend }, { name, type }, _caller, { gone }) =>
    answered(await backend.dnsQuery(name, type ?? 'A', gone)),
  version: async ({ backend }) => answered({ version: backend.status().Version }),
};

/** Each change, until the asker has gone. A change that nobody would see is not told. */
export const watchHandler: NodeHandlers<'watch'> = {
  watch: ({ backend }, _request, { operator }, { gone, news }) =>
    new Promise((done) => {
      let told = '';
      const tell = (): void => {
        const now: NodeNotice = backend.notice();
        const notice = operator ? now : { ...now, AuthURL: '' };
        const text = JSON.stringify(notice);
        if (text === told) return;
        told = text;
        news(notice);
      };
      if (gone.aborted) return done(answered({}));
      const stop = backend.onChange(tell);
      gone.addEventListener('abort', () => {
        stop();
        done(answered({}));
      });
      return tell();
    }),
};

const own = (node: PeerStatus): FoundNode => ({ node, self: true, address: '', behind: false });

function addressesBehind(backend: NodeBackend, name: string, address: string): readonly string[] {
  const known = name === '' ? [] : backend.addressesOf(name);
  return ipv4First(known.includes(address) ? known : [address]);
}

const ipv4First = (addresses: readonly string[]): readonly string[] =>
  [...addresses].sort((a, b) => Number(a.includes(':')) - Number(b.includes(':')));

async function ping(
  backend: NodeBackend,
  { node, self, address }: FoundNode,
  { type, sizeBytes = 0, timeoutMillis = PING_MILLIS }: PingRequest,
  gone: AbortSignal,
): Promise<Answered<PingReport>> {
  if (self) return answered(pingOfSelf(node, address));
  const request = { key: node.PublicKey, address, type, sizeBytes, timeoutMillis };
  const report = await backend.ping(request, gone);
  if (report !== undefined) return answered(report);
  const reason = `${shortName(node)} (${address}) did not answer in ${timeoutMillis / 1000} s`;
  return { ok: false, code: 'unavailable', reason };
}

const pingOfSelf = (node: PeerStatus, address: string): PingReport => ({
  IP: address,
  NodeIP: address,
  NodeName: shortName(node),
  Err: `${address} is an address of this machine`,
  LatencySeconds: 0,
  Endpoint: '',
  PeerRelay: '',
  DERPRegionID: 0,
  DERPRegionCode: '',
  IsLocalIP: true,
});

function whois(backend: NodeBackend, text: string): Answered<WhoisReport> {
  const status = backend.status();
  const address = withoutPort(text);
  const found = findNode(status, backend, address);
  if (!found.ok) return found;
  const { node, behind } = found.body;
  const name = behind ? backend.nameOf(address) : undefined;
  return answered({
    Node: whoisNode(node),
    UserProfile: status.User[String(node.UserID)] ?? nobody(node.UserID),
    CapMap: backend.grantsOf(address),
    ...(name !== undefined && { Device: { name, address } }),
  });
}

/** `100.64.0.7`, `100.64.0.7:22`, `[fd7a::7]:22`: in the form that a status has it. */
function withoutPort(text: string): string {
  const bare = parseIp(text) === undefined ? text.replace(/:\d+$/, '').replace(/[[\]]/g, '') : text;
  const bytes = parseIp(bare);
  return bytes === undefined ? bare : formatIp(bytes);
}

const nobody = (ID: number): UserProfile => ({ ID, LoginName: '', DisplayName: '' });

function whoisNode(node: PeerStatus): WhoisReport['Node'] {
  const { Tags, KeyExpiry } = node;
  return {
    ID: node.NodeID ?? 0,
    StableID: node.ID,
    Name: node.DNSName,
    Key: node.PublicKey,
    User: node.UserID,
    Addresses: node.TailscaleIPs.map((ip) => `${ip}/${ip.includes(':') ? 128 : 32}`),
    AllowedIPs: node.AllowedIPs ?? [],
    ...(Tags !== undefined && Tags.length > 0 && { Tags }),
    ...(KeyExpiry !== undefined && KeyExpiry !== NO_TIME && { KeyExpiry }),
    Online: node.Online,
    Hostinfo: { OS: node.OS, Hostname: node.HostName },
  };
}
