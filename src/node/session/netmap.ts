/**
 * The network as the rooms of the node are given it, and what differs from the one before.
 *
 *     Told (fold.ts) ── claims.ts ──> Netmap ── compared with the last by identity ──> Changed
 *
 * A Netmap is never changed after it was handed out; what is as before is the same object.
 */

import type { UnixMillis } from '../../base/time.ts';
import type { Settled } from '../../protocol/tailcfg/claims.ts';
import { settle } from '../../protocol/tailcfg/claims.ts';
import type { Told } from '../../protocol/tailcfg/fold.ts';
import { sameJson } from '../../protocol/tailcfg/fold.ts';
import type { NodeKeyText } from '../../protocol/tailcfg/keys.ts';
import type {
  DisplayMessage,
  FilterRule,
  SSHPolicy,
  UserProfile,
} from '../../protocol/tailcfg/map-types.ts';
import type { DERPMap, DNSConfig, Node } from '../../protocol/tailcfg/types.ts';

export interface Netmap {
  readonly self: Node | undefined;
  /** By rising ID. No two have an address, a route or a key in common, nor one of ours (claims.ts). */
  readonly peers: ReadonlyMap<number, Node>;
  readonly users: ReadonlyMap<number, UserProfile>;
  readonly derpMap: DERPMap | undefined;
  readonly dns: DNSConfig | undefined;
  readonly domain: string;
  /** Undefined: none came yet, and nothing may enter. */
  readonly filters: readonly FilterRule[] | undefined;
  readonly sshPolicy: SSHPolicy | undefined;
  readonly messages: ReadonlyMap<string, DisplayMessage>;
  readonly controlTime: string | undefined;
}

export interface Changed {
  readonly self: boolean;
  /** New ones and those of which anything differs; `all` where there was no map before. */
  readonly peers: ReadonlySet<number> | 'all';
  readonly removed: ReadonlySet<number>;
  readonly users: boolean;
  readonly derpMap: boolean;
  readonly dns: boolean;
  readonly domain: boolean;
  readonly filters: boolean;
  readonly sshPolicy: boolean;
  readonly messages: boolean;
}

export const EMPTY_NETMAP: Netmap = {
  self: undefined,
  peers: new Map(),
  users: new Map(),
  derpMap: undefined,
  dns: undefined,
  domain: '',
  filters: undefined,
  sshPolicy: undefined,
  messages: new Map(),
  controlTime: undefined,
};

export interface Settlement {
  readonly netmap: Netmap;
  readonly changed: Changed;
  readonly settled: Settled;
}

/** @param now by the network's time, for keys that expire */
export function netmapOf(
  before: Netmap,
  told: Told,
  ownKeys: ReadonlySet<NodeKeyText>,
  now: UnixMillis,
): Settlement {
  const settled = settle(told.self, told.peers, ownKeys, now);
  const netmap: Netmap = {
    self: told.self,
    peers: settled.peers,
    users: told.users,
    derpMap: told.derpMap,
    dns: told.dns,
    domain: told.domain,
    filters: rulesOf(before.filters, told.filters),
    sshPolicy: told.sshPolicy,
    messages: messagesOf(before.messages, told),
    controlTime: told.controlTime,
  };
  return { netmap, changed: difference(before, netmap), settled };
}

export function difference(before: Netmap, now: Netmap): Changed {
  const differs = (field: keyof Netmap): boolean => before[field] !== now[field];
  const peers = new Set<number>();
  for (const [id, peer] of now.peers) if (before.peers.get(id) !== peer) peers.add(id);
  const removed = new Set<number>();
  for (const id of before.peers.keys()) if (!now.peers.has(id)) removed.add(id);
  return {
    self: differs('self'),
    peers: before.self === undefined ? 'all' : peers,
    removed,
    users: differs('users'),
    derpMap: differs('derpMap'),
    dns: differs('dns'),
    domain: differs('domain'),
    filters: differs('filters'),
    sshPolicy: differs('sshPolicy'),
    messages: differs('messages'),
  };
}

/** Whether anybody needs to hear of it. */
export function isNews({ peers, removed, ...fields }: Changed): boolean {
  return (
    peers === 'all' || peers.size > 0 || removed.size > 0 || Object.values(fields).includes(true)
  );
}

/** The chunks in the order of their names, which is the same wherever the list is made. */
function rulesOf(before: Netmap['filters'], chunks: Told['filters']): Netmap['filters'] {
  if (chunks === undefined) return undefined;
  const rules = [...chunks.entries()]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .flatMap(([, chunk]) => chunk);
  return sameJson(before, rules) ? before : rules;
}

/** Lines of the older form stand beside messages of the newer one. */
function messagesOf(before: Netmap['messages'], told: Told): Netmap['messages'] {
  const lines = told.health.map((Text, i): [string, DisplayMessage] => [
    `health-${i}`,
    { Title: 'The server says', Text, Severity: 'medium' },
  ]);
  const now = lines.length === 0 ? told.messages : new Map([...lines, ...told.messages]);
  return sameJson([...before], [...now]) ? before : now;
}
