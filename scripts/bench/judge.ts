/**
 * From runs to a verdict; pure, so that the rules of fairness can be tested.
 *
 *     ok      every run that the row needs is there, no reason to call it void, every bound reached
 *     void    says nothing, for or against: a contender of a bound differs from itself by more than 15 %,
 *             today's wireguard-go ran without its offloads, or iperf3 had no time to send to ours what it
 *             should (to a peer that only makes the bound harder). Measured once more by the caller; then it
 *             fails.
 */

import type { ContenderName } from './contenders.ts';
import { spread } from './median.ts';
import type { Bound, Figure, RowSpec } from './rows.ts';
import { OFFERED_PER_SECOND, TITLES } from './rows.ts';
import type { Run, Runs } from './runs.ts';

export type Values = Partial<Record<ContenderName, number>>;

export interface Row {
  readonly unit: string;
  readonly ours: number | null;
  readonly peers: Values;
  /** Against today's wireguard-go, or whom else the first such bound names. */
  readonly ratio: number | null;
  readonly ratios: Values;
  readonly must: string;
  readonly ok: boolean;
  /** Why it says nothing. */
  readonly void: string | null;
  /** Why it is not ok. */
  readonly reasons: readonly string[];
  readonly beside: Readonly<Record<string, { readonly unit: string; readonly values: Values }>>;
  readonly runs: Runs;
}

const MAX_SPREAD = 0.15;
/** Mean bytes a packet above which it must have been a super-packet; the cable's MTU is 1,500. */
const SUPER_PACKET_BYTES = 3000;
const OFFERED_LEAST: number = 0.97 * OFFERED_PER_SECOND;

/** @param contenders who should have been measured, the subject first */
export function judge(spec: RowSpec, contenders: readonly ContenderName[], runs: Runs): Row {
  const own = Object.fromEntries(
    contenders.map((name) => [name, (runs[name] ?? []).filter((run) => isAsked(spec, run))]),
  ) as Runs;
  const values = summaries(spec, spec.figure, own);
  const missing = contenders.flatMap((name) => missingOf(spec, name, own[name] ?? []));
  const reason = voidReason(spec, own);
  const ratios: Values = {};
  const missed: string[] = [];
  for (const bound of spec.bounds) {
    const found = foundFor(spec, bound, own);
    if (found === undefined) continue;
    if (bound.against !== undefined && bound.figure === undefined) ratios[bound.against] = found;
    if (!reaches(found, bound)) missed.push(`${found.toFixed(2)}, must be ${textOf(bound, spec)}`);
    for (const [name, value] of Object.entries(bound.everyone ? values : {}))
      if (name !== spec.subject && !reaches(value, bound))
        missed.push(`${TITLES[name as ContenderName]}: ${value.toFixed(2)}`);
  }
  const { [spec.subject]: ours = null, ...peers } = values;
  const reasons = [...missing, ...(reason === null ? missed : [reason])];
  return {
    unit: spec.figure.unit,
    ours,
    peers,
    ratio: Object.values(ratios)[0] ?? null,
    ratios,
    must: mustOf(spec),
    ok: reasons.length === 0,
    void: reason,
    reasons,
    beside: Object.fromEntries(
      Object.entries(spec.beside).map(([name, figure]) => [
        name,
        { unit: figure.unit, values: summaries(spec, figure, own) },
      ]),
    ),
    runs: own,
  };
}

const isAsked = ({ needs }: RowSpec, { asked }: Run): boolean =>
  needs.every((measure) => asked.includes(measure));

/** A row that could not be measured at all. */
export function notRun(spec: RowSpec, why: string): Row {
  return { ...judge(spec, [], {}), ok: false, reasons: [`not run: ${why}`] };
}

export function mustOf(spec: RowSpec): string {
  return spec.bounds.map((bound) => textOf(bound, spec)).join(', ') || 'shown';
}

function textOf({ figure, against, atLeast, atMost }: Bound, spec: RowSpec): string {
  const sign = atLeast === undefined ? '<=' : '>=';
  const number = String(Number((atLeast ?? atMost ?? 0).toFixed(2)));
  const of = figure === undefined ? '' : `${figure} `;
  const unit = (figure === undefined ? spec.figure : spec.beside[figure])?.unit ?? '';
  return `${of}${sign} ${number}${against === undefined ? ` ${unit}` : `x ${TITLES[against]}`}`;
}

function reaches(found: number, { atLeast, atMost }: Bound): boolean {
  return found >= (atLeast ?? Number.NEGATIVE_INFINITY) && found <= (atMost ?? Infinity);
}

function foundFor(spec: RowSpec, { figure, against }: Bound, runs: Runs): number | undefined {
  const of = figure === undefined ? spec.figure : (spec.beside[figure] as Figure);
  const values = summaries(spec, of, runs);
  const ours = values[spec.subject];
  if (against === undefined || ours === undefined) return ours;
  const theirs = values[against];
  return theirs === undefined ? undefined : ours / theirs;
}

function summaries(spec: RowSpec, figure: Figure, runs: Runs): Values {
  const values: Values = {};
  for (const [name, list] of Object.entries(runs) as [ContenderName, readonly Run[]][]) {
    const measured = measuredBy(figure, list);
    if (measured.length > 0) values[name] = spec.summary(measured);
  }
  return values;
}

function measuredBy(figure: Figure, runs: readonly Run[]): number[] {
  return runs.map((run) => figure.of(run)).filter((value) => value !== undefined);
}

function missingOf(spec: RowSpec, name: ContenderName, runs: readonly Run[]): string[] {
  if (runs.length === 0) return [`${TITLES[name]}: no run`];
  return runs
    .filter((run) => spec.figure.of(run) === undefined)
    .map(({ failures }) => `${TITLES[name]}: ${failures.join('; ')}`);
}

function voidReason(spec: RowSpec, runs: Runs): string | null {
  for (const against of new Set(spec.bounds.map((bound) => bound.against))) {
    const values = against === undefined ? [] : measuredBy(spec.figure, runs[against] ?? []);
    if (against === undefined || values.length === 0 || spread(values) <= MAX_SPREAD) continue;
    const list = values.map((value) => value.toFixed(spec.figure.digits)).join(', ');
    const percent = Math.round(spread(values) * 100);
    return `void: the runs of ${TITLES[against]} differ by ${percent} % (${list} ${spec.figure.unit})`;
  }
  const starved = runs.ours?.find(({ udp }) => (udp?.offeredPerSecond ?? Infinity) < OFFERED_LEAST);
  if (starved?.udp && spec.needs.includes('udp')) {
    const offered = Math.round(starved.udp.offeredPerSecond);
    return `void: iperf3 offered only ${offered} packets/s to ours`;
  }
  return spec.offloads ? offloadsReason(runs) : null;
}

function offloadsReason(runs: Runs): string | null {
  for (const tcp of tcpOf(runs.current)) {
    const { tunPacketBytes, cablePacketBytes } = tcp;
    if (Math.min(tunPacketBytes, cablePacketBytes) < SUPER_PACKET_BYTES)
      return (
        `void: the offloads of today's wireguard-go are off (means of ${Math.round(tunPacketBytes)} ` +
        `bytes a packet from its TUN device, ${Math.round(cablePacketBytes)} to the cable)`
      );
  }
  // Debian's has none, so there the same look must find none.
  for (const { cablePacketBytes } of tcpOf(runs.debian))
    if (cablePacketBytes >= SUPER_PACKET_BYTES)
      return "void: super-packets are seen where Debian's wireguard-go cannot make any";
  return null;
}

function tcpOf(runs: readonly Run[] = []): NonNullable<Run['tcp1']>[] {
  return runs.flatMap(({ tcp1, tcp4 }) => [tcp1, tcp4]).filter((tcp) => tcp !== undefined);
}
