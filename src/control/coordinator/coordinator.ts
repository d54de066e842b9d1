/**
 * The coordinator: the registry's model with the disk behind it, what is live, and everybody who must hear
 * of a change. The rooms above it (serve, map, admin) read `network` and ask for changes; none of them has
 * a state of the network of its own.
 *
 *     change ──> ledger (reduce, commit) ──> published ──┐
 *     said, connect, disconnect ──> live ────────────────┼──> primaries elected ──> listeners: network, news
 *     a key that runs out ───────────────────────────────┘
 *
 *     stream ends ──> grace ──> offline          a new stream within the grace: nobody hears of it
 *
 * News say where to look; what is so is in the network. A listener is called in the same turn, one news list
 * after another, and must not throw.
 */

import type { Env } from '../../base/env.ts';
import type { Millis, UnixMillis } from '../../base/time.ts';
import { after, millis } from '../../base/time.ts';
import type { Actor, Context, Outcome, RegistryEvent } from '../registry/change.ts';
import { RANDOM_BYTES } from '../registry/change.ts';
import type { Live, Said } from '../registry/live.ts';
import * as live from '../registry/live.ts';
import type { Model, NodeId } from '../registry/model.ts';
import { isExpired } from '../registry/model.ts';
import type { AccessPolicy } from '../registry/visibility.ts';
import type { NetworkClock } from './network-clock.ts';

/** One consistent look at everything; immutable. */
export interface Network {
  readonly model: Model;
  readonly live: Live;
  readonly policy: AccessPolicy;
  /** The network's time (network-clock.ts), for what has expired. */
  readonly now: UnixMillis;
}

/** What to look at again. */
export type News =
  | RegistryEvent
  /** Connected or away, where it is, what it says of itself; or its key ran out. */
  | { readonly type: 'node live'; readonly node: NodeId }
  /** Prefixes go to another router now. @property nodes those that gained or lost one */
  | { readonly type: 'primaries moved'; readonly nodes: readonly NodeId[] }
  /** The policy was replaced: everything may differ. */
  | { readonly type: 'policy changed' };

export type NewsListener = (network: Network, news: readonly News[]) => void;

/** The part of store/ledger.ts that is needed here. */
export interface LedgerPort {
  readonly model: Model;
  change<R>(reduce: (model: Model) => Outcome<R>): Promise<Outcome<R>>;
  subscribe(listener: (model: Model, events: readonly RegistryEvent[]) => void): () => void;
}

export interface CoordinatorOptions {
  readonly ledger: LedgerPort;
  readonly env: Env;
  readonly clock: NetworkClock;
  readonly policy: AccessPolicy;
}

/** How long a node whose stream was closed may take to open another before anybody is told. */
export const GRACE: Millis = millis(8_000);
/** Timers are not set further ahead, so that a moved expiry or clock is met soon. */
const LONGEST_WAIT: Millis = millis(60_000);

export class Coordinator {
  readonly #options: CoordinatorOptions;
  readonly #listeners = new Set<NewsListener>();
  readonly #graces = new Map<NodeId, () => void>();
  #policy: AccessPolicy;
  #live: Live;
  #lastSession = 0;
  /** Up to here the ends of keys were told. */
  #toldUntil: UnixMillis;
  #cancelExpiry: (() => void) | undefined;
  readonly #unsubscribe: () => void;

  constructor(options: CoordinatorOptions) {
    this.#options = options;
    this.#policy = options.policy;
    this.#toldUntil = options.clock.now();
    this.#live = live.withPrimaries(
      live.liveFrom(options.ledger.model, this.#toldUntil),
      options.ledger.model,
      this.#toldUntil,
    );
    this.#unsubscribe = options.ledger.subscribe((model, events) => this.#published(model, events));
    this.#awaitExpiry();
  }

  get network(): Network {
    return {
      model: this.#options.ledger.model,
      live: this.#live,
      policy: this.#policy,
      now: this.#options.clock.now(),
    };
  }

  /**
   * Asks for a change; resolves when it is on the disk and listeners have heard of it, or refused.
   *
   * @throws NetError where it could not be saved; nothing has changed then
   */
  change<R>(
    by: Actor,
    reduce: (model: Model, context: Context) => Outcome<R>,
  ): Promise<Outcome<R>> {
    const { ledger, clock, env } = this.#options;
    const context: Context = {
      now: clock.now(),
      clockTrusted: clock.trusted,
      by,
      random: env.random(RANDOM_BYTES),
      policy: this.#policy,
    };
    return ledger.change((model) => reduce(model, context));
  }

  /** The node's stream has opened. @returns the number of its session, for `disconnect` */
  connect(node: NodeId): number {
    this.#graces.get(node)?.();
    this.#graces.delete(node);
    const session = ++this.#lastSession;
    const news = live.isOnline(this.#live, node) ? [] : [node];
    this.#move(live.connected(this.#live, node, session), news);
    return session;
  }

  /**
   * A stream has ended. Nothing happens where the node has a newer one.
   *
   * @param how `closed` waits for another; `silent` does not, since the node was not heard for long enough
   */
  disconnect(node: NodeId, session: number, how: 'closed' | 'silent'): void {
    if (live.liveNode(this.#live, node).session !== session) return;
    const { env, clock } = this.#options;
    const end = (): void => {
      this.#graces.delete(node);
      this.#move(live.disconnected(this.#live, node, session, clock.now()), [node]);
    };
    this.#graces.get(node)?.();
    if (how === 'silent') end();
    else this.#graces.set(node, env.setTimer(after(env.now(), GRACE), end));
  }

  /** What the node says of itself; those who see it hear of it where it differs from before. */
  said(node: NodeId, update: Said): void {
    const before = live.liveNode(this.#live, node);
    const next = live.said(this.#live, node, update);
    if (sameFacts(before, live.liveNode(next, node))) return;
    this.#move(next, [node]);
  }

  /** Whether a router answers probes. */
  probed(node: NodeId, healthy: boolean): void {
    if (live.liveNode(this.#live, node).healthy === healthy) return;
    this.#move(live.probed(this.#live, node, healthy), []);
  }

  /** Replaces the policy; what it approves of routes is a change of its own (registry/routes.ts). */
  setPolicy(policy: AccessPolicy): void {
    this.#policy = policy;
    this.#tell([{ type: 'policy changed' }]);
  }

  /** The result ends it. */
  subscribe(listener: NewsListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** No timer is left, and nobody is told anything any more. */
  close(): void {
    this.#unsubscribe();
    this.#listeners.clear();
    this.#cancelExpiry?.();
    for (const cancel of this.#graces.values()) cancel();
    this.#graces.clear();
  }

  #published(model: Model, events: readonly RegistryEvent[]): void {
    for (const event of events) {
      if (event.type !== 'node removed') continue;
      this.#graces.get(event.node)?.();
      this.#graces.delete(event.node);
      this.#live = live.forgotten(this.#live, event.node);
    }
    const moved = this.#elect(model);
    if (events.length > 0 || moved.length > 0) this.#tell([...events, ...moved]);
    if (events.some(({ type }) => type === 'node added' || type === 'node changed'))
      this.#awaitExpiry();
  }

  #move(next: Live, nodes: readonly NodeId[]): void {
    this.#live = next;
    const moved = this.#elect(this.#options.ledger.model);
    const news = [...nodes.map((node): News => ({ type: 'node live', node })), ...moved];
    if (news.length > 0) this.#tell(news);
  }

  #elect(model: Model): readonly News[] {
    const before = this.#live.primaries;
    this.#live = live.withPrimaries(this.#live, model, this.#options.clock.now());
    if (this.#live.primaries === before) return [];
    const changed = this.#live.primaries.changedSince(before);
    const nodes = changed.flatMap(({ key, after }) =>
      [before.get(key), after].filter((node) => node !== undefined),
    );
    return [{ type: 'primaries moved', nodes: [...new Set(nodes)] }];
  }

  #tell(news: readonly News[]): void {
    const { network } = this;
    for (const listener of this.#listeners) listener(network, news);
  }

  /** Tells of keys that have run out since the last look, and waits for the next one. */
  #awaitExpiry(): void {
    const { clock, env, ledger } = this.#options;
    this.#cancelExpiry?.();
    const now = clock.now();
    let next = Number.POSITIVE_INFINITY;
    for (const { keyExpires } of ledger.model.nodes.values())
      if (keyExpires !== null && keyExpires > this.#toldUntil) next = Math.min(next, keyExpires);
    const wait = Math.min(Math.max(next - now, 0), LONGEST_WAIT);
    this.#cancelExpiry = env.setTimer(after(env.now(), millis(wait)), () => this.#tellExpired());
  }

  #tellExpired(): void {
    const { clock, ledger } = this.#options;
    const now = clock.now();
    const ended = [...ledger.model.nodes.values()].filter(
      ({ keyExpires }) => keyExpires !== null && keyExpires > this.#toldUntil && keyExpires <= now,
    );
    this.#toldUntil = now;
    this.#move(
      this.#live,
      ended.filter((node) => isExpired(node, now)).map(({ id }) => id),
    );
    this.#awaitExpiry();
  }
}

/** Latencies of relays are measured anew all the time, and mean nothing to others. */
function sameFacts(a: live.LiveNode, b: live.LiveNode): boolean {
  const told = ({ hostinfo, lastSeen: _seen, ...rest }: live.LiveNode): string => {
    const { NetInfo: _network, ...others } = hostinfo;
    return JSON.stringify([others, rest]);
  };
  return a === b || told(a) === told(b);
}
