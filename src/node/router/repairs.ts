/**
 * Counts what had to be repaired. Another program that undoes it again and again is one that a person must know
 * of, and that we do not race: then checks are further apart, until a while has passed without a repair.
 */

import type { Env } from '../../base/env.ts';
import type { Health } from '../../base/health.ts';
import type { Millis } from '../../base/time.ts';
import { seconds } from '../../base/time.ts';

const WINDOW: Millis = seconds(60);
const MANY = 10;
const CONTESTED_PAUSE: Millis = seconds(10);
const CODE = 'router-contested';

export class Repairs {
  readonly #env: Env;
  readonly #health: Health;
  #times: Millis[] = [];

  constructor(env: Env, health: Health) {
    this.#env = env;
    this.#health = health;
  }

  /** How long to wait from one check to the next, where it is longer than usual. */
  get pause(): Millis | undefined {
    return this.#recent() >= MANY ? CONTESTED_PAUSE : undefined;
  }

  /** @param what the parts that were not as they had been set */
  count(what: readonly string[]): void {
    if (what.length > 0) {
      this.#env.log.info('router: repaired after another program', { what: what.join(', ') });
      this.#times.push(this.#env.now());
    }
    if (this.#recent() < MANY) {
      this.#health.lower(CODE);
      return;
    }
    this.#health.raise({
      code: CODE,
      severity: 'warning',
      text: 'another program keeps removing our routes, rules or packet filter table',
      remedy: 'find it (`ip monitor rule route`, `nft monitor`), and have it leave ours alone',
    });
  }

  #recent(): number {
    const now = this.#env.now();
    this.#times = this.#times.filter((at) => now - at < WINDOW).slice(-MANY);
    return this.#times.length;
  }
}
