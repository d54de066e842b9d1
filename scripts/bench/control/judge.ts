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

export type Runs = Readonly<Partial<Record<Contender, readonly Run[]>>>;
export type Values = Readonly<Partial<Record<Contender, number>>>;

export interface Row {
  readonly unit: string;
  readonly values: Values;
  /** Ours over theirs. */
  readonly ratios: Values;
  readonly must: string;
  readonly ok: boolean;
  readonly void: string | null;
  readonly reasons: readonly string[];
  readonly beside: Readonly<Record<string, { readonly unit: string; readonly values: Values }>>;
}

const MAX_SPREAD = 0.15;

/** @param contenders those that are there, ours first */
export function judge(spec: RowSpec, contenders: readonly Contender[], runs: Runs): Row {
  const { figure, bounds } = spec;
  const values = medians(figure, contenders, runs);
  const { ours } = values;
  const needed = contenders.filter(
    (name) => name === 'ours' || bounds.some(({ against }) => against === name),
  );
  const reasons = needed.flatMap((name) => missing(name, runs[name] ?? []));
  const ratios: { -readonly [Name in Contender]?: number } = {};
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

function mustOf({ bounds, figure }: RowSpec, contenders: readonly Contender[]): string {
  const there = bounds.filter(({ against }) => !against || contenders.includes(against));
  return there.map((bound) => textOf(bound, figure)).join(', ') || 'shown (no headscale)';
}

function textOf({ against, atMost, atLeast }: Bound, { unit }: FigureSpec): string {
  const sign = atLeast === undefined ? '<=' : '>=';
  return `${sign} ${atLeast ?? atMost}${against === undefined ? ` ${unit}` : `x ${against}`}`;
}

function reaches(found: number, { atMost = Infinity, atLeast = -Infinity }: Bound): boolean {
  return found <= atMost && found >= atLeast;
}

function medians(figure: FigureSpec, contenders: readonly Contender[], runs: Runs): Values {
  const values: { -readonly [Name in Contender]?: number } = {};
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

function missing(name: Contender, runs: readonly Run[]): string[] {
  if (runs.length === 0) return [`${name}: no run`];
  return runs.flatMap(({ failure }) => (failure === undefined ? [] : [`${name}: ${failure}`]));
}

function voidReason(
  bound: Bound,
  ours: number,
  against: Contender,
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
