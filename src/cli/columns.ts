/**
 * Text for a person at a terminal: aligned columns, times as how long ago.
 *
 * Machines choose some of these texts (a host name), so what a terminal would obey is shown as `?`.
 */

import type { HealthItem } from '../base/health.ts';

const UNITS = [
  [365 * 86_400_000, 'y'],
  [86_400_000, 'd'],
  [3_600_000, 'h'],
  [60_000, 'min'],
  [1000, 's'],
] as const;

/** The first row is the head. Nothing but the head where there is nothing to show. */
export function columns(rows: readonly (readonly string[])[]): string {
  const cells = rows.map((row) => row.map(harmless));
  const widths = cells.reduce<number[]>(
    (known, row) => row.map((cell, i) => Math.max(known[i] ?? 0, cell.length)),
    [],
  );
  return cells
    .map((row) => `${row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join('  ')}`.trimEnd())
    .map((line) => `${line}\n`)
    .join('');
}

/** `  label       text`, one a line; what has no text is left out. */
export function facts(pairs: readonly (readonly [label: string, text: string])[]): string {
  return pairs
    .filter(([, text]) => text !== '')
    .map(([label, text]) => `  ${label.padEnd(12)}${harmless(text)}\n`)
    .join('');
}

/** `3 h ago`, `in 89 d`, `now`; `none` for null. */
export function relative(instant: string | null, now: number, none: string): string {
  if (instant === null) return none;
  const millis = Date.parse(instant) - now;
  const unit = UNITS.find(([length]) => Math.abs(millis) >= length);
  if (unit === undefined) return 'now';
  const count = `${Math.floor(Math.abs(millis) / unit[0])} ${unit[1]}`;
  return millis < 0 ? `${count} ago` : `in ${count}`;
}

export const count = (value: number): string => value.toLocaleString('en');

/** The two greatest units that are not zero. */
export function duration(seconds: number): string {
  const parts = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'min'],
    [seconds % 60, 's'],
  ] as const;
  const first = parts.findIndex(([value]) => value > 0);
  if (first < 0) return '0 s';
  const shown = parts.slice(first, first + 2).filter(([value]) => value > 0);
  return shown.map(([value, unit]) => `${value} ${unit}`).join(' ');
}

/** `12 B`, `1.5 KiB` */
export function bytes(value: number): string {
  const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
  const rank = Math.min(units.length - 1, Math.floor(Math.log2(Math.max(1, value)) / 10));
  const scaled = value / 1024 ** rank;
  return `${rank === 0 ? scaled : scaled.toFixed(1)} ${units[rank]}`;
}

/** What is wrong and what to do about it, a line each. */
export function healthLines(items: readonly HealthItem[]): string[] {
  if (items.length === 0) return ['health: all well'];
  return items.flatMap(({ code, severity, text, remedy }) => [
    `${severity}: ${harmless(text)} (${code})`,
    facts([['', `-> ${remedy}`]]).trimEnd(),
  ]);
}

export const yesNo = (value: boolean): string => (value ? 'yes' : 'no');

export const list = (texts: readonly string[], none = '-'): string =>
  texts.length === 0 ? none : texts.join(', ');

/** Control and invisible characters, which move a cursor, colour a screen or turn a line around. */
export const harmless = (text: string): string =>
  text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '?');
