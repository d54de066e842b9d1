/**
 * Ours beside others, in one run: what the benches of the coordination server and of the node have in common.
 *
 *     for each work: ours, theirs, ours, theirs, …  ->  judge  ->  once more where void
 *
 * Whatever else happens on the machine then meets all of them. A run that fails is kept with its reason, and
 * the rows that need it fail.
 */

import { styleText } from 'node:util';
import type { Row, Run, Runs } from './control/judge.ts';
import { judge } from './control/judge.ts';
import type { Figures, RowSpec } from './control/rows.ts';
import { loadNow } from './runs.ts';

interface Work<C extends string> {
  readonly contenders: readonly C[];
  /** Over so soon, or so long, that it is done once also in the full form. */
  readonly once?: true;
}

/** One at a time; each call is a run in a world of its own. */
export interface SingleWork<C extends string, S> extends Work<C> {
  measure(contender: C, sizes: S): Promise<Figures>;
}

/** All at the same time: nothing happens, so none of them disturbs another. */
export interface CommonWork<C extends string, S> extends Work<C> {
  together(contenders: readonly C[], sizes: S): Promise<Readonly<Partial<Record<C, Figures>>>>;
}

export type WorkSpec<C extends string, S> = SingleWork<C, S> | CommonWork<C, S>;

export interface Comparison<C extends string, W extends string, R extends string, S> {
  /** In the order in which they are done. */
  readonly works: Readonly<Record<W, WorkSpec<C, S>>>;
  readonly specs: Readonly<Record<R, RowSpec<C, W>>>;
  readonly wanted: readonly R[];
  readonly sizes: S;
  /** False for one that is not on this machine. */
  readonly isThere: (contender: C) => boolean;
  /** Takes lines for the person who waits. */
  readonly say: (line: string) => void;
}

export interface Compared<C extends string, W extends string, R extends string> {
  readonly rows: Readonly<Record<R, Row<C>>>;
  readonly runs: ReadonlyMap<W, Runs<C>>;
  readonly ok: boolean;
}

const MOST_TIMES = 2;

export async function compare<
  C extends string,
  W extends string,
  R extends string,
  S extends { readonly rounds: number },
>(comparison: Comparison<C, W, R, S>): Promise<Compared<C, W, R>> {
  const { works, specs, wanted, say } = comparison;
  const runs = new Map<W, Runs<C>>();
  const judged: Partial<Record<R, Row<C>>> = {};
  for (const work of Object.keys(works) as W[]) {
    const mine = wanted.filter((name) => specs[name].work === work);
    if (mine.length === 0) continue;
    const contenders = works[work].contenders.filter(comparison.isThere);
    for (let time = 0; time < MOST_TIMES; time++) {
      const found = await measure(work, contenders, comparison);
      runs.set(work, found);
      for (const name of mine) judged[name] = judge(specs[name], contenders, found);
      const voids = mine.map((name) => judged[name]?.void).filter(Boolean);
      if (voids.length === 0) break;
      if (time + 1 < MOST_TIMES) say(`once more: ${voids.join('; ')}`);
    }
  }
  const rows = Object.fromEntries(wanted.map((name) => [name, judged[name]])) as Record<R, Row<C>>;
  return { rows, runs, ok: Object.values<Row<C>>(rows).every(({ ok }) => ok) };
}

async function measure<C extends string, W extends string, S extends { readonly rounds: number }>(
  work: W,
  contenders: readonly C[],
  { works, sizes, say }: Pick<Comparison<C, W, string, S>, 'works' | 'sizes' | 'say'>,
): Promise<Runs<C>> {
  const spec = works[work];
  const runs: Partial<Record<C, readonly Run[]>> = {};
  const keep = (name: C, done: Run): void => {
    runs[name] = [...(runs[name] ?? []), done];
    say(`  ${work.padEnd(8)} ${name.padEnd(10)} load ${done.load.toFixed(1)}  ${shown(done)}`);
  };
  for (let round = 0; round < (spec.once ? 1 : sizes.rounds); round++)
    if ('measure' in spec)
      for (const name of contenders) keep(name, await attempt(() => spec.measure(name, sizes)));
    else for (const [name, done] of await attemptAll(spec, contenders, sizes)) keep(name, done);
  return runs;
}

async function attempt(action: () => Promise<Figures>): Promise<Run> {
  const load = loadNow();
  try {
    return { load, figures: await action() };
  } catch (error) {
    return { load, failure: firstLines(error) };
  }
}

async function attemptAll<C extends string, S>(
  spec: CommonWork<C, S>,
  contenders: readonly C[],
  sizes: S,
): Promise<readonly (readonly [C, Run])[]> {
  const load = loadNow();
  try {
    const found = await spec.together(contenders, sizes);
    return contenders.map((name) => [name, { load, figures: found[name] ?? {} }]);
  } catch (error) {
    return contenders.map((name) => [name, { load, failure: firstLines(error) }]);
  }
}

/** The rest is a program's whole output. */
function firstLines(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.split('\n').slice(0, 4).join(' | ');
}

function shown({ figures = {}, failure = '' }: Run): string {
  const parts = Object.entries(figures).map(
    ([name, value]) => `${name} ${Number(value.toFixed(2))}`,
  );
  return [...parts, failure && styleText('red', failure)].filter(Boolean).join('  ');
}
