/**
 * What a node knows of its network, folded from the maps of a stream.
 *
 *     Node, DERPMap, DNSConfig, SSHPolicy, Domain, ControlTime   absent: as before; there: in its place
 *     Peers                 not empty: all of them; empty: as before
 *     PeersRemoved, PeersChanged, PeerSeenChange, OnlineChange, PeersChangedPatch          in this order
 *     PacketFilter          the chunk `base`
 *     PacketFilters         by name; null deletes; `*` with null deletes all, before the others are put in
 *     UserProfiles          add up
 *     Health                all lines; DisplayMessages by name, null deletes, `*` with null all
 *
 * A Told is exactly what the server said, also where it contradicts itself; who may have which address is decided
 * anew each time (claims.ts), so that the order of maps decides nothing.
 *
 * What is told again word for word stays the same object: after a new connection everything is told again, and a
 * comparison by identity finds that nothing has changed.
 *
 * Source: reference/protocol.md 3.3.
 */

import type { UnixMillis } from '../../base/time.ts';
import type {
  DisplayMessage,
  FilterRule,
  MapResponse,
  SSHPolicy,
  UserProfile,
} from './map-types.ts';
import { formatTime } from './time.ts';
import type { DERPMap, DNSConfig, Node, PeerChange } from './types.ts';

export interface Told {
  readonly self: Node | undefined;
  readonly peers: ReadonlyMap<number, Node>;
  readonly users: ReadonlyMap<number, UserProfile>;
  readonly derpMap: DERPMap | undefined;
  readonly dns: DNSConfig | undefined;
  readonly domain: string;
  /** By the name of the chunk; undefined: none came yet. */
  readonly filters: ReadonlyMap<string, readonly FilterRule[]> | undefined;
  readonly sshPolicy: SSHPolicy | undefined;
  readonly health: readonly string[];
  readonly messages: ReadonlyMap<string, DisplayMessage>;
  readonly controlTime: string | undefined;
}

export const NOTHING_TOLD: Told = {
  self: undefined,
  peers: new Map(),
  users: new Map(),
  derpMap: undefined,
  dns: undefined,
  domain: '',
  filters: undefined,
  sshPolicy: undefined,
  health: [],
  messages: new Map(),
  controlTime: undefined,
};

const BASE_CHUNK = 'base';
const ALL = '*';
/** Profiles add up for as long as the process runs; a network has fewer users than this. */
const MAX_USERS = 100_000;

/**
 * @param wall for PeerSeenChange alone
 * @param first of a stream: peers, filters, SSH policy and messages that it does not tell of are there no more
 */
export function fold(told: Told, map: MapResponse, wall: UnixMillis, first = false): Told {
  if (map.KeepAlive === true) return told;
  return {
    self: kept(told.self, map.Node),
    peers: foldPeers(told.peers, map, wall, first),
    users: foldUsers(told.users, map.UserProfiles),
    derpMap: kept(told.derpMap, map.DERPMap),
    dns: kept(told.dns, map.DNSConfig),
    domain: map.Domain || told.domain,
    filters: foldFilters(told.filters, map, first),
    sshPolicy: first && !map.SSHPolicy ? undefined : kept(told.sshPolicy, map.SSHPolicy),
    health: (first && !map.Health ? undefined : kept(told.health, map.Health)) ?? [],
    messages: foldNamed(told.messages, map.DisplayMessages, first),
    controlTime: map.ControlTime ?? told.controlTime,
  };
}

function foldPeers(
  before: ReadonlyMap<number, Node>,
  map: MapResponse,
  wall: UnixMillis,
  first: boolean,
): ReadonlyMap<number, Node> {
  const whole = first || (map.Peers !== undefined && map.Peers.length > 0);
  const touched = [
    map.PeersRemoved,
    map.PeersChanged,
    map.PeersChangedPatch,
    Object.keys(map.PeerSeenChange ?? {}),
    Object.keys(map.OnlineChange ?? {}),
  ].some((list) => list !== undefined && list.length > 0);
  if (!whole && !touched) return before;
  const peers = new Map<number, Node>(whole ? [] : before);
  const put = (node: Node): void => {
    peers.set(node.ID, kept(before.get(node.ID), node) ?? node);
  };
  const merge = (id: number, fields: Partial<Node>): void => {
    const node = peers.get(id);
    if (node !== undefined) peers.set(id, kept(node, { ...node, ...fields }) ?? node);
  };
  for (const node of map.Peers ?? []) put(node);
  for (const id of map.PeersRemoved ?? []) peers.delete(id);
  for (const node of map.PeersChanged ?? []) put(node);
  for (const [id, seen] of Object.entries(map.PeerSeenChange ?? {})) {
    const node = peers.get(Number(id));
    if (node === undefined) continue;
    const { LastSeen: _, ...rest } = node;
    peers.set(node.ID, seen ? { ...rest, LastSeen: formatTime(wall) } : rest);
  }
  for (const [id, Online] of Object.entries(map.OnlineChange ?? {})) merge(Number(id), { Online });
  for (const change of map.PeersChangedPatch ?? []) merge(change.NodeID, patchOf(change));
  return peers;
}

/** A region of 0 is none that anybody could move to. */
function patchOf({ NodeID: _, DERPRegion, ...fields }: PeerChange): Partial<Node> {
  return { ...fields, ...(DERPRegion !== undefined && DERPRegion > 0 && { HomeDERP: DERPRegion }) };
}

function foldUsers(
  before: ReadonlyMap<number, UserProfile>,
  profiles: readonly UserProfile[] = [],
): ReadonlyMap<number, UserProfile> {
  const news = profiles.filter((profile) => !sameJson(before.get(profile.ID), profile));
  if (news.length === 0) return before;
  const users = new Map(before);
  for (const profile of news)
    if (users.size < MAX_USERS || users.has(profile.ID)) users.set(profile.ID, profile);
  return users;
}

function foldFilters(before: Told['filters'], map: MapResponse, first: boolean): Told['filters'] {
  const { PacketFilter, PacketFilters } = map;
  const old = PacketFilter && { [BASE_CHUNK]: PacketFilter };
  if (old === undefined && PacketFilters === undefined) return first ? undefined : before;
  return foldNamed(before ?? new Map(), { ...old, ...PacketFilters }, first);
}

function foldNamed<T>(
  before: ReadonlyMap<string, T>,
  changes: Readonly<Record<string, T | null>> | undefined,
  first: boolean,
): ReadonlyMap<string, T> {
  if (changes === undefined) return first && before.size > 0 ? new Map() : before;
  const after = new Map(first || changes[ALL] === null ? [] : before);
  for (const [name, value] of Object.entries(changes)) {
    if (value === null) after.delete(name);
    else after.set(name, kept(before.get(name), value) ?? value);
  }
  return after;
}

/** The old value where the new one is absent or says the same. */
function kept<T>(before: T | undefined, now: T | undefined): T | undefined {
  return now === undefined || sameJson(before, now) ? before : now;
}

/** Whether two JSON values say the same; an absent field and an undefined one are one. */
export function sameJson(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false;
  if (Array.isArray(a) || Array.isArray(b)) {
    if (!Array.isArray(a) || !Array.isArray(b) || a.length !== b.length) return false;
    return a.every((one, i) => sameJson(one, b[i]));
  }
  const [left, right] = [a as Record<string, unknown>, b as Record<string, unknown>];
  for (const name in left) if (!sameJson(left[name], right[name])) return false;
  for (const name in right) if (right[name] !== undefined && left[name] === undefined) return false;
  return true;
}
