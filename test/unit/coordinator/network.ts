/** A coordinator under test: virtual time, a disk that takes everything (or nothing), and what listeners heard. */

import type { Env } from '../../../src/base/env.ts';
import { NetError } from '../../../src/base/errors.ts';
import { lineLog } from '../../../src/base/log.ts';
import { unixMillis } from '../../../src/base/time.ts';
import type { News } from '../../../src/control/coordinator/coordinator.ts';
import { Coordinator } from '../../../src/control/coordinator/coordinator.ts';
import { NetworkClock } from '../../../src/control/coordinator/network-clock.ts';
import type { RegistryEvent } from '../../../src/control/registry/change.ts';
import type { Model } from '../../../src/control/registry/model.ts';
import { rowsBetween } from '../../../src/control/registry/rows.ts';
import { ownersOnly } from '../../../src/control/registry/visibility.ts';
import { Ledger } from '../../../src/store/ledger.ts';
import type { Row } from '../../../src/store/port.ts';
import { seeded } from '../../seeded.ts';
import { Clock } from '../../sim/clock.ts';

const OWNERS = ownersOnly();
export const START = 1_800_000_000_000;

export class Network {
  readonly clock: Clock = new Clock();
  /** What wall time has jumped. */
  jumpMillis = 0;
  confirmed = false;
  diskFull = false;
  /** The last commit failed. */
  diskRefused = false;
  readonly written: Row[] = [];
  readonly news: News[] = [];
  readonly env: Env;
  readonly networkClock: NetworkClock;
  readonly coordinator: Coordinator;

  constructor(model: Model, floor: number = START - 1) {
    const random = seeded(5);
    this.env = {
      now: () => this.clock.now(),
      wall: () => unixMillis(START + this.clock.now() + this.jumpMillis),
      random: (bytes) => random.bytes(bytes),
      setTimer: (at, action) => this.clock.setTimer(at, action),
      log: lineLog(() => {}, 'error'),
    };
    const ledger = new Ledger<Model, RegistryEvent>({
      model,
      rowsBetween,
      store: {
        commit: async ({ rows }) => {
          this.diskRefused = this.diskFull;
          if (this.diskFull) throw new NetError('store: no space left');
          this.written.push(...rows);
        },
      },
    });
    const { now, wall } = this.env;
    const sources = { now, wall, confirmed: () => this.confirmed };
    this.networkClock = new NetworkClock(sources, unixMillis(floor));
    this.coordinator = new Coordinator({
      ledger,
      env: this.env,
      clock: this.networkClock,
      policy: OWNERS,
    });
    this.coordinator.subscribe((_network, news) => this.news.push(...news));
  }

  /** What was heard since the last call, as `type node`. */
  heard(): readonly string[] {
    return this.news
      .splice(0)
      .map((news) => `${news.type} ${'node' in news ? news.node : ''}`.trim());
  }

  pass(millis: number): void {
    this.clock.runTo(this.clock.now() + millis);
  }

  /** Promises that are due. */
  async settled(): Promise<void> {
    for (let i = 0; i < 20; i++) await undefined;
  }
}
