/**
 * Which node a person means, and by which address.
 *
 *     an address                    its owner, else who leads to it: the longest of the peers' prefixes
 *     name, full name, `nodekey:…`, stable id
 *     a name of the network         its addresses, as above: LAN devices, extra records
 *     host name                     where one peer alone has it; anybody may choose his own
 */

import { formatIp, parseIp } from '../../base/ip.ts';
import { contains, parsePrefix } from '../../base/prefix.ts';
import type { Answered } from '../../protocol/localapi/exchange.ts';
import type { NodeStatus, PeerStatus } from '../../protocol/localapi/node-status.ts';
import type { NodeBackend } from './ports.ts';

export interface FoundNode {
  readonly node: PeerStatus;
  readonly self: boolean;
  /** What was meant; empty where that node has no address. */
  readonly address: string;
  /** The node's own addresses do not include it. */
  readonly behind: boolean;
}

type Names = Pick<NodeBackend, 'addressesOf'>;

export function findNode(status: NodeStatus, names: Names, text: string): Answered<FoundNode> {
  const wanted = text.trim().toLowerCase().replace(/\.$/, '');
  const bytes = parseIp(wanted);
  if (bytes !== undefined) return ownerOf(status, formatIp(bytes));
  const nodes = [status.Self, ...Object.values(status.Peer)];
  const exact = nodes.filter((node) => isCalled(node, wanted, text.trim()));
  if (exact.length > 0) return one(status, text, exact);
  const [address] = names.addressesOf(wanted);
  if (address !== undefined) return ownerOf(status, address);
  return one(
    status,
    text,
    nodes.filter(({ HostName }) => HostName.toLowerCase() === wanted),
  );
}

/** `cam.mesh.example` of `cam.mesh.example.` */
export const fullName = ({ DNSName }: Pick<PeerStatus, 'DNSName'>): string =>
  DNSName.replace(/\.$/, '');

/** The name below the network's suffix; what the machine calls itself where it has none. */
export function shortName(node: Pick<PeerStatus, 'DNSName' | 'HostName'>): string {
  return fullName(node).split('.')[0] || node.HostName;
}

function isCalled(node: PeerStatus, wanted: string, exact: string): boolean {
  const full = fullName(node).toLowerCase();
  return (
    (full !== '' && (full === wanted || full.split('.')[0] === wanted)) ||
    (node.ID !== '' && node.ID === exact) ||
    node.PublicKey === wanted
  );
}

function one(
  status: NodeStatus,
  text: string,
  fitting: readonly PeerStatus[],
): Answered<FoundNode> {
  const [node] = fitting;
  if (node === undefined)
    return { ok: false, code: 'not found', reason: `there is no ${text} in this network` };
  if (fitting.length > 1)
    return {
      ok: false,
      code: 'bad request',
      reason: `${text} fits ${fitting.length} machines: ${fitting.slice(0, 10).map(said).join(', ')}; name one of them`,
    };
  const address = node.TailscaleIPs[0] ?? '';
  return { ok: true, body: { node, self: node === status.Self, address, behind: false } };
}

const said = (node: PeerStatus): string => `${fullName(node)} (${node.TailscaleIPs[0] ?? '-'})`;

function ownerOf(status: NodeStatus, address: string): Answered<FoundNode> {
  const nodes = [status.Self, ...Object.values(status.Peer)];
  const owner = nodes.find(({ TailscaleIPs }) => TailscaleIPs.includes(address));
  const node = owner ?? leadsTo(nodes, address);
  if (node === undefined)
    return {
      ok: false,
      code: 'not found',
      reason: `no machine of this network has ${address}, or leads to it`,
    };
  const found = { node, self: node === status.Self, address, behind: owner === undefined };
  return { ok: true, body: found };
}

/** An exit node leads to everything, which says nothing of one address. */
function leadsTo(nodes: readonly PeerStatus[], address: string): PeerStatus | undefined {
  const bytes = parseIp(address);
  if (bytes === undefined) return undefined;
  let best: { readonly node: PeerStatus; readonly bits: number } | undefined;
  for (const node of nodes)
    for (const text of node.AllowedIPs ?? []) {
      const prefix = parsePrefix(text);
      if (prefix === undefined || prefix.bits === 0 || !contains(prefix, bytes)) continue;
      if (best === undefined || prefix.bits > best.bits) best = { node, bits: prefix.bits };
    }
  return best?.node;
}
