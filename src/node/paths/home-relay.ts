/**
 * Which relay is home: where peers that know no other way find us. To move costs them a map update, so the
 * choice holds until another is clearly better, or home has not answered two checks in a row.
 *
 *     measured   the least latency of the last 5 minutes counts, for home and for the others
 *     moves      where another is more than 10 ms and a third shorter
 *     nothing    measured at all: home as it was, else the hint of the last run, else the first of the map
 *
 * A region that the map marks as not to be measured is never home.
 */

import type { Millis } from '../../base/time.ts';
import { seconds } from '../../base/time.ts';
import type { DERPMap } from '../../protocol/tailcfg/types.ts';

const REMEMBERED: Millis = seconds(300);
const CLEARLY_MILLIS = 10;
const CLEARLY_RATIO = 2 / 3;
const MISSES = 2;

interface Measured {
  readonly at: Millis;
  readonly latencies: ReadonlyMap<number, number>;
}

export class HomeRelay {
  #eligible: readonly number[] = [];
  #history: Measured[] = [];
  #missed = 0;
  /** Of the last run, until something is measured. */
  #hint = 0;
  #current = 0;

  /** Region; 0 for none. */
  get current(): number {
    return this.#current;
  }

  setHint(region: number): void {
    this.#hint = region;
  }

  setMap(map: DERPMap): number {
    this.#eligible = Object.values(map.Regions)
      .filter((region) => region.NoMeasureNoHome !== true && region.Avoid !== true)
      .map((region) => region.RegionID)
      .sort((a, b) => a - b);
    if (this.#eligible.includes(this.#current)) return this.#current;
    this.#current = 0;
    // With one region there is nothing to measure for.
    if (this.#eligible.includes(this.#hint)) this.#current = this.#hint;
    else if (this.#eligible.length === 1) this.#current = this.#eligible[0] as number;
    return this.#current;
  }

  /** Home cannot be reached any more: one more check without its answer and another takes its place. */
  doubt(region: number): void {
    if (region !== this.#current) return;
    this.#missed = MISSES - 1;
    this.#history = [];
  }

  /** @param latencies of this check, by region, in milliseconds @returns home from now on */
  measured(latencies: ReadonlyMap<number, number>, now: Millis): number {
    this.#history = this.#history.filter(({ at }) => at > now - REMEMBERED);
    this.#history.push({ at: now, latencies });
    const answered = this.#eligible.filter((region) => latencies.has(region));
    const home = this.#current;
    if (answered.length === 0) {
      if (home === 0) this.#current = this.#eligible[0] ?? 0;
      return this.#current;
    }
    this.#missed = latencies.has(home) ? 0 : this.#missed + 1;
    const best = answered.reduce((a, b) => (this.#least(b) < this.#least(a) ? b : a));
    if (home === 0 || !this.#eligible.includes(home)) this.#move(best);
    else if (!latencies.has(home)) {
      if (this.#missed >= MISSES) this.#move(best);
    } else if (clearlyShorter(this.#least(best), this.#least(home))) this.#move(best);
    return this.#current;
  }

  #move(region: number): void {
    this.#current = region;
    this.#missed = 0;
  }

  #least(region: number): number {
    return Math.min(...this.#history.map(({ latencies }) => latencies.get(region) ?? Infinity));
  }
}

function clearlyShorter(other: number, home: number): boolean {
  return home - other > CLEARLY_MILLIS && other <= home * CLEARLY_RATIO;
}
