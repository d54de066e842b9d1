/**
 * What a coordination server does by itself: it deletes ephemeral nodes that are gone, remembers what is live,
 * keeps a copy of the store, and looks after its clock and its disk.
 *
 *     at once       what a restart must know: new disco keys, home relays, routers
 *     every 10 s    ephemeral nodes; the clock; what a disk refused before
 *     every 10 min  all that is live and differs from what is stored
 *     every hour    the time as the clock's floor; a copy of the store, where something was committed
 *
 * An idle network writes nothing in between.
 */

import type { Env } from '../../base/env.ts';
import { NetError } from '../../base/errors.ts';
import type { Health } from '../../base/health.ts';
import { after, millis } from '../../base/time.ts';
import type { Coordinator, Network, News } from '../coordinator/coordinator.ts';
import type { NetworkClock } from '../coordinator/network-clock.ts';
import type { Actor } from '../registry/change.ts';
import {
  isWorthRemembering,
  longGone,
  noteTime,
  REMEMBER_MILLIS,
  remember,
  worthRemembering,
} from '../registry/live.ts';
import type { NodeId } from '../registry/model.ts';
import { deleteNode } from '../registry/nodes.ts';

const SERVER: Actor = { kind: 'server', name: 'postern control', from: 'itself' };
const LOOK = millis(10_000);
const HOUR_MILLIS = 3_600_000;

export interface UpkeepOptions {
  readonly coordinator: Coordinator;
  readonly env: Env;
  readonly clock: NetworkClock;
  readonly health: Health;
  readonly ephemeralMillis: number;
  /** Copies the store. */
  keepCopy(): Promise<void>;
  /** Whether the last commit failed. */
  diskRefuses(): boolean;
}

export class Upkeep {
  readonly #options: UpkeepOptions;
  #cancel: () => void = () => {};
  #remembered: number;
  #hourly: number;
  /** What a restart must know is not stored yet: of these nodes, and of who routes what. */
  readonly #fresh = new Set<NodeId>();
  #due = false;
  #storing: Promise<void> | undefined;
  readonly #unsubscribe: () => void;
  #closed = false;
  #turn: Promise<void> | undefined;

  constructor(options: UpkeepOptions) {
    this.#options = options;
    this.#remembered = options.env.now();
    this.#hourly = options.env.now();
    this.#unsubscribe = options.coordinator.subscribe((network, news) =>
      this.#heard(network, news),
    );
    this.#arm();
  }

  /** What is live is remembered once more; resolves when that is on the disk, or cannot be. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#cancel();
    this.#unsubscribe();
    await Promise.all([this.#turn, this.#storing]);
    const { coordinator } = this.#options;
    await this.#tried('remember', async () => {
      await coordinator.change(SERVER, (model) => remember(model, coordinator.network.live));
      await coordinator.change(SERVER, noteTime);
    });
  }

  #arm(): void {
    const { env } = this.#options;
    this.#cancel = env.setTimer(after(env.now(), LOOK), () => {
      this.#turn = this.#look().finally(() => {
        if (!this.#closed) this.#arm();
      });
    });
  }

  #heard({ model, live }: Network, news: readonly News[]): void {
    for (const one of news) {
      if (one.type === 'primaries moved') this.#due = true;
      if (one.type !== 'node live' || !isWorthRemembering(model, live, one.node)) continue;
      this.#fresh.add(one.node);
      this.#due = true;
    }
    if (this.#due) this.#storing ??= this.#store();
  }

  /** One commit after another: what comes meanwhile is in the next. */
  async #store(): Promise<void> {
    const { coordinator } = this.#options;
    // All that this very turn brings.
    await undefined;
    while (this.#due) {
      this.#due = false;
      const nodes = [...this.#fresh];
      this.#fresh.clear();
      await this.#tried('remember', () =>
        coordinator.change(SERVER, (model) => remember(model, coordinator.network.live, nodes)),
      );
    }
    this.#storing = undefined;
  }

  async #look(): Promise<void> {
    this.#lookAtClock();
    await this.#tried('ephemeral nodes', () => this.#deleteGone());
    await this.#tried('remember', () => this.#remember());
    const { env, coordinator, diskRefuses, keepCopy } = this.#options;
    const hourIsOver = env.now() - this.#hourly >= HOUR_MILLIS;
    if (!hourIsOver && !diskRefuses()) return;
    if (hourIsOver) this.#hourly = env.now();
    // Written whatever else there is, so that a disk that has room again is noticed.
    await this.#tried('note the time', () => coordinator.change(SERVER, noteTime));
    if (hourIsOver) await this.#tried('copy the store', keepCopy);
  }

  async #deleteGone(): Promise<void> {
    const { coordinator, ephemeralMillis } = this.#options;
    const { model, live, now } = coordinator.network;
    for (const node of longGone(model, live, now, ephemeralMillis))
      await coordinator.change(SERVER, (latest, context) => deleteNode(latest, { node }, context));
  }

  async #remember(): Promise<void> {
    const { coordinator, env } = this.#options;
    const { model, live } = coordinator.network;
    const due = env.now() - this.#remembered >= REMEMBER_MILLIS;
    if (!due && !worthRemembering(model, live)) return;
    this.#remembered = env.now();
    await coordinator.change(SERVER, (latest) => remember(latest, coordinator.network.live));
  }

  #lookAtClock(): void {
    const { clock, health } = this.#options;
    clock.now();
    if (clock.trusted) {
      health.lower('clock');
      return;
    }
    const seconds = Math.round(clock.aheadMillis / 1000);
    health.raise({
      code: 'clock',
      severity: 'warning',
      text: `the clock of this machine is ${Math.abs(seconds)} s ${seconds > 0 ? 'ahead of' : 'behind'} what it can be; nothing is granted or expires by it`,
      remedy: 'set the clock by a time server; if it is right as it is, start the server again',
    });
  }

  /** What fails for want of a disk is tried again at the next look; the store's health item says so. */
  async #tried(what: string, action: () => Promise<unknown>): Promise<void> {
    try {
      await action();
    } catch (error) {
      if (!(error instanceof NetError)) throw error;
      this.#options.env.log.debug('control: upkeep failed', { what, error: error.message });
    }
  }
}
