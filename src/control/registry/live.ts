/**
 * What changes by itself: who is connected, from where, and which router a prefix goes to. It is true for
 * readers at once and never waits for the disk; now and then it is remembered in the model, so that peers
 * still know each other after a restart.
 *
 *     absent ──connected(session)──> online ──disconnected(same session)──> offline, last seen now
 *                  ^                   │  a newer session takes the older one's place, whose end then means nothing
 *                  └───────────────────┘
 *
 *     remember: at once for a new disco key, a new home relay or new routers; else with the next of those, or
 *     every ten minutes (REMEMBER_MILLIS), or at the end: 50 idle nodes write nothing
 *
 * Source: reference/protocol.md 3.1, 9.3 (points 7 to 9).
 */

import type { UnixMillis } from '../../base/time.ts';
import { unixMillis } from '../../base/time.ts';
import type { Context, Done } from './change.ts';
import type { Model, NodeId, Remembered } from './model.ts';
import { PersistentMap } from './persistent-map.ts';
import { electedPrimaries } from './routes.ts';

export const REMEMBER_MILLIS: number = 10 * 60_000;
/** An ephemeral node is deleted when it has been away for this long. */
export const EPHEMERAL_MILLIS: number = 5 * 60_000;

export interface LiveNode extends Remembered {
  /** The stream that is open; 0: none. */
  readonly session: number;
  /** It answers probes as a router. */
  readonly healthy: boolean;
}

export interface Live {
  readonly nodes: PersistentMap<NodeId, LiveNode>;
  readonly primaries: PersistentMap<string, NodeId>;
  /** Since when we know of absence: nobody was gone for longer than we watched. */
  readonly since: UnixMillis;
}

/** What a lite update says; what it leaves out stays as it was. */
export type Said = Partial<
  Pick<
    Remembered,
    'hostinfo' | 'discoKey' | 'endpoints' | 'endpointTypes' | 'homeDerp' | 'capVersion'
  >
>;

const UNKNOWN: LiveNode = {
  hostinfo: {},
  discoKey: null,
  endpoints: [],
  endpointTypes: [],
  homeDerp: 0,
  capVersion: 0,
  lastSeen: null,
  session: 0,
  healthy: true,
};

/** At the start: everybody is away, and is what they last said. */
export function liveFrom(model: Model, now: UnixMillis): Live {
  let nodes = PersistentMap.empty<NodeId, LiveNode>();
  for (const [id, remembered] of model.remembered.entries())
    nodes = nodes.set(id, { ...UNKNOWN, ...remembered });
  return { nodes, primaries: model.primaries, since: now };
}

export const liveNode = (live: Live, node: NodeId): LiveNode => live.nodes.get(node) ?? UNKNOWN;

export const isOnline = (live: Live, node: NodeId): boolean => liveNode(live, node).session !== 0;

/** A stream has opened; `session` is a number that no earlier one had. */
export const connected = (live: Live, node: NodeId, session: number): Live =>
  put(live, node, { session, healthy: true });

/** A stream has ended; it says nothing where a newer one is open. */
export function disconnected(live: Live, node: NodeId, session: number, now: UnixMillis): Live {
  if (liveNode(live, node).session !== session) return live;
  return put(live, node, { session: 0, lastSeen: now });
}

/** The node itself has spoken. Network facts that it leaves out of its hostinfo are as before. */
export function said(live: Live, node: NodeId, update: Said): Live {
  const before = liveNode(live, node);
  const { hostinfo } = update;
  if (hostinfo === undefined) return put(live, node, update);
  const network = hostinfo.NetInfo ?? before.hostinfo.NetInfo;
  // Absent in one request, not in the machine: without it every peer would lose the home relay.
  const homeDerp = network?.PreferredDERP || update.homeDerp || before.homeDerp;
  const whole = network === undefined ? hostinfo : { ...hostinfo, NetInfo: network };
  return put(live, node, { ...update, homeDerp, hostinfo: whole });
}

export const probed = (live: Live, node: NodeId, healthy: boolean): Live =>
  put(live, node, { healthy });

export function forgotten(live: Live, node: NodeId): Live {
  return { ...live, nodes: live.nodes.delete(node) };
}

/** Routers chosen anew; the same value where nothing moved. */
export function withPrimaries(live: Live, model: Model, now: UnixMillis): Live {
  const factsOf = (id: NodeId) => {
    const { session, healthy } = liveNode(live, id);
    return { connected: session !== 0, healthy };
  };
  const primaries = electedPrimaries(model, live.primaries, factsOf, now);
  return primaries === live.primaries ? live : { ...live, primaries };
}

/** Ephemeral nodes that have been away for too long, as far as we watched. */
export function longGone(
  model: Model,
  live: Live,
  now: UnixMillis,
  ephemeralMillis: number = EPHEMERAL_MILLIS,
): readonly NodeId[] {
  return [...model.nodes.values()]
    .filter(({ id, ephemeral, created }) => {
      if (!ephemeral || isOnline(live, id)) return false;
      const seen = Math.max(liveNode(live, id).lastSeen ?? created, created, live.since);
      return now - seen >= ephemeralMillis;
    })
    .map(({ id }) => id);
}

/** Whether a restart that forgot what is live of this node would part it from its peers. */
export function isWorthRemembering(model: Model, live: Live, node: NodeId): boolean {
  if (!model.nodes.has(node)) return false;
  const { discoKey, homeDerp } = liveNode(live, node);
  const before = model.remembered.get(node) ?? UNKNOWN;
  return discoKey !== before.discoKey || homeDerp !== before.homeDerp;
}

/** The same of any node, or of who routes what. */
export function worthRemembering(model: Model, live: Live): boolean {
  if (live.primaries !== model.primaries) return true;
  for (const id of live.nodes.keys()) if (isWorthRemembering(model, live, id)) return true;
  return false;
}

/**
 * A change: what is live of the nodes that are still members, as remembered. Nobody's deed, so no audit.
 *
 * @param of those to look at; default all
 */
export function remember(
  model: Model,
  live: Live,
  of: Iterable<NodeId> = live.nodes.keys(),
): Done<null> {
  let { remembered } = model;
  for (const id of of) {
    const node = live.nodes.get(id);
    if (node === undefined || !model.nodes.has(id)) continue;
    const before = remembered.get(id);
    const facts = lasting(node);
    if (before === undefined || !sameFacts(before, facts)) remembered = remembered.set(id, facts);
  }
  return {
    ok: true,
    model: { ...model, remembered, primaries: live.primaries },
    events: [],
    audit: null,
    result: null,
  };
}

/** A change of nothing but the time that is known to be past: the clock's floor after a restart. */
export function noteTime(model: Model, { now, clockTrusted }: Context): Done<null> {
  const { counters } = model;
  const latest = clockTrusted ? unixMillis(Math.max(counters.latest, now)) : counters.latest;
  return {
    ok: true,
    model: { ...model, counters: { ...counters, latest } },
    events: [],
    audit: null,
    result: null,
  };
}

/** Latencies and the like are measured anew every few minutes: of them the home relay alone is kept. */
function lasting({
  session: _session,
  healthy: _healthy,
  hostinfo,
  ...facts
}: LiveNode): Remembered {
  const { NetInfo: _network, ...kept } = hostinfo;
  return { ...facts, hostinfo: kept };
}

const put = (live: Live, node: NodeId, fields: Partial<LiveNode>): Live => ({
  ...live,
  nodes: live.nodes.set(node, { ...liveNode(live, node), ...fields }),
});

const sameFacts = (a: Remembered, b: Remembered): boolean =>
  JSON.stringify(a) === JSON.stringify(b);
