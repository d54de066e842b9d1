/**
 * The registry's model: everything that the coordination server has been told to remember, as one immutable
 * value. Each change is a function from one model to the next (change.ts); the difference of two models is
 * what the store writes (rows.ts), so that nothing can be changed and not saved.
 *
 *     users --< nodes --< LAN devices        one table each, by id
 *     auth keys, extra records, resting addresses, what nodes last said of themselves
 *     index    by node key, machine, label, address, login, key prefix: made of the tables, never saved
 *     approvals   logins that wait for a person: not saved, a client asks again after a restart
 *
 * Invariants: a node has one owner, a user or tags; an address, a label and a node key have one holder; ids
 * are never given twice; whatever is online is not in here but in live.ts.
 */

import type { UnixMillis } from '../../base/time.ts';
import type { DiscoKeyText, MachineKeyText, NodeKeyText } from '../../protocol/tailcfg/keys.ts';
import type { Hostinfo } from '../../protocol/tailcfg/types.ts';
import { PersistentMap } from './persistent-map.ts';

/** Positive, never given twice, below 2^53. */
export type UserId = number;
export type NodeId = number;
export type AuthKeyId = number;

export type Role = 'owner' | 'admin' | 'member';

export interface User {
  readonly id: UserId;
  /** `alice` or `alice@example.org`; in a policy `alice@`. */
  readonly login: string;
  readonly displayName: string;
  readonly role: Role;
  readonly created: UnixMillis;
}

/** Who a node belongs to: a user, or the tags instead of one. */
export type Owner =
  | { readonly user: UserId; readonly tags: readonly [] }
  | { readonly user: null; readonly tags: readonly string[] };

export interface MeshNode {
  readonly id: NodeId;
  /** A text for policies and scripts, as random as the id is plain. */
  readonly stableId: string;
  readonly machine: MachineKeyText;
  readonly nodeKey: NodeKeyText;
  readonly user: UserId | null;
  /** `tag:name`, sorted; empty for a user's node. */
  readonly tags: readonly string[];
  /** The DNS label. */
  readonly name: string;
  /** A person chose the name, so it no longer follows the host name. */
  readonly renamed: boolean;
  /** As the machine says it. */
  readonly hostname: string;
  readonly ip4: string;
  readonly ip6: string;
  readonly created: UnixMillis;
  /** null: the key does not expire. */
  readonly keyExpires: UnixMillis | null;
  /** Deleted a while after it went offline, and at logout. */
  readonly ephemeral: boolean;
  /** The key that it joined by; null for a login. */
  readonly authKey: AuthKeyId | null;
  /** Prefixes that the node offers, canonical and sorted. */
  readonly announced: readonly string[];
  /** Prefixes that a person or the policy allows it, whether offered or not. */
  readonly approved: readonly string[];
}

export interface AuthKey {
  readonly id: AuthKeyId;
  /** What lists show, and by which the key is found. */
  readonly prefix: string;
  /** BLAKE2s-256 of the whole key, hexadecimal. */
  readonly hash: string;
  readonly user: UserId | null;
  readonly tags: readonly string[];
  readonly reusable: boolean;
  readonly ephemeral: boolean;
  readonly created: UnixMillis;
  readonly expires: UnixMillis | null;
  readonly uses: number;
  readonly revoked: boolean;
}

export type DeviceMode = 'route' | 'gateway';

/** A thing behind a node that has an address and a name of its own in the mesh. */
export interface LanDevice {
  readonly node: NodeId;
  /** The node's own name for it, stable for ever. */
  readonly id: string;
  /** `lan`: a device on the node's LAN. `wireguard`: a plain WireGuard device that the node is the server of. */
  readonly kind: 'lan' | 'wireguard';
  readonly hostname: string;
  readonly name: string;
  readonly ip4: string;
  readonly ip6: string;
  readonly sshPort: number;
  readonly mode: DeviceMode;
  /** Of a plain WireGuard device. */
  readonly publicKey: NodeKeyText | null;
  /** The login that the node names as owner; it counts only where the policy agrees (visibility.ts). */
  readonly claimedOwner: string | null;
  /** The one family by which it answers; absent: both. */
  readonly family?: 4 | 6;
  /** False: withdrawn. Its address and name stay its own. */
  readonly shared: boolean;
}

export interface ExtraRecord {
  /** Absolute, without the last dot. */
  readonly name: string;
  readonly type: 'A' | 'AAAA';
  readonly value: string;
}

/** What a node last said of itself, kept so that its peers still know it after a restart of ours. */
export interface Remembered {
  readonly hostinfo: Hostinfo;
  readonly discoKey: DiscoKeyText | null;
  readonly endpoints: readonly string[];
  readonly endpointTypes: readonly number[];
  readonly homeDerp: number;
  readonly capVersion: number;
  readonly lastSeen: UnixMillis | null;
}

/** A login that waits for a person. */
export interface Approval {
  readonly id: string;
  readonly machine: MachineKeyText;
  readonly nodeKey: NodeKeyText;
  readonly oldNodeKey: NodeKeyText | null;
  readonly hostname: string;
  readonly requestTags: readonly string[];
  readonly announced: readonly string[];
  readonly ephemeral: boolean;
  readonly from: string;
  readonly expires: UnixMillis;
  readonly refused: boolean;
}

export interface Settings {
  readonly baseDomain: string;
  /** Addresses are given out of this prefix, within 100.64.0.0/10. */
  readonly pool: string;
  /** How long a user's node key lives, in milliseconds; null: for ever. */
  readonly keyLifetimeMillis: number | null;
  readonly nameservers: readonly string[];
  /** Resolvers by the suffix that they answer for. */
  readonly splitDns: Readonly<Record<string, readonly string[]>>;
  readonly searchDomains: readonly string[];
  readonly overrideLocalDns: boolean;
}

export interface Counters {
  readonly nextUser: UserId;
  readonly nextNode: NodeId;
  readonly nextAuthKey: AuthKeyId;
  /** Offset into the pool at which the search for a free address begins. */
  readonly nextAddress: number;
  /** The latest trusted time of any change: the clock's floor after a restart. */
  readonly latest: UnixMillis;
}

export interface Index {
  readonly nodeByKey: PersistentMap<NodeKeyText, NodeId>;
  readonly nodesByMachine: PersistentMap<MachineKeyText, readonly NodeId[]>;
  /** Who holds a label: `node 3`, `device 3/nas`, `record`. */
  readonly labels: PersistentMap<string, string>;
  /** Who holds an IPv4 address: as for labels. The IPv6 address follows from it. */
  readonly addresses: PersistentMap<string, string>;
  readonly userByLogin: PersistentMap<string, UserId>;
  readonly authKeyByPrefix: PersistentMap<string, AuthKeyId>;
  readonly devicesByNode: PersistentMap<NodeId, readonly string[]>;
}

export interface Model {
  readonly users: PersistentMap<UserId, User>;
  readonly nodes: PersistentMap<NodeId, MeshNode>;
  readonly authKeys: PersistentMap<AuthKeyId, AuthKey>;
  /** By `deviceKey`. */
  readonly devices: PersistentMap<string, LanDevice>;
  /** By `recordKey`. */
  readonly records: PersistentMap<string, ExtraRecord>;
  /** Addresses that were a deleted node's, and since when. */
  readonly rests: PersistentMap<string, UnixMillis>;
  readonly remembered: PersistentMap<NodeId, Remembered>;
  /** The router of each prefix, as last remembered (live.ts has the present one). */
  readonly primaries: PersistentMap<string, NodeId>;
  readonly settings: Settings;
  readonly counters: Counters;
  readonly approvals: PersistentMap<string, Approval>;
  readonly index: Index;
}

export const deviceKey = (node: NodeId, id: string): string => `${node}/${id}`;
export const recordKey = ({ name, type, value }: ExtraRecord): string => `${name} ${type} ${value}`;
export const nodeHolder = (id: NodeId): string => `node ${id}`;
export const deviceHolder = (key: string): string => `device ${key}`;
export const RECORD_HOLDER = 'record';

export const ownerOf = ({ user, tags }: Pick<MeshNode, 'user' | 'tags'>): Owner =>
  user === null ? { user, tags } : { user, tags: [] };

/** Whether the node's key has run out; an instant that is reached has passed. */
export const isExpired = (node: Pick<MeshNode, 'keyExpires'>, now: UnixMillis): boolean =>
  node.keyExpires !== null && now >= node.keyExpires;

const sorted = new WeakMap<Model['nodes'], readonly MeshNode[]>();

/** Nodes in the order of their ids; sorted once for each table, since every viewer's map asks. */
export function nodesInOrder({ nodes }: Model): readonly MeshNode[] {
  const known = sorted.get(nodes);
  if (known !== undefined) return known;
  const inOrder = [...nodes.values()].sort((a, b) => a.id - b.id);
  sorted.set(nodes, inOrder);
  return inOrder;
}

/** The devices of a node, shared or withdrawn, in the order in which they came. */
export function devicesOf(model: Model, node: NodeId): readonly LanDevice[] {
  const keys = model.index.devicesByNode.get(node) ?? [];
  return keys.flatMap((key) => model.devices.get(key) ?? []);
}

export function emptyModel(settings: Settings): Model {
  return {
    users: PersistentMap.empty(),
    nodes: PersistentMap.empty(),
    authKeys: PersistentMap.empty(),
    devices: PersistentMap.empty(),
    records: PersistentMap.empty(),
    rests: PersistentMap.empty(),
    remembered: PersistentMap.empty(),
    primaries: PersistentMap.empty(),
    settings,
    counters: {
      nextUser: 1,
      nextNode: 1,
      nextAuthKey: 1,
      nextAddress: 1,
      latest: 0 as UnixMillis,
    },
    approvals: PersistentMap.empty(),
    index: {
      nodeByKey: PersistentMap.empty(),
      nodesByMachine: PersistentMap.empty(),
      labels: PersistentMap.empty(),
      addresses: PersistentMap.empty(),
      userByLogin: PersistentMap.empty(),
      authKeyByPrefix: PersistentMap.empty(),
      devicesByNode: PersistentMap.empty(),
    },
  };
}

export const DEFAULT_SETTINGS: Settings = {
  baseDomain: 'mesh.internal',
  pool: '100.64.0.0/10',
  keyLifetimeMillis: 180 * 86_400_000,
  nameservers: [],
  splitDns: {},
  searchDomains: [],
  overrideLocalDns: false,
};
