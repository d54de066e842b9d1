/**
 * From runs to a verdict; pure, so that its rules can be tested.
 *
 *     ok      every run is there, every bound reached
 *     void    says nothing: the runs of whom we compare with differ by more than 15 %, and with the best of
 *             them the verdict would be another than with the worst. Measured once more by the caller; then it
 *             fails. A bound that holds against each of their runs is not shaken by their spread.
 *
 * A contender that is not there (no HEADSCALE_BIN) takes its bounds with it, and the row says so.
 */

import { median, spread } from '../median.ts';
import type { Bound, Contender, FigureSpec, RowSpec } from './rows.ts';

/** One run of a work: its figures, or why there are none. */
export interface Run {
  readonly load: number;
  readonly figures?: Readonly<Record<string, number>>;
  readonly failure?: string;
}

export type Runs<C extends string = Contender> = Readonly<Partial<Record<C, readonly Run[]>>>;
export type Values<C extends string = Contender> = Readonly<Partial<Record<C, number>>>;

export interface Row<C extends string = Contender> {
  readonly unit: string;
  readonly values: Values<C>;
  /** The subject over the other. */
  readonly ratios: Values<C>;
  readonly must: string;
  readonly ok: boolean;
  readonly void: string | null;
  readonly reasons: readonly string[];
  readonly beside: Readonly<Record<string, { readonly unit: string; readonly values: Values<C> }>>;
}

const MAX_SPREAD = 0.15;

/** @param contenders those that are there, ours first */
export function judge<C extends string>(
  spec: RowSpec<C, string>,
  contenders: readonly C[],
  runs: Runs<C>,
): Row<C> {
  const { figure, bounds, subject = contenders[0] } = spec;
  const values = medians(figure, contenders, runs);
  const ours = subject === undefined ? undefined : values[subject];
  const needed = contenders.filter(
    (name) => name === subject || bounds.some(({ against }) => against === name),
  );
  const reasons = needed.flatMap((name) => missing(name, figure, runs[name] ?? []));
  const ratios: { -readonly [Name in C]?: number } = {};
  let reason: string | null = null;
  for (const bound of bounds) {
    const { against } = bound;
    if (against !== undefined && !contenders.includes(against)) continue;
    const theirs = against === undefined ? 1 : values[against];
    if (ours === undefined || theirs === undefined) continue;
    const found = ours / theirs;
    if (against !== undefined) {
      ratios[against] = found;
      reason ??= voidReason(bound, ours, against, measured(figure, runs[against] ?? []), figure);
    }
    if (!reaches(found, bound))
      reasons.push(`${found.toFixed(2)}, must be ${textOf(bound, figure)}`);
  }
  if (reason !== null) reasons.push(reason);
  return {
    unit: figure.unit,
    values,
    ratios,
    must: mustOf(spec, contenders),
    ok: reasons.length === 0,
    void: reason,
    reasons,
    beside: Object.fromEntries(
      Object.entries(spec.beside).map(([title, beside]) => [
        title,
        { unit: beside.unit, values: medians(beside, contenders, runs) },
      ]),
    ),
  };
}

function mustOf<C extends string>(
  { bounds, figure }: RowSpec<C, string>,
  contenders: readonly C[],
): string {
  const there = bounds.filter(({ against }) => !against || contenders.includes(against));
  return there.map((bound) => textOf(bound, figure)).join(', ') || missingOr(bounds);
}

const missingOr = (bounds: readonly unknown[]): string =>
  bounds.length > 0 ? 'shown (no headscale)' : 'shown';

function textOf({ against, atMost, atLeast }: Bound<string>, { unit }: FigureSpec): string {
  const sign = atLeast === undefined ? '<=' : '>=';
  return `${sign} ${atLeast ?? atMost}${against === undefined ? ` ${unit}` : `x ${against}`}`;
}

function reaches(
  found: number,
  { atMost = Infinity, atLeast = -Infinity }: Bound<string>,
): boolean {
  return found <= atMost && found >= atLeast;
}

function medians<C extends string>(
  figure: FigureSpec,
  contenders: readonly C[],
  runs: Runs<C>,
): Values<C> {
  const values: { -readonly [Name in C]?: number } = {};
  for (const name of contenders) {
    const found = measured(figure, runs[name] ?? []);
    if (found.length > 0) values[name] = median(found);
  }
  return values;
}

/** What is no number (it did not come to pass) is JSON's null by the time it is read again. */
function measured({ name }: FigureSpec, runs: readonly Run[]): number[] {
  return runs
    .map(({ figures }) => figures?.[name])
    .filter((value): value is number => Number.isFinite(value));
}

function missing(name: string, figure: FigureSpec, runs: readonly Run[]): string[] {
  if (runs.length === 0) return [`${name}: no run`];
  return runs
    .filter((run) => measured(figure, [run]).length === 0)
    .map(({ failure }) => `${name}: ${failure ?? `no ${figure.name}`}`);
}

function voidReason(
  bound: Bound<string>,
  ours: number,
  against: string,
  theirs: readonly number[],
  { digits, unit }: FigureSpec,
): string | null {
  if (theirs.length < 2 || spread(theirs) <= MAX_SPREAD) return null;
  const verdicts = new Set(theirs.map((value) => reaches(ours / value, bound)));
  if (verdicts.size === 1) return null;
  const list = theirs.map((value) => value.toFixed(digits)).join(', ');
  const percent = Math.round(spread(theirs) * 100);
  return `void: the runs of ${against} differ by ${percent} % (${list} ${unit})`;
}
