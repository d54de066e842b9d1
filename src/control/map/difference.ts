/**
 * The difference of two views as one map: what takes a client from the one to the other. The first map of a
 * stream is the difference to nothing.
 *
 *     Peers               the first map, and where most peers are others: all of them, never an empty list,
 *                         which a client would take for "as before"
 *     PeersChanged        new, or different in more than a patch can say
 *     PeersChangedPatch   moved, connected, away: fields that only ever get a value
 *     PeersRemoved        the last peer too
 *     everything else     where it differs, whole; chunks of the packet filter and warnings one by one, null
 *                         for one that is gone
 *
 * Source: reference/protocol.md 3.3.
 */

import { DISPLAY_MESSAGES_SINCE } from '../../protocol/tailcfg/capver.ts';
import type { DisplayMessage, FilterRule, MapResponse } from '../../protocol/tailcfg/map-types.ts';
import type { Node, PeerChange, TimeText } from '../../protocol/tailcfg/types.ts';
import { sameRules } from './filters.ts';
import type { Page } from './pages.ts';
import type { View } from './view.ts';
import { peerCount, peersIn } from './view.ts';

/** In a small network a delta is always the smaller one. */
const FEW_PEERS = 16;

export interface Difference {
  readonly map: MapResponse;
  /** Equal where what it says of peers is equal, since it takes from the same pages to the same pages. */
  readonly peersKey: string | undefined;
  /** It says nothing that is this viewer's alone. */
  readonly shared: boolean;
  /** The peers in it, where these are all. */
  readonly whole: readonly Page[] | undefined;
}

/** What differs between two pages. */
interface PageChange {
  readonly serials: string;
  readonly changed: readonly Node[];
  readonly patches: readonly PeerChange[];
  readonly removed: readonly number[];
}

/** The map for a client that knows nothing yet. */
export function firstMap(after: View, now: TimeText): Difference {
  const peers = peersIn(after);
  const warnings = warningsAfter({}, after);
  const map: MapResponse = {
    Node: after.self,
    DERPMap: after.facts.derpMap,
    ...(peers.length > 0 ? { Peers: peers } : {}),
    DNSConfig: after.dns,
    Domain: after.domain,
    CollectServices: false,
    PacketFilters: Object.fromEntries(after.filters),
    UserProfiles: [...after.profiles.values()],
    ...warnings,
    ControlTime: now,
    Debug: { DisableLogTail: true },
  };
  return own(map, after.pages);
}

/** Undefined where a client that is at `before` has nothing to learn. */
export function difference(before: View, after: View, now: TimeText): Difference | undefined {
  if (before === after) return undefined;
  const changes = pageChanges(before.pages, after.pages);
  const rest = restAfter(before, after);
  if (changes.length === 0) return hasFields(rest) ? own(rest) : undefined;
  const lasting = changes.reduce(
    (sum, { changed, removed }) => sum + changed.length + removed.length,
    0,
  );
  const size = peerCount(after.pages);
  if (size > 0 && lasting > FEW_PEERS && lasting > size / 2)
    return own({ ...rest, Peers: peersIn(after), ControlTime: now }, after.pages);
  const changed = changes.flatMap((change) => change.changed);
  const patches = changes.flatMap((change) => change.patches);
  const removed = changes.flatMap((change) => change.removed);
  const map: MapResponse = {
    ...(changed.length > 0 ? { PeersChanged: changed } : {}),
    ...(removed.length > 0 ? { PeersRemoved: removed } : {}),
    ...(patches.length > 0 ? { PeersChangedPatch: patches } : {}),
    ...rest,
  };
  if (!hasFields(map)) return undefined;
  const peersKey = changes.map(({ serials }) => serials).join();
  return { map, peersKey, shared: !hasFields(rest), whole: undefined };
}

const own = (map: MapResponse, whole?: readonly Page[]): Difference => ({
  map,
  peersKey: undefined,
  shared: false,
  whole,
});

const hasFields = (map: MapResponse): boolean => Object.keys(map).length > 0;

/** Everything but the peers. */
function restAfter(before: View, after: View): MapResponse {
  const profiles = [...after.profiles.values()].filter(
    (profile) => before.profiles.get(profile.ID) !== profile,
  );
  const filters = filtersAfter(before.filters, after.filters);
  return {
    ...(sameJson(before.self, after.self) ? {} : { Node: after.self }),
    ...(sameJson(before.facts.derpMap, after.facts.derpMap)
      ? {}
      : { DERPMap: after.facts.derpMap }),
    ...(sameJson(before.dns, after.dns) ? {} : { DNSConfig: after.dns }),
    ...(before.domain === after.domain ? {} : { Domain: after.domain }),
    ...(filters === undefined ? {} : { PacketFilters: filters }),
    ...(profiles.length === 0 ? {} : { UserProfiles: profiles }),
    ...warningsAfter(before.warnings, after),
  };
}

function filtersAfter(
  before: View['filters'],
  after: View['filters'],
): MapResponse['PacketFilters'] | undefined {
  if (before === after) return undefined;
  const chunks: Record<string, readonly FilterRule[] | null> = {};
  for (const [name, rules] of after) {
    const was = before.get(name);
    if (was === undefined || !sameRules(was, rules)) chunks[name] = rules;
  }
  for (const name of before.keys()) if (!after.has(name)) chunks[name] = null;
  return Object.keys(chunks).length === 0 ? undefined : chunks;
}

function warningsAfter(before: View['warnings'], { viewer, warnings }: View): MapResponse {
  if (before === warnings || sameJson(before, warnings)) return {};
  if (viewer.version < DISPLAY_MESSAGES_SINCE)
    return { Health: Object.values(warnings).map(({ Title, Text }) => `${Title}. ${Text}`) };
  const gone = Object.keys(before).filter((name) => !Object.hasOwn(warnings, name));
  const messages: Record<string, DisplayMessage | null> = { ...warnings };
  for (const name of gone) messages[name] = null;
  return { DisplayMessages: messages };
}

/** By rising range; both lists are in this order. */
function pageChanges(before: readonly Page[], after: readonly Page[]): readonly PageChange[] {
  if (before === after) return [];
  const changes: PageChange[] = [];
  let [i, j] = [0, 0];
  while (i < before.length || j < after.length) {
    const [a, b] = [before[i], after[j]];
    const range = Math.min(a?.range ?? Infinity, b?.range ?? Infinity);
    const [old, now] = [a?.range === range ? a : undefined, b?.range === range ? b : undefined];
    if (old !== undefined) i++;
    if (now !== undefined) j++;
    if (old !== now) changes.push(pageChange(old, now));
  }
  return changes;
}

/** Worked out once for all viewers who go from the one page to the other. */
const known = new WeakMap<Page, WeakMap<Page, PageChange>>();

function pageChange(before: Page | undefined, after: Page | undefined): PageChange {
  if (before === undefined || after === undefined) return computed(before, after);
  let ways = known.get(before);
  if (ways === undefined) {
    ways = new WeakMap();
    known.set(before, ways);
  }
  const found = ways.get(after);
  if (found !== undefined) return found;
  const change = computed(before, after);
  ways.set(after, change);
  return change;
}

function computed(before: Page | undefined, after: Page | undefined): PageChange {
  const old = new Map(before?.peers.map((peer) => [peer.node.ID, peer]));
  const changed: Node[] = [];
  const patches: PeerChange[] = [];
  for (const peer of after?.peers ?? []) {
    const { node } = peer;
    const was = old.get(node.ID);
    old.delete(node.ID);
    if (was === peer) continue;
    const patch = was === undefined ? 'whole' : patchOf(was.node, node);
    if (patch === 'whole') changed.push(node);
    else if (patch !== undefined) patches.push(patch);
  }
  const serials = `${before?.serial ?? 0}>${after?.serial ?? 0}`;
  return { serials, changed, patches, removed: [...old.keys()] };
}

/** Fields that a patch can give a new value; it can take none away. */
const PATCHED: readonly (keyof Node)[] = [
  'Endpoints',
  'HomeDERP',
  'DiscoKey',
  'Online',
  'LastSeen',
  'Cap',
];

/** `whole`: no patch can say it. Undefined: a client would see no difference. */
function patchOf(before: Node, after: Node): PeerChange | 'whole' | undefined {
  const names = new Set([...Object.keys(before), ...Object.keys(after)]) as Set<keyof Node>;
  const differing = [...names].filter((name) => !sameJson(before[name], after[name]));
  // One that is back has none any more; a client looks at it only while the node is away.
  const told = differing.filter((name) => !(name === 'LastSeen' && after.Online === true));
  if (told.length === 0) return undefined;
  if (!told.every((name) => PATCHED.includes(name) && after[name] !== undefined)) return 'whole';
  const { ID, HomeDERP, ...fields } = after;
  const patch = { NodeID: ID, ...(told.includes('HomeDERP') ? { DERPRegion: HomeDERP } : {}) };
  const others = told.filter((name) => name !== 'HomeDERP' && name !== 'ID');
  return Object.assign(
    patch,
    Object.fromEntries(others.map((name) => [name, fields[name as keyof typeof fields]])),
  ) as PeerChange;
}

const sameJson = (a: unknown, b: unknown): boolean =>
  a === b || JSON.stringify(a) === JSON.stringify(b);
