/**
 * A loaded session: what the disk had, what the server says, and the one function (`#settle`) that makes map,
 * state, health and timers of both whenever something is new.
 *
 *     map, time, keys, prefs ──> settle ──> Netmap, Changed ──> told()
 *                                   ├─────> BackendState ─────> told()
 *                                   └─────> health, next look, loop on or off
 */

import type { Env } from '../../base/env.ts';
import type { Millis, UnixMillis } from '../../base/time.ts';
import { unixMillis } from '../../base/time.ts';
import type { ClaimFault } from '../../protocol/tailcfg/claims.ts';
import { expiryOf } from '../../protocol/tailcfg/claims.ts';
import type { Told } from '../../protocol/tailcfg/fold.ts';
import { fold, NOTHING_TOLD, sameJson } from '../../protocol/tailcfg/fold.ts';
import type { MapResponse } from '../../protocol/tailcfg/map-types.ts';
import type { Hostinfo } from '../../protocol/tailcfg/types.ts';
import type { LoopHost } from './control-loop.ts';
import { ControlLoop } from './control-loop.ts';
import { ownWish } from './enrol.ts';
import type { Identity, NodeKey } from './identity.ts';
import { ownKeysOf } from './identity.ts';
import { KeyWatch, sayOfKey, untilNext } from './key-watch.ts';
import { Keys } from './keys.ts';
import type { Changed, Netmap } from './netmap.ts';
import { EMPTY_NETMAP, isNews, netmapOf } from './netmap.ts';
import { NetmapCache, toldIn } from './netmap-cache.ts';
import { NetworkTime } from './network-time.ts';
import type { OwnFacts } from './own-facts.ts';
import type { SessionPorts } from './ports.ts';
import type { Prefs } from './prefs.ts';
import { SessionHealth } from './session-health.ts';
import type { BackendState } from './state.ts';
import { isExpired, next } from './state.ts';
import type { StateFiles } from './state-files.ts';
import { Tally } from './tally.ts';

export interface MembershipEvents {
  changed(netmap: Netmap, changed: Changed): void;
  state(state: BackendState): void;
  key(): void;
}

const DAY_MILLIS = 86_400_000;

export class Membership implements LoopHost {
  readonly ports: SessionPorts;
  readonly facts: OwnFacts;
  readonly keys: Keys;
  readonly cache: NetmapCache;
  readonly loop: ControlLoop;
  readonly tally: Tally;
  netmap: Netmap = EMPTY_NETMAP;
  state: BackendState = 'NoState';
  authUrl: string | undefined;
  loginError: string | undefined;
  heardAt: Millis | undefined;
  fromCache = false;
  connected = false;
  claimFaults: ReadonlyMap<ClaimFault, number> = new Map();
  readonly #env: Env;
  readonly #files: StateFiles;
  readonly #events: MembershipEvents;
  readonly #time: NetworkTime;
  readonly #health: SessionHealth;
  readonly #watch: KeyWatch;
  #prefs: Prefs;
  #told: Told = NOTHING_TOLD;
  #noRotationBefore: UnixMillis = unixMillis(0);
  #wasExpired = false;
  #closed = false;

  private constructor(
    ports: SessionPorts,
    facts: OwnFacts,
    files: StateFiles,
    keys: Keys,
    events: MembershipEvents,
  ) {
    const { env } = ports;
    this.ports = ports;
    this.facts = facts;
    this.keys = keys;
    this.#env = env;
    this.#files = files;
    this.#events = events;
    this.#prefs = files.prefs;
    const kept = files.cache;
    this.#time = new NetworkTime(env, ports.clockTrusted, unixMillis(kept?.time ?? 0));
    this.#health = new SessionHealth(env, ports.health);
    const last = kept && toldIn(kept);
    this.cache = new NetmapCache(
      env,
      files,
      () => this.#time.now(),
      kept && last && { told: last, time: kept.time },
    );
    if (last?.self !== undefined && keys.identity.member && !this.#prefs.loggedOut) {
      this.#told = last;
      this.fromCache = true;
    }
    this.#watch = new KeyWatch(env, () => this.#settle());
    this.tally = new Tally(env.log);
    this.loop = new ControlLoop(this);
  }

  static async load(
    ports: SessionPorts,
    facts: OwnFacts,
    files: StateFiles,
    events: MembershipEvents,
  ): Promise<Membership> {
    const keys = await Keys.open(ports.env, files, files.identity);
    return new Membership(ports, facts, files, keys, events);
  }

  get identity(): Identity {
    return this.keys.identity;
  }

  get prefs(): Prefs {
    return this.#prefs;
  }

  get ephemeral(): boolean {
    return this.#prefs.ephemeral;
  }

  get rotates(): UnixMillis | undefined {
    const { keyRotationSeconds } = this.#prefs;
    const { created, member } = this.identity;
    if (!member || created === 0 || keyRotationSeconds === 0) return undefined;
    return unixMillis(created + keyRotationSeconds * 1000);
  }

  /** Everything is looked at anew. */
  settle(): void {
    if (!this.#closed) this.#watch.again();
  }

  async setPrefs(prefs: Prefs): Promise<void> {
    const isNew = !sameJson(prefs, this.#prefs);
    this.#prefs = prefs;
    if (isNew) this.loop.changed();
    this.settle();
    if (isNew) await this.#files.writePrefs(prefs);
  }

  /** The map is of another network, or of none. */
  forgetMap(): void {
    this.#told = NOTHING_TOLD;
    this.fromCache = false;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#watch.close();
    this.#health.close();
    await this.loop.stop();
    await this.cache.flush(false, true);
    this.cache.close();
    await this.#files.idle();
  }

  // What the loop asks and tells.

  hostinfo(): Hostinfo {
    return this.facts.hostinfo(this.#prefs);
  }

  async accepted(key: NodeKey): Promise<void> {
    const { member, node } = this.identity;
    const isNew = !member || key.text !== node.text;
    // It may be another node now, with another address.
    if (!member) this.forgetMap();
    const created = this.#time.isKnown ? this.#time.now() : unixMillis(0);
    await this.keys.accepted(key, this.#prefs.controlUrl, created);
    this.loginError = undefined;
    this.#health.rotation(undefined);
    if (isNew) this.#events.key();
    this.settle();
  }

  askPerson(url: string | undefined): void {
    this.authUrl = url;
    if (url !== undefined) this.loginError = undefined;
    this.#health.wantsLogin(url);
    this.#events.state(this.state);
  }

  async notMember(): Promise<void> {
    this.#env.log.warn('session: the server does not know this node any more');
    await this.keys.expelled();
    this.settle();
  }

  rotationRefused(text: string): void {
    this.#noRotationBefore = unixMillis(this.#time.now() + DAY_MILLIS);
    this.#health.rotation(text);
  }

  map(map: MapResponse): void {
    this.#time.hear(map.ControlTime);
    this.#health.clock(this.#time.ahead());
    const first = !this.connected;
    this.#told = fold(this.#told, map, this.#time.now(), first);
    this.connected = true;
    this.fromCache = false;
    this.cache.take(this.#told);
    this.settle();
    if (first) this.#events.state(this.state);
  }

  heard(): void {
    this.heardAt = this.#env.now();
  }

  reached(): void {
    this.#health.reached();
  }

  parted(): void {
    this.connected = false;
    this.#events.state(this.state);
  }

  failed(error: Error): void {
    if (error.name === 'DeniedError') this.refused(error.message);
    else this.#health.unreachable(this.#prefs.controlUrl, error);
  }

  refused(text: string): void {
    this.loginError = text;
    this.#health.refused(text);
    this.#events.state(this.state);
  }

  count(reason: string, detail?: string): void {
    this.tally.count(reason, detail);
  }

  /** @returns in how many milliseconds something may be different by itself */
  #settle(): number {
    const now = this.#time.now();
    const { identity } = this;
    const { netmap, changed, settled } = netmapOf(
      this.netmap,
      this.#told,
      ownKeysOf(identity),
      now,
    );
    this.netmap = netmap;
    this.claimFaults = settled.faults;
    const { self } = netmap;
    const expires = self && expiryOf(self);
    const facts = {
      loaded: true,
      wantRunning: this.#prefs.wantRunning,
      loggedOut: this.#prefs.loggedOut,
      member: identity.member,
      awaitsApproval: self?.MachineAuthorized === false,
      keyExpires: expires,
      keyExpired: self?.Expired === true,
      haveMap: self !== undefined,
    };
    const state = next(facts, now);
    if (changed.messages) this.#health.messages(netmap.messages);
    const expired = identity.member && isExpired(facts, now);
    sayOfKey(this.ports.health, { now, expires, expired });
    // A restart with a clock of 1980 must not bring it to life.
    if (expired && !this.#wasExpired) void this.cache.flush(true);
    this.#wasExpired = expired;
    if (isNews(changed)) this.#events.changed(netmap, changed);
    if (state !== this.state) {
      this.#env.log.info('session: state', { from: this.state, to: state });
      this.state = state;
      this.#events.state(state);
    }
    this.#renewKey(now, state);
    return untilNext({
      now,
      expires,
      rotates: this.rotates,
      nextPeerExpiry: settled.nextExpiry,
    });
  }

  #renewKey(now: UnixMillis, state: BackendState): void {
    if (!this.#time.isKnown || !this.identity.member) return;
    if (this.identity.created === 0) {
      void this.keys.noteCreated(now);
      return;
    }
    const due = this.rotates !== undefined && now >= Math.max(this.rotates, this.#noRotationBefore);
    if (!due || state !== 'Running' || !this.connected) return;
    this.#noRotationBefore = unixMillis(now + 60_000);
    this.loop.wish(ownWish('rotate'));
  }
}
