/**
 * One session of measuring: who must be measured for the rows wanted, and in what order.
 *
 *     idle, all at once  ->  rounds: ours, current, debian, ours, ...  ->  handshakes  ->  growth
 */

import type { ContenderName } from './contenders.ts';
import { runGrowth } from './growth.ts';
import { LISTEN_PORT, runHandshakes } from './handshakes.ts';
import type { Initiations } from './initiations.ts';
import { makeInitiations } from './initiations.ts';
import type { RowName, RowSpec } from './rows.ts';
import { ROWS } from './rows.ts';
import type { Durations, Measure, Plan, Run, Runs } from './runs.ts';
import { FULL, joinRuns, QUICK, runIdle, runRounds } from './runs.ts';
import { progress } from './table.ts';

/** Measured by themselves, not in the rounds of traffic. */
const APART: readonly Measure[] = ['idle', 'handshakes', 'growth'];

const HASHED: readonly ContenderName[] = ['ours', 'current', 'debian'];

/** In the quick form nobody is measured whom no bound of the row wants. */
export class Session {
  readonly durations: Durations;
  readonly #quick: boolean;
  readonly #say: (line: string) => void;
  #initiations: Initiations | undefined;

  /** @param say takes lines for the person who waits */
  constructor(quick: boolean, say: (line: string) => void) {
    this.durations = quick ? QUICK : FULL;
    this.#quick = quick;
    this.#say = say;
  }

  /** Who is measured for a row, its subject first. */
  contendersOf({ subject, others, bounds }: RowSpec): ContenderName[] {
    const needed = (name: ContenderName): boolean =>
      !this.#quick || bounds.length === 0 || bounds.some(({ against }) => against === name);
    return [subject, ...others.filter(needed)];
  }

  /** All runs that `rows` need. */
  async measure(rows: readonly RowName[]): Promise<Runs> {
    const say = this.#say;
    const report = (contender: ContenderName, run: Run): void => say(progress(contender, run));
    const { rounds, idleSeconds } = this.durations;
    let runs: Runs = {};
    if (rows.includes('idle')) {
      say(`idle: ${idleSeconds} s without traffic`);
      // Computed here meanwhile: a sleeping process does not mind a busy one.
      const meanwhile = (): void => void (rows.includes('handshakes') && this.#made());
      const contenders = this.contendersOf(ROWS.idle);
      runs = joinRuns(runs, await runIdle(contenders, this.durations, meanwhile));
    }
    const plan = this.#plan(rows);
    if (plan.size > 0) {
      say(`traffic: ${rounds} rounds of ${[...plan.keys()].join(', ')}`);
      runs = joinRuns(runs, await runRounds(plan, this.durations, report));
    }
    if (rows.includes('handshakes')) {
      say('handshakes: as fast as they are answered, on one core');
      const contenders = this.contendersOf(ROWS.handshakes);
      runs = joinRuns(runs, await runHandshakes(contenders, rounds, this.#made(), report));
    }
    if (rows.includes('growth')) {
      say('growth: ten minutes of traffic');
      const grown = (minute: number, megabytes: number): void =>
        say(`  minute ${minute.toFixed(2)}  ${megabytes.toFixed(1)} MB`);
      runs = joinRuns(runs, await runGrowth(grown));
    }
    return runs;
  }

  /**
   * The rounds that `rows` need. Whoever sends has its bytes hashed too; in the quick form those only that the
   * product is, or is compared with.
   */
  #plan(rows: readonly RowName[]): Plan {
    const plan = new Map<ContenderName, Set<Measure>>();
    for (const spec of rows.filter(isTraffic).map((name) => ROWS[name]))
      for (const contender of this.contendersOf(spec)) {
        const hashed = !this.#quick || HASHED.includes(contender);
        const measures = plan.get(contender) ?? new Set(hashed ? ['bytes'] : []);
        for (const measure of spec.needs) measures.add(measure);
        plan.set(contender, measures);
      }
    return plan;
  }

  #made(): Initiations {
    this.#initiations ??= makeInitiations(this.durations.initiations, LISTEN_PORT);
    return this.#initiations;
  }
}

export function isTraffic(name: RowName): boolean {
  return !ROWS[name].needs.some((measure) => APART.includes(measure));
}
