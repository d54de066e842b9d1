/** A network for maps: the coordinator over a ledger in memory, a held clock, and short words for what happens. */

import type { Env } from '../../../src/base/env.ts';
import { lineLog } from '../../../src/base/log.ts';
import type { Millis } from '../../../src/base/time.ts';
import { millis, unixMillis } from '../../../src/base/time.ts';
import type { LedgerPort } from '../../../src/control/coordinator/coordinator.ts';
import { Coordinator } from '../../../src/control/coordinator/coordinator.ts';
import { NetworkClock } from '../../../src/control/coordinator/network-clock.ts';
import type { Context, Outcome, RegistryEvent } from '../../../src/control/registry/change.ts';
import { RANDOM_BYTES } from '../../../src/control/registry/change.ts';
import type { MeshNode, Model, User } from '../../../src/control/registry/model.ts';
import { ownersOnly } from '../../../src/control/registry/visibility.ts';
import type { Hostinfo } from '../../../src/protocol/tailcfg/types.ts';
import type { Seeded } from '../../seeded.ts';
import { seeded } from '../../seeded.ts';
import { World } from '../control/world.ts';

export const START = 1_800_000_000_000;

/** Timers that ring when the test says that time passes. */
export class HeldClock {
  now: Millis = millis(0);
  readonly #timers = new Set<{ at: number; action: () => void }>();

  readonly setTimer = (at: Millis, action: () => void): (() => void) => {
    const timer = { at, action };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  };

  pass(duration: number): void {
    const until = this.now + duration;
    for (;;) {
      const [first] = [...this.#timers].filter(({ at }) => at <= until).sort((a, b) => a.at - b.at);
      if (first === undefined) break;
      this.#timers.delete(first);
      this.now = millis(Math.max(this.now, first.at));
      first.action();
    }
    this.now = millis(until);
  }
}

class MemoryLedger implements LedgerPort {
  readonly #world: World;
  readonly #listeners = new Set<(model: Model, events: readonly RegistryEvent[]) => void>();

  constructor(world: World) {
    this.#world = world;
  }

  get model(): Model {
    return this.#world.model;
  }

  async change<R>(reduce: (model: Model) => Outcome<R>): Promise<Outcome<R>> {
    const outcome = reduce(this.#world.model);
    if (outcome.ok) this.publish(outcome.model, outcome.events);
    return outcome;
  }

  publish(model: Model, events: readonly RegistryEvent[]): void {
    this.#world.model = model;
    for (const listener of this.#listeners) listener(model, events);
  }

  subscribe(listener: (model: Model, events: readonly RegistryEvent[]) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }
}

export class MapNetwork {
  readonly clock: HeldClock = new HeldClock();
  readonly world: World;
  readonly coordinator: Coordinator;
  readonly env: Env;
  readonly log: string[] = [];
  readonly #ledger: MemoryLedger;

  constructor(
    lanOwners: Readonly<Record<string, readonly string[]>> = {},
    random: Seeded = seeded(41),
  ) {
    this.world = new World({}, ownersOnly(lanOwners));
    this.#ledger = new MemoryLedger(this.world);
    const { clock } = this;
    this.env = {
      now: () => clock.now,
      wall: () => unixMillis(START + clock.now),
      random: (bytes) => random.bytes(bytes),
      setTimer: clock.setTimer,
      log: lineLog((line) => this.log.push(line), 'info'),
    };
    const sources = { now: this.env.now, wall: this.env.wall, confirmed: () => true };
    this.coordinator = new Coordinator({
      ledger: this.#ledger,
      env: this.env,
      clock: new NetworkClock(sources, unixMillis(0)),
      policy: this.world.policy,
    });
  }

  /** Makes a change, which may be refused. */
  make<R>(reduce: (model: Model, context: Context) => Outcome<R>): R | undefined {
    const now = this.coordinator.network.now;
    const outcome = reduce(this.world.model, {
      ...this.world.context(),
      now,
      random: this.world.random.bytes(RANDOM_BYTES),
    });
    if (!outcome.ok) return undefined;
    this.#ledger.publish(outcome.model, outcome.events);
    return outcome.result;
  }

  join(n: number, user: User | null, tags: string[] = []): MeshNode {
    this.world.now = this.coordinator.network.now;
    const before = this.world.model;
    const node = this.world.join(n, user, {}, tags);
    const after = this.world.model;
    this.world.model = before;
    this.#ledger.publish(after, [{ type: 'node added', node: node.id }]);
    return node;
  }
}

/** What a machine says of itself, by chance. */
export function saidBy(random: Seeded): Parameters<Coordinator['said']>[1] {
  const hostinfo: Hostinfo = {
    OS: random.below(6) > 0 ? 'linux' : 'windows',
    Services: [{ Proto: 'peerapi4', Port: 1 + random.below(2) }],
    ...(random.below(2) === 0 ? { NetInfo: { PreferredDERP: random.below(3) } } : {}),
  };
  const ports = Array.from({ length: random.below(3) }, () => random.below(60_000));
  return {
    hostinfo,
    discoKey: `discokey:${random.below(4).toString().padStart(64, '1')}`,
    endpoints: ports.map((port) => `192.0.2.${random.below(4)}:${port}`),
    endpointTypes: ports.map(() => random.pick([1, 2, 4])),
    capVersion: random.pick([113, 119, 142]),
  };
}
