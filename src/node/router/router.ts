/**
 * The router: what the kernel does with packets between the tunnel, this machine and the networks around it.
 *
 *     setting --> note --> packet filter --> switches --> addresses --> routes --> rules
 *                          (ruleset.ts)    (switches.ts)              (routes.ts)
 *
 *     set      the difference between what is wanted and what is there; nothing for the setting of before
 *     check    the same after somebody else's change, and now and then
 *     close    all of it backwards (undo.ts); after a SIGKILL `recover` does it, at the next start
 *
 * One at a time, in the order of the calls. A part that fails is a health item and does not keep the others from
 * their work; `set` then rejects, and the next check tries again.
 *
 * The kernel tells of what others change (`watch`). Its word may be lost, so all is looked at every ten minutes
 * too, and each minute as long as a part fails.
 */

import { BugError, ConfigError } from '../../base/errors.ts';
import type { HealthItem } from '../../base/health.ts';
import { Health } from '../../base/health.ts';
import type { Millis } from '../../base/time.ts';
import { after, millis, NEVER, seconds } from '../../base/time.ts';
import { Applied } from './applied.ts';
import { NFT_TABLE } from './constants.ts';
import { Notes } from './notes.ts';
import type { Mark, NetworkChange, RouterPorts } from './ports.ts';
import { Repairs } from './repairs.ts';
import type { RouterSetting } from './setting.ts';
import { sameSetting } from './setting.ts';
import { undo } from './undo.ts';

export interface RouterOptions {
  readonly interface: string;
  /** On our own packets (constants.ts, OWN_MARK). */
  readonly mark: Mark;
  /** Of the notes; it ends with the machine's run: /run/postern. */
  readonly stateFolder: string;
  /** Of the packet filter; default `postern`. */
  readonly table?: string;
}

/** Several changes come at once, as when a cable is plugged in. */
const SETTLE: Millis = millis(100);
const BETWEEN_CHECKS: Millis = seconds(1);
/** Some programs change rules of theirs all the time, and a look costs programs run. */
const BETWEEN_FILTER_CHECKS: Millis = seconds(5);
const TRY_AGAIN: Millis = seconds(60);
const LOOK_EVERY = 10;

export class Router {
  readonly #ports: RouterPorts;
  readonly #options: RouterOptions;
  readonly #health: Health;
  readonly #notes: Notes;
  readonly #applied: Applied;
  readonly #repairs: Repairs;
  #setting: RouterSetting | undefined;
  #work: Promise<void> = Promise.resolve();
  #done: RouterSetting | undefined;
  #unwatch: (() => void) | undefined;
  #cancelSlow: () => void = () => {};
  #cancelSoon: (() => void) | undefined;
  #soonAt: Millis = NEVER;
  #lastCheck: Millis = millis(Number.NEGATIVE_INFINITY);
  #slowChecks = 0;
  #closed = false;

  constructor(ports: RouterPorts, options: RouterOptions) {
    this.#ports = ports;
    this.#options = options;
    this.#health = new Health(ports.env.log);
    this.#notes = new Notes(options.stateFolder, ports.process);
    this.#repairs = new Repairs(ports.env, this.#health);
    this.#applied = new Applied(ports, {
      device: options.interface,
      mark: options.mark,
      table: options.table ?? NFT_TABLE,
      notes: this.#notes,
      health: this.#health,
    });
  }

  /** Puts back what routers have left that died in this network, whatever their interface. */
  static async recover(
    ports: Pick<RouterPorts, 'env' | 'ip' | 'nft' | 'sysctl' | 'process'>,
    { stateFolder }: Pick<RouterOptions, 'stateFolder'>,
  ): Promise<void> {
    const notes = new Notes(stateFolder, ports.process);
    for (const note of await notes.left()) {
      const failures = await undo(note, await notes.others(note.interface), ports);
      const fields = { interface: note.interface, process: note.process };
      if (failures.length === 0) {
        await notes.remove(note.interface);
        ports.env.log.info('router: put back what a killed process left', fields);
      } else
        ports.env.log.warn('router: a killed process left what cannot be put back', {
          ...fields,
          reason: failures.join('; '),
        });
    }
  }

  /** @throws ConfigError, NetError naming the first part that failed; health names all */
  set(setting: RouterSetting): Promise<void> {
    if (this.#closed) throw new BugError('router: set after close');
    this.#watch();
    this.#setting = setting;
    return this.#next(async () => {
      if (this.#done !== undefined && sameSetting(this.#done, setting)) return;
      this.#done = undefined;
      await this.#refuseSecond(setting);
      await this.#applied.apply(setting);
      this.#done = setting;
    });
  }

  /** Repairs what is no longer as it was set. @throws as `set` */
  check(): Promise<void> {
    return this.#next(async () => {
      const setting = this.#setting;
      if (setting === undefined || this.#closed) return;
      this.#lastCheck = this.#ports.env.now();
      const again = this.#done !== undefined;
      const changed = await this.#applied.apply(setting);
      if (again) this.#repairs.count(changed);
      this.#done = setting;
    });
  }

  /** When all that was asked for until now is done, or has failed; never rejects. */
  settled(): Promise<void> {
    return this.#work;
  }

  health(): readonly HealthItem[] {
    return this.#health.items();
  }

  /** Takes all of it back. What cannot be taken back is logged, and left to the next `recover`. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#unwatch?.();
    this.#cancelSlow();
    this.#cancelSoon?.();
    await this.#next(() => this.#applied.close());
  }

  async #refuseSecond({ addresses, routes }: RouterSetting): Promise<void> {
    if (addresses.length + routes.length === 0) return;
    const others = await this.#notes.others(this.#options.interface);
    const other = others.find(({ routing }) => routing);
    if (other !== undefined)
      throw new ConfigError(
        `another node routes on this machine already, by its interface ${other.interface}: stop it first`,
      );
  }

  #next(action: () => Promise<void>): Promise<void> {
    const done = this.#work.then(action);
    this.#work = done.catch(() => {});
    return done;
  }

  #watch(): void {
    if (this.#unwatch !== undefined) return;
    this.#unwatch = this.#ports.watch((kind) => this.#changed(kind));
    this.#lookLater();
  }

  #lookLater(): void {
    const { env } = this.#ports;
    this.#cancelSlow = env.setTimer(after(env.now(), TRY_AGAIN), () => {
      const due = ++this.#slowChecks % LOOK_EVERY === 0 || this.#done === undefined;
      // Health says what failed.
      if (due) this.check().catch(() => {});
      this.#lookLater();
    });
  }

  #changed(kind: NetworkChange): void {
    const { env } = this.#ports;
    if (this.#closed) return;
    const soon = after(env.now(), SETTLE);
    const between = kind === 'filter' ? BETWEEN_FILTER_CHECKS : BETWEEN_CHECKS;
    const pause = this.#repairs.pause ?? between;
    const at = millis(Math.max(soon, after(this.#lastCheck, pause)));
    if (at >= this.#soonAt) return;
    env.log.debug('router: the network has changed', { kind });
    this.#cancelSoon?.();
    this.#soonAt = at;
    this.#cancelSoon = env.setTimer(at, () => {
      this.#cancelSoon = undefined;
      this.#soonAt = NEVER;
      this.check().catch(() => {});
    });
  }
}
