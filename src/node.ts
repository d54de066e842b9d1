/**
 * A member of a network: joins its rooms, and keeps them at what the map says.
 *
 *     session --map, state, key--> apply --> tunnel, paths, relays, filter, router, names, lan
 *     paths   --endpoints, home--> session
 *     lan     --devices----------> session
 *
 * All of it follows from three things: the state of the session, its map and its settings. Whatever changes of
 * them, the same function is run, and each room is told the difference or is as it was. While the node is not
 * wanted, or not a member, the map counts as empty.
 */

import type { Env } from './base/env.ts';
import type { Health, HealthItem } from './base/health.ts';
import type { NodePublic } from './base/keys.ts';
import { nodePublic } from './base/keys.ts';
import type { Prefix } from './base/prefix.ts';
import { ownKey } from './crypto/x25519.ts';
import type { Lan } from './node/lan/lan.ts';
import type { Names } from './node/names/names.ts';
import type { NamesSetting } from './node/names/setting.ts';
import type { Paths } from './node/paths/paths.ts';
import type { Relays } from './node/relays/relays.ts';
import type { Router } from './node/router/router.ts';
import type { RouterSetting } from './node/router/setting.ts';
import { NOTHING } from './node/router/setting.ts';
import type { Changed, Netmap } from './node/session/netmap.ts';
import { EMPTY_NETMAP } from './node/session/netmap.ts';
import type { Session } from './node/session/session.ts';
import type { Tunnel } from './node/tunnel/tunnel.ts';
import type { AppliedPeers } from './node-apply.ts';
import { approvedRoutes, namesSetting, peerSteps, prefixes, routerSetting } from './node-apply.ts';
import type { NodeWires } from './node-wires.ts';
import { localTargets } from './policy/local-targets.ts';
import type { PacketFilter } from './policy/packet-filter.ts';
import { compileFilter } from './policy/packet-filter.ts';

export interface NodeRooms {
  readonly session: Session;
  readonly tunnel: Tunnel;
  readonly paths: Paths;
  readonly relays: Relays;
  readonly router: Router;
  readonly names: Names;
  readonly lan: Lan;
  readonly wires: NodeWires;
}

/** What the machine's other interfaces have. */
export interface Surroundings {
  readonly networks: readonly Prefix[];
  readonly addresses: readonly Uint8Array[];
}

export interface NodeSystem {
  surroundings(): Surroundings;
  /** Whether an address, as Node writes it, is the machine's. */
  hasAddress(address: string): boolean;
  /** Puts addresses of services on the tunnel's interface, never to be chosen as a source. */
  setServiceAddresses(addresses: readonly Uint8Array[]): Promise<void>;
}

const NO_NAMES: NamesSetting = {
  hosts: new Map(),
  ownDomains: [],
  search: [],
  routes: new Map(),
  resolvers: [],
  fallback: [],
  manageSystem: false,
};

export class MeshNode {
  readonly #env: Env;
  readonly rooms: NodeRooms;
  readonly #system: NodeSystem;
  readonly #health: Health;
  readonly #listeners = new Set<() => void>();
  #peers: AppliedPeers = new Map();
  #filter: PacketFilter = compileFilter({ rules: undefined, local: [], shieldsUp: true });
  #filterSays = '';
  /** What was applied; another acceptRoutes or exit node concerns every peer. */
  #choice = '';
  #ownKeyOf: Uint8Array | undefined;
  #following: Promise<void> = Promise.resolve();
  #state = '';
  #wasConnected = false;
  /** What the filter was made of. */
  #filterOf = '';
  #filterRules: Netmap['filters'];
  /** Names are answered. */
  #named = false;
  #closed = false;

  constructor(env: Env, rooms: NodeRooms, system: NodeSystem, health: Health) {
    this.#env = env;
    this.rooms = rooms;
    this.#system = system;
    this.#health = health;
    const { session } = rooms;
    session.onKey(() => this.#takeKey());
    session.onChange((_netmap: Netmap, changed: Changed) => this.#apply(changed));
    session.onState((state) => {
      if (state !== this.#state) this.#apply(undefined);
      this.#state = state;
      this.#connected();
      this.told();
    });
  }

  /** Begins with what the disk has. */
  async start(): Promise<void> {
    await this.rooms.session.start();
    this.#takeKey();
    this.#apply(undefined);
  }

  get peers(): AppliedPeers {
    return this.#peers;
  }

  /** The map that counts now. */
  get netmap(): Netmap {
    const { session } = this.rooms;
    const member = session.state === 'Running' || session.state === 'Starting';
    return member && !this.#closed ? session.netmap : EMPTY_NETMAP;
  }

  health(): readonly HealthItem[] {
    return [...this.#health.items(), ...this.rooms.router.health()];
  }

  /** Calls `changed` when something of state or health may have changed. */
  onChange(changed: () => void): () => void {
    this.#listeners.add(changed);
    return () => this.#listeners.delete(changed);
  }

  /** Settings have been edited. */
  settingsChanged(): void {
    this.#apply(undefined);
    this.told();
  }

  /** The LAN room has devices to map, or has them no longer. */
  lanChanged(): void {
    this.#applyFilter();
    this.#follow();
  }

  /** Links, addresses or routes of the machine have changed. */
  networkChanged(): void {
    const { networks, addresses } = this.#system.surroundings();
    this.rooms.lan.setSurroundings({ networks, own: addresses });
    this.rooms.session.networkChanged();
    this.rooms.paths.linkChanged();
    this.rooms.relays.linkChanged(this.#system.hasAddress);
    void this.rooms.names.networkChanged();
    this.#applyFilter();
  }

  async close(): Promise<void> {
    this.#closed = true;
    const { session, names, router, relays, paths, lan } = this.rooms;
    lan.close();
    await session.close();
    const given = paths.close();
    relays.close();
    await this.#following;
    await names.close();
    await router.close();
    await given;
  }

  #takeKey(): void {
    const key = this.rooms.session.nodeKey;
    if (key === undefined || key.expose() === this.#ownKeyOf) return;
    this.#ownKeyOf = key.expose();
    const { tunnel, paths, relays } = this.rooms;
    paths.setIdentity(publicOf(key));
    relays.setIdentity(key);
    // It calls those whom we talked with, under the new names.
    tunnel.configure({ privateKey: key, peers: [] });
  }

  /** @param changed undefined: anything may have */
  #apply(changed: Changed | undefined): void {
    if (this.#closed) return;
    const { netmap } = this;
    const { relays, paths, lan } = this.rooms;
    if (changed === undefined || changed.derpMap) {
      const map = netmap.derpMap ?? { Regions: {} };
      relays.setRegions(map);
      paths.setRelayMap(map);
    }
    this.#applyPeers(netmap);
    lan.setMap(prefixes(netmap.self?.AllowedIPs ?? []));
    this.#applyFilter();
    this.#follow();
  }

  /** A server that is reached again may have lost what it knew of our devices. */
  #connected(): void {
    const { session, lan } = this.rooms;
    if (session.connected === this.#wasConnected) return;
    this.#wasConnected = session.connected;
    if (session.connected) lan.online();
    else lan.offline();
  }

  #applyPeers(netmap: Netmap): void {
    const { session, tunnel, paths, wires } = this.rooms;
    const { acceptRoutes, exitNode } = session.prefs;
    const choice = `${acceptRoutes} ${exitNode}`;
    const everyone = choice !== this.#choice || exitNode !== '';
    this.#choice = choice;
    const steps = peerSteps(this.#peers, netmap, { acceptRoutes, exitNode }, everyone);
    this.#peers = steps.peers;
    if (steps.tunnel.length > 0) tunnel.configure({ peers: steps.tunnel });
    for (const key of steps.gone) paths.removePeer(key);
    for (const peer of steps.changed) paths.updatePeer(peer);
    if (steps.gone.length + steps.changed.length > 0) wires.setPeers(this.#peers);
  }

  #applyFilter(): void {
    const { netmap } = this;
    const { session, tunnel, lan } = this.rooms;
    const { prefs } = session;
    const { networks, addresses } = this.#system.surroundings();
    const facts = {
      addresses: prefixes(netmap.self?.Addresses ?? []).map(({ address }) => address),
      devices: lan.mapping().map(({ mesh }) => mesh),
      routes: approvedRoutes(netmap, prefs),
      attached: networks,
      hosts: addresses,
    };
    const { shieldsUp } = prefs;
    const of = textOf([facts, shieldsUp]);
    if (of === this.#filterOf && netmap.filters === this.#filterRules) return;
    this.#filterOf = of;
    this.#filterRules = netmap.filters;
    this.#filter = compileFilter({ rules: netmap.filters, shieldsUp, local: localTargets(facts) });
    const says = textOf(this.#filter.rules);
    if (says === this.#filterSays) return;
    this.#filterSays = says;
    tunnel.setRules(this.#filter.rules);
    if (this.#filter.left > 0)
      this.#health.raise({
        code: 'filter-full',
        severity: 'warning',
        text: `the network's policy has ${this.#filter.left} rules more than fit; who they name is not let in`,
        remedy: 'name groups of hosts by prefixes, or fewer of them',
      });
    else this.#health.lower('filter-full');
  }

  /** Router and names, one setting after another; a setting that fails is a health item of theirs. */
  #follow(): void {
    this.#following = this.#following.then(async () => {
      if (this.#closed) return;
      const { netmap } = this;
      const { session, router, names, lan } = this.rooms;
      const member = netmap.self !== undefined;
      const setting: RouterSetting = member
        ? routerSetting(netmap, session.prefs, this.#peers, lan.mapping())
        : NOTHING;
      try {
        await router.set(setting);
        await this.#system.setServiceAddresses(member ? SERVICE_ADDRESSES : []);
        // Nothing listens before the addresses for it are there.
        if (member) await names.set(namesSetting(netmap, session.prefs));
        else if (this.#named) await names.set(NO_NAMES);
        this.#named = member;
      } catch (error) {
        this.#env.log.warn('node: not all could be set', { reason: (error as Error).message });
      }
    });
  }

  /** Something that is shown of us has changed. */
  told(): void {
    for (const listener of this.#listeners) listener();
  }
}

function textOf(value: unknown): string {
  return JSON.stringify(value, (_, part: unknown) =>
    part instanceof Uint8Array ? part.toHex() : part,
  );
}

/** 100.100.100.100 and fd7a:115c:a1e0::53, where names are answered. */
export const SERVICE_ADDRESSES: readonly Uint8Array[] = prefixes([
  '100.100.100.100/32',
  'fd7a:115c:a1e0::53/128',
]).map(({ address }) => address);

export function publicOf(key: { expose(): Uint8Array }): NodePublic {
  return nodePublic(ownKey(key.expose()).publicKey);
}
