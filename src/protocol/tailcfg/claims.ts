/**
 * Who has which address: a map as the node will believe it. A server may say what it likes; two nodes never end
 * up with one address, and none with ours.
 *
 *     peers         by rising ID; left out are ourselves under another name: our ID or one of our keys; no key at
 *                   all; the key of a peer before; and whoever's key has expired
 *     Addresses     a host of the mesh's ranges, to the first who claims it: we, then by rising ID
 *     AllowedIPs    a host of the mesh: its owner's; nobody's: a LAN device, to the first who claims it
 *                   a wider prefix: to the first, unless it holds an address of ours; a default route: to everybody
 *                   (one is chosen by the exit node's setting)
 *                   never: loopback, link-local, multicast, nothing, the addresses of the node's own services
 *
 *     mesh ranges   100.64.0.0/10, fd7a:115c:a1e0::/48
 *
 * What is refused is counted by its reason. Below a wider prefix of one peer the addresses of others stay theirs,
 * since the longest prefix decides whose a packet's source is.
 *
 * Source: reference/protocol.md 00, 3.3, 3.4; reference/faults.md 1.3.
 */

import { formatIp } from '../../base/ip.ts';
import type { Prefix } from '../../base/prefix.ts';
import { contains, formatPrefix, parsePrefix } from '../../base/prefix.ts';
import type { UnixMillis } from '../../base/time.ts';
import { unixMillis } from '../../base/time.ts';
import { sameJson } from './fold.ts';
import type { NodeKeyText } from './keys.ts';
import { isNoKey } from './keys.ts';
import { parseTime } from './time.ts';
import type { Node, PrefixText } from './types.ts';

/** Why something of a map does not count; each is a gauge. */
export type ClaimFault =
  | 'peer: it is this node'
  | 'peer: no key'
  | 'peer: a key of this node'
  | 'peer: the key of another peer'
  | 'address: no host of the mesh'
  | 'address: of another node'
  | 'route: of another node'
  | 'route: over an address of this node'
  | 'route: never a peer’s';

export interface Settled {
  /** By rising ID; AllowedIPs is always there. Those that were well are the objects that were handed in. */
  readonly peers: ReadonlyMap<number, Node>;
  readonly faults: ReadonlyMap<ClaimFault, number>;
  /** When the next peer's key expires. */
  readonly nextExpiry: UnixMillis | undefined;
}

const range = (text: string): Prefix => parsePrefix(text) as Prefix;

export const MESH_RANGES: readonly Prefix[] = ['100.64.0.0/10', 'fd7a:115c:a1e0::/48'].map(range);

const NEVER: readonly Prefix[] = [
  '0.0.0.0/8',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '224.0.0.0/3',
  '100.100.100.100/32',
  '::/127',
  'fe80::/10',
  'ff00::/8',
  'fd7a:115c:a1e0::53/128',
].map(range);

/** A prefix as it is compared, with what decides about it. */
interface Claim {
  readonly text: PrefixText;
  readonly prefix: Prefix;
  readonly kind: 'never' | 'default' | 'mesh host' | 'wide';
}

interface Claims {
  readonly all: readonly Claim[];
  /** The list says each once, and as we would. */
  readonly plain: boolean;
}

/** Lists are looked at once: a peer that is patched keeps its own. */
const looked = new WeakMap<readonly PrefixText[], Claims>();
/** What was made of a node the last time. */
const reduced = new WeakMap<Node, Node>();

const NO_ONE = -1;

export function settle(
  self: Node | undefined,
  told: ReadonlyMap<number, Node>,
  ownKeys: ReadonlySet<NodeKeyText>,
  now: UnixMillis,
): Settled {
  const faults = new Map<ClaimFault, number>();
  const refuse = (fault: ClaimFault): void => void faults.set(fault, (faults.get(fault) ?? 0) + 1);
  const { peers, nextExpiry } = admitted(self, told, ownKeys, now, refuse);

  const owners = new Map<PrefixText, number>();
  const own = claimsOf(self === undefined ? [] : [...self.Addresses, ...(self.AllowedIPs ?? [])]);
  const ownHosts = own.filter(({ kind }) => kind === 'mesh host');
  for (const { text } of ownHosts) owners.set(text, NO_ONE);
  const addresses = peers.map((peer) => heldAddresses(peer, owners, refuse));

  const settled = new Map<number, Node>();
  for (const [i, peer] of peers.entries()) {
    const held = addresses[i] as readonly Claim[];
    const allowed = claimsOf(peer.AllowedIPs ?? peer.Addresses).filter((claim) =>
      isGranted(claim, peer.ID, owners, ownHosts, refuse),
    );
    settled.set(peer.ID, reducedTo(peer, held, allowed));
  }
  return { peers: settled, faults, nextExpiry };
}

/** Peers that are somebody else, with a key of their own that has not expired; by rising ID. */
function admitted(
  self: Node | undefined,
  told: ReadonlyMap<number, Node>,
  ownKeys: ReadonlySet<NodeKeyText>,
  now: UnixMillis,
  refuse: (fault: ClaimFault) => void,
): { readonly peers: readonly Node[]; readonly nextExpiry: UnixMillis | undefined } {
  const keys = new Set<NodeKeyText>();
  let next = Number.POSITIVE_INFINITY;
  const peers = [...told.values()]
    .sort((a, b) => a.ID - b.ID)
    .filter((peer) => {
      const fault = peerFault(peer, self, ownKeys, keys);
      if (fault !== undefined) {
        refuse(fault);
        return false;
      }
      keys.add(peer.Key);
      const expiry = expiryOf(peer);
      if (peer.Expired === true || (expiry !== undefined && expiry <= now)) return false;
      next = Math.min(next, expiry ?? next);
      return true;
    });
  return { peers, nextExpiry: Number.isFinite(next) ? unixMillis(next) : undefined };
}

function peerFault(
  peer: Node,
  self: Node | undefined,
  ownKeys: ReadonlySet<NodeKeyText>,
  keys: ReadonlySet<NodeKeyText>,
): ClaimFault | undefined {
  if (peer.ID === self?.ID) return 'peer: it is this node';
  if (isNoKey(peer.Key)) return 'peer: no key';
  if (ownKeys.has(peer.Key) || peer.Key === self?.Key) return 'peer: a key of this node';
  return keys.has(peer.Key) ? 'peer: the key of another peer' : undefined;
}

function heldAddresses(
  peer: Node,
  owners: Map<PrefixText, number>,
  refuse: (fault: ClaimFault) => void,
): readonly Claim[] {
  return claimsOf(peer.Addresses).filter(({ text, kind }) => {
    const holder = owners.get(text);
    if (kind !== 'mesh host') refuse('address: no host of the mesh');
    else if (holder !== undefined && holder !== peer.ID) refuse('address: of another node');
    else {
      owners.set(text, peer.ID);
      return true;
    }
    return false;
  });
}

/** @param owners of hosts and prefixes; a claim that is granted joins them */
function isGranted(
  { text, prefix, kind }: Claim,
  id: number,
  owners: Map<PrefixText, number>,
  ownHosts: readonly Claim[],
  refuse: (fault: ClaimFault) => void,
): boolean {
  if (kind === 'default') return true;
  const holder = owners.get(text);
  if (kind === 'never') refuse('route: never a peer’s');
  else if (holder !== undefined && holder !== id) refuse('route: of another node');
  else if (kind === 'wide' && ownHosts.some((own) => contains(prefix, own.prefix.address)))
    refuse('route: over an address of this node');
  else {
    owners.set(text, id);
    return true;
  }
  return false;
}

const claimsOf = (list: readonly PrefixText[]): readonly Claim[] => lookedAt(list).all;

function lookedAt(list: readonly PrefixText[]): Claims {
  const known = looked.get(list);
  if (known !== undefined) return known;
  const unique = new Map<PrefixText, Claim>();
  for (const said of list) {
    const prefix = parsePrefix(said);
    if (prefix === undefined) continue;
    const text = formatPrefix(prefix);
    unique.set(text, { text, prefix, kind: kindOf(prefix) });
  }
  const all = [...unique.values()];
  const plain = all.length === list.length && all.every(({ text }, i) => text === list[i]);
  const claims = { all, plain };
  looked.set(list, claims);
  return claims;
}

function kindOf(prefix: Prefix): Claim['kind'] {
  if (prefix.bits === 0) return 'default';
  const within = (outer: Prefix): boolean =>
    prefix.bits >= outer.bits && contains(outer, prefix.address);
  if (NEVER.some(within)) return 'never';
  return isHost(prefix) && MESH_RANGES.some(within) ? 'mesh host' : 'wide';
}

const isHost = ({ address, bits }: Prefix): boolean => bits === address.length * 8;

/** @param held, granted in the order of the lists that they are of */
function reducedTo(peer: Node, held: readonly Claim[], granted: readonly Claim[]): Node {
  const isAll = (claims: readonly Claim[], list: readonly PrefixText[] | undefined): boolean =>
    list !== undefined && claims.length === list.length && lookedAt(list).plain;
  if (isAll(held, peer.Addresses) && isAll(granted, peer.AllowedIPs)) return peer;
  const [Addresses, AllowedIPs] = [texts(held), texts(granted)];
  const last = reduced.get(peer);
  if (sameJson(last?.Addresses, Addresses) && sameJson(last?.AllowedIPs, AllowedIPs))
    return last as Node;
  const made = { ...peer, Addresses, AllowedIPs };
  reduced.set(peer, made);
  return made;
}

const texts = (claims: readonly Claim[]): readonly PrefixText[] => claims.map(({ text }) => text);

/** When a node's key expires; undefined: never. */
export function expiryOf({ KeyExpiry }: Pick<Node, 'KeyExpiry'>): UnixMillis | undefined {
  const instant = KeyExpiry === undefined ? undefined : parseTime(KeyExpiry);
  return instant === 'unset' ? undefined : instant;
}

/** The addresses of the node itself, as `100.64.0.1`. */
export const addressesOf = (node: Pick<Node, 'Addresses'>): readonly string[] =>
  claimsOf(node.Addresses).map(({ prefix }) => formatIp(prefix.address));
